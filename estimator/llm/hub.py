"""A model's config.json and safetensors headers from the hub, read with suspicion.

Only these two are ever read: no weights, no code. `huggingface_hub` brings the cache, the token,
revisions, mirrors (HF_ENDPOINT) and offline mode (HF_HUB_OFFLINE); here every failure becomes one
line that says its cause.
"""

import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from estimator.errors import CatalogError, EstimatorError, InputError, without_secrets
from estimator.files import read_bytes
from estimator.llm.architecture import Architecture
from estimator.llm.parameters import count_parameters

MAX_CONFIG_BYTES = 1_000_000
ANSWER_SECONDS = 10.0
"""How long one answer of the hub may take."""
TOTAL_SECONDS = 45.0
"""How long a look-up may take in all, however slowly bytes arrive."""
_PACKED = frozenset({"U8", "I8", "I32", "U32", "F4"})
"""Types of quantised tensors, of which one entry holds several or part of a parameter."""

_THREAD = "hub look-up of"
_Result = TypeVar("_Result")


class NotOnHubError(CatalogError):
    """No model of that name is on the hub, or none that this token may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubModel:
    """What the hub says about a model."""

    id: str
    config: Mapping[str, object]
    notes: tuple[str, ...] = ()


def is_offline() -> bool:
    """Whether the environment forbids the network (HF_HUB_OFFLINE)."""
    wish = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return wish.strip().upper() in {"1", "ON", "YES", "TRUE"}


def endpoint() -> str:
    """The hub's address: HF_ENDPOINT, else huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def fetch_config(
    id: str, *, revision: str | None = None, offline: bool = False, seconds: float = TOTAL_SECONDS
) -> HubModel:
    """The config.json of `id`, from the hub or, where that is out of reach, from the cache.

    Raises one line with the true cause: not found, gated, no such revision, no config.json, too
    large, not JSON, too slow, no network.
    """
    _check_id(id)
    if offline or is_offline():
        path = _cached(id, revision)
        if path is None:
            raise NotOnHubError(f"model {id}: not in the local cache, and the network is off")
        return _read(id, path, ("read from the local cache: the network is off",))
    try:
        path = _within(seconds, lambda: _download(id, revision), id)
    except EstimatorError:
        raise
    except Exception as error:
        cause = _cause(error, id, revision)
        path = _cached(id, revision) if cause.passing else None
        if path is None:
            raise (NotOnHubError if cause.unknown else CatalogError)(cause.text) from None
        return _read(id, path, (f"read from the local cache: {cause.text}",))
    return _read(id, path, ())


def _check_id(id: str) -> None:
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(id)
    except HFValidationError:
        raise NotOnHubError(
            f"model {id[:120]!r} cannot be a name on the hub; allowed: maker/name of letters, "
            "digits, '-', '_' and '.'"
        ) from None


def _download(id: str, revision: str | None) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    url = hf_hub_url(id, "config.json", revision=revision, endpoint=endpoint())
    found = get_hf_file_metadata(url, timeout=ANSWER_SECONDS, endpoint=endpoint())
    size = found.size if found.size is not None else _measured(found.location)
    if size > MAX_CONFIG_BYTES:
        raise InputError(
            f"model {id}: its config.json has {size} bytes; allowed: at most {MAX_CONFIG_BYTES}"
        )
    return Path(
        hf_hub_download(
            id,
            "config.json",
            revision=revision,
            endpoint=endpoint(),
            etag_timeout=ANSWER_SECONDS,
        )
    )


def _measured(location: str) -> int:
    """Bytes behind an address that does not state them; reading stops past the limit."""
    from huggingface_hub.utils import get_session

    size = 0
    with get_session().stream(
        "GET", location, timeout=ANSWER_SECONDS, follow_redirects=True
    ) as answer:
        answer.raise_for_status()
        for chunk in answer.iter_bytes():
            size += len(chunk)
            if size > MAX_CONFIG_BYTES:
                break
    return size


