"""From what a user calls a model to its architecture: file, catalogue, bare size, hub.

What only a file or the hub needs is imported there: most models are shipped ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from estimator.errors import CatalogError, InputError, MissingExtra
from estimator.files import user_path
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import (
    catalogue,
    catalogue_architecture,
    find_model,
    nearest_models,
    unknown_model,
)
from estimator.llm.size import parse_size, typical_architecture

if TYPE_CHECKING:
    from estimator.llm.hub import HubModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """An architecture and where it comes from."""

    architecture: Architecture
    source: Literal["catalogue", "hub", "file", "size"]
    origin: str
    """The file, the page or the row's own source."""
    as_of: str
    """Date of the source (ISO); of a file the day it was last changed."""
    exact: bool
    """Whether its parameters are those of a real model; False for a bare size."""
    notes: tuple[str, ...] = ()


def resolve_model(
    name: str | Path, *, offline: bool = False, revision: str | None = None, check: bool = False
) -> ResolvedModel:
    """The model that `name` means: a config.json (or a folder with one), a shipped model, a bare
    size such as `7B`, or a model on the hub, in this order.

    `offline` keeps it off the network; `check` compares a model of the hub with its checkpoint.
    Raises `CatalogError` with the nearest shipped names if nothing is found.
    """
    text = str(name).strip()
    if not text:
        raise InputError("model name is empty; allowed: a name, a size such as 7B, or a file")
    path = _config_path(name, text)
    if path is not None:
        return _from_file(path)
    entry = find_model(text) if revision is None else None
    if entry is not None:
        architecture = catalogue_architecture(entry.id)
        return ResolvedModel(
            architecture=architecture,
            source="catalogue",
            origin=entry.source,
            as_of=entry.as_of,
            exact=True,
            notes=architecture.notes,
        )
    size = parse_size(text)
    if size is not None:
        architecture = typical_architecture(size)
        return ResolvedModel(
            architecture=architecture,
            source="size",
            origin="shipped dense models",
            as_of=max(entry.as_of for entry in catalogue().values()),
            exact=False,
            notes=architecture.notes,
        )
    return _from_hub(text, offline=offline, revision=revision, check=check)


def config_of(name: str, *, offline: bool = False) -> Mapping[str, object]:
    """The config.json that `name` means: a file, its folder, a shipped model, or one on the hub."""
    path = _config_path(name, name)
    if path is not None:
        return _read(path)
    entry = find_model(name)
    if entry is not None:
        return entry.config
    return _fetched(name, offline=offline, revision=None).config


def _config_path(name: str | Path, text: str) -> Path | None:
    """The config.json that `name` points to; None where it is not a path."""
    path = user_path(text)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
        has_config = is_folder and (path / "config.json").is_file()
    except OSError as error:
        raise InputError(f"model file {text}: {error.strerror or error}") from None
    if has_config:
        return path / "config.json"
    if is_file:
        return path
    if isinstance(name, Path) or text.endswith(".json") or text.startswith(("./", "../", "/", "~")):
        place = "has no config.json" if is_folder else "does not exist"
        raise InputError(f"model file {text}: {place}; allowed: a config.json or its folder")
    return None


def _read(path: Path) -> Mapping[str, object]:
    from estimator.llm.hub import read_config_file

    return read_config_file(path, f"model file {path}")


def _from_file(path: Path) -> ResolvedModel:
    architecture = _architecture(_read(path), str(path))
    changed = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    return ResolvedModel(
        architecture=architecture,
        source="file",
        origin=str(path),
        as_of=changed.date().isoformat(),
        exact=True,
        notes=architecture.notes,
    )


def _architecture(config: Mapping[str, object], id: str) -> Architecture:
    """By formula for a known family; any other by building its class, where that is possible."""
    from estimator.llm.building import inventory_of
    from estimator.llm.families import read_config

    try:
        return read_config(config, id)
    except CatalogError as unknown:
        try:
            return inventory_of(config, id)
        except (CatalogError, MissingExtra):
            raise unknown from None


def _fetched(text: str, *, offline: bool, revision: str | None) -> "HubModel":
    """The model of the hub; where it is not there the nearest shipped names."""
    from estimator.llm.hub import NotOnHubError, fetch_config, is_offline

    off = offline or is_offline()
    try:
        return fetch_config(text, revision=revision, offline=off)
    except NotOnHubError as error:
        hint = "The network is off: it was not looked for on the hub" if off else f"Hub: {error}"
        raise unknown_model(text, hint) from None
    except CatalogError as error:
        close = ", ".join(nearest_models(text))
        near = f" (nearest: {close})" if close else ""
        raise CatalogError(f"{error}; it is not a shipped model either{near}") from None


def _from_hub(text: str, *, offline: bool, revision: str | None, check: bool) -> ResolvedModel:
    from estimator.llm.hub import cross_check, is_offline

    found = _fetched(text, offline=offline, revision=revision)
    architecture = _architecture(found.config, text)
    notes = (*found.notes, *architecture.notes)
    if check and not (offline or is_offline()):
        notes = (*notes, cross_check(architecture, revision=revision))
    return ResolvedModel(
        architecture=replace(architecture, notes=notes),
        source="hub",
        origin=f"config.json of {text}" + (f" at {revision}" if revision else ""),
        as_of=_today(),
        exact=True,
        notes=notes,
    )


def _today() -> str:
    return datetime.now(tz=UTC).date().isoformat()
