"""Who reaches this server: where others do, nobody may name files that lie on it."""

from contextlib import suppress
from ipaddress import ip_address

import streamlit as st

from estimator.errors import InputError
from estimator.files import user_path


def is_shared() -> bool:
    """Whether the server listens beyond this machine; without an address it listens everywhere."""
    address = st.get_option("server.address") or ""
    if address == "localhost":
        return False
    try:
        return not ip_address(address).is_loopback
    except ValueError:
        return True


def refuse_paths(model: str) -> None:
    """`InputError` where the server is shared and this names, or might name, one of its files."""
    if is_shared() and _may_be_a_path(model.strip()):
        raise InputError(
            f"model {model[:80]!r} is a path: this dashboard serves other machines too and reads "
            "no file of its own; give a shipped name, a Hugging Face id or a size such as 7B, or "
            "upload the config.json on the page “Training plan”"
        )


def _may_be_a_path(name: str) -> bool:
    if name.startswith(("/", ".", "~")) or name.endswith(".json") or "\\" in name:
        return True
    if name.count("/") > 1:
        return True
    with suppress(OSError, ValueError):
        return user_path(name).exists()  # resolving would take it for a file first
    return False
