"""Fetches one live catalogue and prints it as JSON: `python -P live.py gpus|tokens`.

It runs as a child process, because neither library can be stopped once it has begun: gpuhunt opens
its addresses without a time limit in threads of its own. A child has one deadline, and nothing it
does can touch a file of prices. Its exit status is 0 also where a catalogue cannot be had; then
the JSON says why. It imports nothing of this project.

`GPUHUNT_CATALOG_URL` (read by gpuhunt) and `GENAI_PRICES_URL` name a mirror.
"""

import json
import logging
import os
import socket
import sys
from typing import Any

STALLED_SECONDS = 20  # without a byte, a server is taken for dead
MIRROR_OF_TOKENS = "GENAI_PRICES_URL"


def gpu_catalogue() -> dict[str, Any]:
    """Items with a GPU by provider, as gpuhunt's published catalogue has them this hour.

    `flags` mark items that cannot be rented as an ordinary instance; an ARM host can.
    """
    from importlib.metadata import version

    import gpuhunt  # type: ignore[import-untyped]

    log = _Log()
    catalog = gpuhunt.Catalog(auto_reload=False)
    try:
        catalog.load()
    except gpuhunt.GPUHuntError as error:
        return {"failed": log.failed, "error": _reason(error.__cause__ or error)}
    return {
        "version": version("gpuhunt"),
        "failed": log.failed,
        "providers": {
            name: {
                "version": found.version,
                "malformed": log.malformed.get(name, 0),
                "items": [
                    [
                        item.instance_name,
                        item.location,
                        item.price,
                        item.gpu_count,
                        item.gpu_name,
                        item.gpu_memory,
                        item.spot,
                    ]
                    for item in found.items
                    if item.gpu_count and all(flag.endswith("-arm") for flag in item.flags)
                ],
            }
            for name, found in catalog.catalog.items()
        },
    }


class _Log(logging.Handler):
    """What gpuhunt only tells its log: providers that failed, and rows that it could not read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.failed: dict[str, str] = {}
        self.malformed: dict[str, int] = {}
        logger = logging.getLogger("gpuhunt")
        logger.addHandler(self)
        logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Counts a row, or notes why a provider failed."""
        if not isinstance(record.args, tuple) or not record.args:
            return
        provider = str(record.args[0])
        if record.exc_info and record.exc_info[1]:
            self.failed[provider] = _reason(record.exc_info[1])
        elif record.levelno == logging.WARNING:
            self.malformed[provider] = self.malformed.get(provider, 0) + 1


def token_book() -> dict[str, Any]:
    """The raw price book at the address of genai-prices' own updater, checked by its own reader.

    The updater keeps only parsed objects, which cannot be stored; hence the book is fetched from
    its address, with its time limits, and kept as it came.
    """
    from importlib.metadata import version

    import httpx2
    from genai_prices import UpdatePrices
    from genai_prices.types import _providers_from_raw

    updater = UpdatePrices(url=os.environ.get(MIRROR_OF_TOKENS) or UpdatePrices.url)
    try:
        answer = httpx2.get(updater.url, timeout=updater.request_timeout)
        answer.raise_for_status()
        book = json.loads(answer.content)
        if not isinstance(book, list) or not _providers_from_raw(book):
            raise ValueError("not a list of providers")
    except (httpx2.HTTPError, ValueError, TypeError, KeyError) as error:
        return {"error": _reason(error)}
    return {"version": version("genai-prices"), "url": updater.url, "providers": book}


def _reason(error: BaseException) -> str:
    """One line: the cause, where an error only wraps it, and its type where words do not tell."""
    wrapped = getattr(error, "reason", None)
    cause = wrapped if isinstance(wrapped, OSError) else error
    first = (str(cause).strip().splitlines() or [""])[0][:160]
    return first if isinstance(cause, OSError) and first else f"{type(cause).__name__}: {first}"


if __name__ == "__main__":
    socket.setdefaulttimeout(STALLED_SECONDS)
    made = {"gpus": gpu_catalogue, "tokens": token_book}[sys.argv[1]]()
    json.dump(made, sys.stdout)
