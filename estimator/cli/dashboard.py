"""`tuneroi dashboard`: the what-if dashboard in a browser."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).parent.parent / "dashboard"
ADDRESS, PORT = "127.0.0.1", 8501
WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - what the user may type
OPTIONS: Mapping[str, str] = {
    "server.headless": "true",
    "server.maxUploadSize": "200",
    "server.fileWatcherType": "none",
    "runner.magicEnabled": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "global.disableWidgetStateDuplicationWarning": "true",
}
ENVIRONMENT: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",  # no request leaves the machine unless the user says so
    # The arrays are small: on busy cores threads of linear algebra only wait for each other, and a
    # comparison then takes four times as long.
    "OPENBLAS_NUM_THREADS": "1",
    # What one comparison frees the next one takes: else the memory of 14,000 pages goes back to the
    # system each time, and is asked for again. Two pools bound what is kept. Read by glibc alone.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
    "MALLOC_ARENA_MAX": "2",
}


def server_command(port: int, address: str) -> list[str]:
    """The command that serves the dashboard, with usage statistics off."""
    options = {
        **OPTIONS,
        "server.port": str(port),
        "server.address": address,
        # For its greeting on 0.0.0.0 Streamlit would ask a host on the internet for our address.
        "browser.serverAddress": "localhost" if address in WILDCARDS else address,
        "theme.base": str(HERE / "theme.toml"),
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return [sys.executable, "-m", "streamlit", "run", str(HERE.parent / "dashboard_app.py"), *flags]


def _free(port: int, address: str) -> None:
    from estimator.errors import InputError

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        why = str(error.strerror or error).split(" (")[0]
        raise InputError(
            f"cannot serve on port {port} of {address}: {why}; --port 0 takes a free one"
        ) from None


PortOption = Annotated[
    int, typer.Option("--port", help="Port to serve on; 0 takes a free one.", min=0, max=65_535)
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address", help="Address to serve on; 0.0.0.0 lets other machines in, without a login."
    ),
]


def dashboard(port: PortOption = PORT, address: AddressOption = ADDRESS) -> None:
    """Open the what-if dashboard: prints its address and serves until stopped by Ctrl-C."""
    _free(port, address)
    command = server_command(port, address)
    sys.stdout.flush()
    os.execve(command[0], command, {**ENVIRONMENT, **os.environ})  # noqa: S606 - our own command
