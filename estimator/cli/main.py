"""Entry point: commands, and errors as one line with the right exit status.

0 is success, 2 a user's mistake, 1 a fault of ours. Nothing heavy is imported before a command
needs it, so that `--help` answers at once.
"""

import errno
import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from estimator import __version__
from estimator.cli import (
    benchmark,
    breakeven,
    buy_or_rent,
    calibrate,
    compare,
    dashboard,
    dataset,
    diff,
    fit,
    init,
    library,
    model,
    plan,
    prices,
    serve,
    sweep,
    trace,
    train,
    validate,
    worth,
)
from estimator.errors import EstimatorError, without_secrets

DEBUG = "TUNEROI_DEBUG"
LONGEST_LINE = 1200
OF_THE_MACHINE = {
    errno.EACCES,
    errno.EDQUOT,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.EPERM,
    errno.EROFS,
}
"""Errors of files that the user can mend: rights, room, names."""
INTERRUPTED = 130  # 128 and the number of the signal, as shells count it

app = typer.Typer(
    name="tuneroi",
    help="Should you fine-tune, use RAG, tune through an API, buy a SaaS assistant, or do nothing?",
    epilog="tuneroi COMMAND --help says what each option means; --json prints the result as data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("compare")(compare.compare)
app.command("breakeven")(breakeven.breakeven)
app.command("worth")(worth.worth)
app.command("buy-or-rent")(buy_or_rent.buy_or_rent)
app.command("diff")(diff.diff)
app.command("sweep")(sweep.sweep)
app.command("train")(train.train)
app.command("plan")(plan.plan)
app.command("benchmark")(benchmark.benchmark)
app.command("serve")(serve.serve)
app.command("model")(model.model)
app.command("dataset")(dataset.dataset)
app.add_typer(prices.app, name="prices")
app.command("fit")(fit.fit)
app.command("trace")(trace.trace)
app.add_typer(validate.app, name="validate")
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(library.app, name="library")
app.command("init")(init.init)
app.command("dashboard")(dashboard.dashboard)


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
    gc.set_threshold(50_000)  # imports make many objects and no garbage
    try:
        sys.exit(app(prog_name="tuneroi", standalone_mode=False) or 0)
    except typer.TyperException as error:
        _fail(_with_value(error), status=2)
    except EstimatorError as error:
        _fail(str(error), status=2)
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            _our_fault(error)
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror}", status=2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except Exception as error:
        _our_fault(error)


def _our_fault(error: Exception) -> NoReturn:
    if os.environ.get(DEBUG) == "1":
        raise error
    _fail(
        f"sorry, this is a fault of tuneroi: {type(error).__name__}: {error}; "
        f"{DEBUG}=1 shows where",
        status=1,
    )


def _fail(message: str, *, status: int) -> NoReturn:
    if line := one_line(message):  # without arguments the help has been printed already
        typer.echo(f"tuneroi: {line}", err=True)
    sys.exit(status)


def one_line(message: str) -> str:
    """The message as one line for a terminal: of bounded length, without control characters,
    and without the password of an address or a token of the hub, which a library may repeat."""
    message = without_secrets(message)
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(message.split()))
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[: LONGEST_LINE // 2]} ... {line[-LONGEST_LINE // 2 :]}"


def _with_value(error: typer.TyperException) -> str:
    """The message of a usage error, with the value that was refused."""
    message = error.format_message().replace("Value error, ", "")
    refused = getattr(error.__cause__, "errors", None)  # pydantic's, which typer wraps
    if refused is None:
        return message
    value = repr(refused()[0]["input"])
    return message if value in message else f"{message} (got {value})"
