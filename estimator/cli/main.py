"""Entry point: commands, and errors as one line with the right exit status.

0 is success, 2 a user's mistake, 1 a fault of ours. Nothing heavy is imported before a command
needs it, so that `--help` answers at once.
"""

import os
import sys
from typing import Annotated

import click
import typer

from estimator import __version__
from estimator.cli import compare, dataset, init, model, prices, train
from estimator.errors import EstimatorError

app = typer.Typer(
    name="tuneroi",
    help="Should you fine-tune, use RAG, tune through an API, buy a SaaS assistant, or do nothing?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("compare")(compare.compare)
app.command("train")(train.train)
app.command("model")(model.model)
app.command("dataset")(dataset.dataset)
app.command("prices")(prices.prices)
app.command("init")(init.init)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tuneroi {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Options that stand before any command."""


def main() -> None:
    """Run the command line; the process exits with 0, 1 or 2."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except (EstimatorError, click.ClickException) as error:
        _fail(error.format_message() if isinstance(error, click.ClickException) else str(error))
    except click.exceptions.Abort:
        _fail("stopped")
    except KeyboardInterrupt:
        _fail("stopped")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _fail(message: str) -> None:
    line = " ".join(message.split())
    typer.echo(f"tuneroi: {line}", err=True)
    sys.exit(2)
