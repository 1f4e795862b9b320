"""`tuneroi prices`: the facts, with their dates, evidence and age."""

from typing import Annotated

import typer


def prices(
    name: Annotated[
        str,
        typer.Argument(
            help="Narrow one table: a GPU, provider, vendor, role, or group of assumptions.",
            metavar="[NAME]",
        ),
    ] = "",
    gpus: Annotated[
        bool, typer.Option("--gpus", help="GPUs; with NAME the offers of that GPU.")
    ] = False,
    managed: Annotated[
        bool, typer.Option("--managed", help="Managed fine-tuning, USD per million tokens.")
    ] = False,
    saas: Annotated[
        bool, typer.Option("--saas", help="Bought assistants, USD per unit billed.")
    ] = False,
    wages: Annotated[bool, typer.Option("--wages", help="Gross wages, USD per year.")] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Token prices; with NAME those of that provider.")
    ] = False,
    assumptions: Annotated[
        bool, typer.Option("--assumptions", help="Every other default of a scenario.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the facts behind every figure: value, date of the source, evidence, age."""
    from datetime import UTC, datetime

    from estimator.cli.show import print_json, print_parts
    from estimator.report.prices import TABLES, price_tables

    flags = (gpus, managed, saas, wages, tokens, assumptions)
    wanted = [key for key, given in zip(TABLES, flags, strict=True) if given]
    tables = price_tables(wanted, name, datetime.now(tz=UTC).date())
    if as_json:
        print_json({key: value for table in tables for key, value in table.as_dict().items()})
    else:
        print_parts(part for table in tables for part in table.parts())