def _cached(id: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(id, "config.json", revision=revision)
    return Path(found) if isinstance(found, str) else None


def _within(seconds: float, call: Callable[[], _Result], id: str) -> _Result:
    """The result of `call`, or the error that the hub was too slow.

    A thread, because a server that sends a byte now and then never trips a socket's timeout.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with _quiet():
                results.append(call())
        except BaseException as error:
            errors.append(error)

    worker = threading.Thread(target=run, daemon=True, name=f"{_THREAD} {id}")
    worker.start()
    worker.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError(f"no complete answer within {seconds:g} s")
    return results[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bars and warnings off the terminal: the error says it all.

    Another look-up, given up for slowness, may still run: then the last one to end restores them.
    """
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    shown, level = not are_progress_bars_disabled(), logging.get_verbosity()
    disable_progress_bars()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        others = [x for x in threading.enumerate() if x is not threading.current_thread()]
        if not any(other.name.startswith(_THREAD) for other in others):
            logging.set_verbosity(level)
            if shown:
                enable_progress_bars()


@dataclass(frozen=True, slots=True)
class _Cause:
    text: str
    passing: bool
    """Whether it lies with the connection, so that a cached copy may stand in."""
    unknown: bool = False
    """Whether the hub knows no such model."""


def _cause(error: Exception, id: str, revision: str | None) -> _Cause:
    """Why a look-up failed. Errors of the HTTP library are told by name: it has changed before."""
    chain = (error, error.__cause__, error.__context__)
    kinds = {kind.__name__ for link in chain if link for kind in type(link).__mro__}
    status = getattr(getattr(error, "response", None), "status_code", None)
    answer = f"HTTP {status}" if status else "no status"
    hub = without_secrets(endpoint())
    page = f"{hub}/{id}"
    if "GatedRepoError" in kinds or status == 403:
        need = "its terms must be accepted there" if _has_token() else "set HF_TOKEN"
        return _Cause(f"model {id}: gated ({answer}); ask for access on {page}; {need}", False)
    if "RevisionNotFoundError" in kinds:
        return _Cause(f"model {id}: no revision {revision!r} on {hub}; see {page}/commits", False)
    if "EntryNotFoundError" in kinds and "LocalEntryNotFoundError" not in kinds:
        return _Cause(f"model {id}: its repository on {hub} has no config.json", False)
    if "RepositoryNotFoundError" in kinds or status in (401, 404):
        secret = "" if _has_token() else "; if it is private, set HF_TOKEN"
        return _Cause(f"model {id}: not found on {hub} ({answer}){secret}", False, unknown=True)
    if status is not None:
        return _Cause(f"model {id}: {hub} answered {answer}; try again later", True)
    if kinds & {"TimeoutException", "Timeout", "TimeoutError"}:
        return _Cause(f"model {id}: {hub} was too slow ({_short(error)}); try again later", True)
    if "FileMetadataError" in kinds:
        return _Cause(f"model {id}: {hub} does not answer like a hub; check HF_ENDPOINT", True)
    if kinds & {"RemoteProtocolError", "ReadError", "ChunkedEncodingError"} or "Consistency" in str(
        error
    ):
        return _Cause(f"model {id}: {hub} sent config.json incomplete ({_short(error)})", True)
    return _Cause(f"model {id}: no connection to {hub} ({_short(error)})", True)


def _has_token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return without_secrets(lines[0] if lines else type(error).__name__)[:160]


def _read(id: str, path: Path, notes: tuple[str, ...]) -> HubModel:
    return HubModel(id=id, config=read_config_file(path, f"model {id}"), notes=notes)


def read_config_file(path: Path, where: str) -> Mapping[str, object]:
    """The JSON object in a config.json; one line says what is wrong with any other content."""
    try:
        text = read_bytes(path, most_bytes=MAX_CONFIG_BYTES, kind="a config.json")
    except InputError as error:
        raise InputError(f"{where}: {str(error).removeprefix(f'{path}: ')}") from None
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: config.json is not JSON ({_short(error)})") from None
    if not isinstance(config, dict):
        raise InputError(f"{where}: config.json holds a {type(config).__name__}, not an object")
    return config


def cross_check(
    architecture: Architecture, *, revision: str | None = None, seconds: float = TOTAL_SECONDS
) -> str:
    """One sentence: whether the checkpoint's safetensors headers confirm the counted parameters.

    Never fatal. A tied head that the file stores twice and what the class leaves out are told
    apart from a disagreement.
    """
    try:
        by_type = _within(
            seconds, lambda: _tensor_counts(architecture.id, revision), architecture.id
        )
    except Exception as error:
        cause = _cause(error, architecture.id, revision).text
        if type(error).__name__ == "NotASafetensorsRepoError":
            cause = "the checkpoint has no safetensors"
        return f"count not checked against the checkpoint: {cause}"
    return compare_with_checkpoint(architecture, by_type)


def _tensor_counts(id: str, revision: str | None) -> dict[str, int]:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=endpoint())
    found = api.get_safetensors_metadata(id, revision=revision)
    return dict(found.parameter_count)


def compare_with_checkpoint(architecture: Architecture, by_type: Mapping[str, int]) -> str:
    """One sentence on the entries of a checkpoint, by type, against the counted parameters."""
    packed = sorted(_PACKED & by_type.keys())
    if packed:
        return f"count not checked: the checkpoint holds quantised tensors ({', '.join(packed)})"
    stored = sum(by_type.values())
    counted = count_parameters(architecture).total
    tied = architecture.head.weights if architecture.head and architecture.tied_embeddings else 0
    explained = {
        counted + architecture.unbuilt_parameters: ", with layers that the class leaves out",
        counted + tied: ", the tied head stored twice",
        counted: "",
    }
    if stored in explained:
        return f"the checkpoint confirms the count of {counted} parameters{explained[stored]}"
    share = (stored - counted) / counted
    return (
        f"the checkpoint holds {stored} parameters, the architecture counts {counted} "
        f"({share:+.3%}): buffers, further heads or another class may explain it"
    )
