"""`tuneroi prices`: the facts, with their dates, evidence and age; and bringing in newer ones."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from estimator.cli.arguments import ContractOption, JsonOption, offers

UNREACHABLE = 3
"""Exit status of a refresh that reached none of its sources: nobody's mistake, nothing changed."""


class _ShowByDefault(TyperGroup):
    """`tuneroi prices ...` means `tuneroi prices show ...` unless a command is named."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        named = bool(args) and args[0] in self.commands
        return super().parse_args(ctx, args if named else ["show", *args])


app = typer.Typer(
    cls=_ShowByDefault,
    help="The facts behind every figure: value, date, evidence, age; refresh brings newer ones.",
)
NameArgument = Annotated[
    str,
    typer.Argument(
        help="Narrow one table: a GPU, provider, vendor, role, or group of assumptions.",
        metavar="[NAME]",
    ),
]
GpusFlag = Annotated[bool, typer.Option("--gpus", help="GPUs; with NAME the offers of that GPU.")]
ManagedFlag = Annotated[
    bool, typer.Option("--managed", help="Managed fine-tuning, USD per million tokens.")
]
SaasFlag = Annotated[bool, typer.Option("--saas", help="Bought assistants, USD per unit billed.")]
WagesFlag = Annotated[bool, typer.Option("--wages", help="Gross wages, USD per year.")]
TokensFlag = Annotated[
    bool, typer.Option("--tokens", help="Token prices; with NAME those of that provider.")
]
AssumptionsFlag = Annotated[
    bool, typer.Option("--assumptions", help="Every other default of a scenario.")
]
OffersGpuOption = Annotated[
    str, offers("--gpu", help="Offers of a GPU or a family (h100).", metavar="GPU")
]
MostOption = Annotated[
    float | None,
    offers("--max", help="Offers up to this, USD per GPU and hour.", metavar="USD"),
]
OffersProviderOption = Annotated[
    str, offers("--provider", help="Offers of one provider.", metavar="NAME")
]
OffersRegionOption = Annotated[
    str, offers("--region", help="Offers in a region, or part of one.", metavar="TEXT")
]
OffersTierOption = Annotated[
    str, offers("--tier", help="Offers on_demand, spot, reserved_1y, ...", metavar="TIER")
]
OffersSpotFlag = Annotated[bool, offers("--spot", help="Same as --tier spot.")]
MineOption = Annotated[
    Path | None,
    typer.Option(
        "--mine",
        help="Check a CSV of your contract's GPU prices and keep it for every command.",
        metavar="FILE",
    ),
]
GpuOffersFlag = Annotated[
    bool, typer.Option("--gpu-offers", help="Only GPU offers, through gpuhunt.")
]
TokenPricesFlag = Annotated[
    bool, typer.Option("--tokens", help="Only token prices, through genai-prices.")
]
AbsurdFlag = Annotated[
    bool, typer.Option("--yes", help="Take changes also where they look absurd.")
]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", help="Longest wait for each source.", metavar="SECONDS")
]


@app.command(
    "show",
    epilog="Newer prices: tuneroi prices refresh (see tuneroi prices refresh --help). Your "
    "contract's prices stand above refreshed ones, and those above the shipped; column From says "
    "which.",
)
def show(
    name: NameArgument = "",
    gpus: GpusFlag = False,
    managed: ManagedFlag = False,
    saas: SaasFlag = False,
    wages: WagesFlag = False,
    tokens: TokensFlag = False,
    assumptions: AssumptionsFlag = False,
    gpu: OffersGpuOption = "",
    at_most: MostOption = None,
    provider: OffersProviderOption = "",
    region: OffersRegionOption = "",
    tier: OffersTierOption = "",
    spot: OffersSpotFlag = False,
    mine: MineOption = None,
    contract: ContractOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the facts behind every figure: value, date of the source, evidence, age."""
    from estimator.cli.show import print_result
    from estimator.report.offers import OfferWishes
    from estimator.report.prices import TABLES, price_tables
    from pricing import dates
    from pricing.contract import keep_contract
    from pricing.own import own_price_files

    if mine is not None:
        typer.echo(keep_contract(mine), err=True)
    wishes = OfferWishes(
        gpu=gpu,
        at_most_usd_per_gpu_hour=_limit(at_most),
        provider=provider,
        region=region,
        tier=_tier(tier, spot=spot),
    )
    flags = (gpus, managed, saas, wages, tokens, assumptions)
    wanted = [key for key, given in zip(TABLES, flags, strict=True) if given]
    if mine is not None and not wanted and not wishes:
        return
    files = own_price_files(contract)
    tables = price_tables(wanted, name, dates.today(), wishes=wishes, files=files)
    print_result(
        lambda: {key: value for table in tables for key, value in table.as_dict().items()},
        lambda: (part for table in tables for part in table.parts()),
        as_json=as_json,
    )


def _limit(at_most: float | None) -> float | None:
    from estimator.cli.options import positive

    return None if at_most is None else positive("--max", at_most)


def _tier(tier: str, *, spot: bool) -> str:
    from estimator.errors import InputError

    if spot and tier not in ("", "spot"):
        raise InputError(f"--spot and --tier {tier} exclude each other; give one")
    return "spot" if spot else tier


@app.command("refresh")
def refresh(
    gpu_offers: GpuOffersFlag = False,
    tokens: TokenPricesFlag = False,
    yes: AbsurdFlag = False,
    timeout: TimeoutOption = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Bring live GPU offers and token prices into your own folder, checked, and say what changed.

    A source that cannot be reached leaves what is there; the exit status is 3 if none could be
    reached. A median that moves more than threefold is refused (2) until you confirm it. Mirrors:
    GPUHUNT_CATALOG_URL, GENAI_PRICES_URL.
    """
    from estimator.cli.options import positive
    from estimator.cli.show import print_json, print_lines, print_parts, working
    from estimator.report.refresh import refresh_dict, refresh_parts, unreachable_line
    from pricing import dates
    from pricing.refresh import refresh_gpu_offers, refresh_token_prices

    makers = {"GPU offers": refresh_gpu_offers, "token prices": refresh_token_prices}
    if gpu_offers != tokens:
        del makers["token prices" if gpu_offers else "GPU offers"]
    today, done = dates.today(), []
    for what, make in makers.items():
        with working(f"fetching {what}"):
            done.append(
                make(
                    today,
                    confirm=lambda strange: yes or _confirmed(strange),
                    deadline_seconds=positive("--timeout", timeout),
                )
            )
    if as_json:
        print_json({result.what: refresh_dict(result) for result in done})
    else:
        reached = [result for result in done if result.changes]
        print_parts(part for result in reached for part in refresh_parts(result))
        print_lines(unreachable_line(result) for result in done if not result.changes)
    if all(result.status == "unreachable" for result in done):
        raise typer.Exit(UNREACHABLE)


def _confirmed(strange: tuple[str, ...]) -> bool:
    """Asks at a terminal; a script has to say --yes."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    for line in strange[:10]:
        typer.echo(f"  {line}", err=True)
    return typer.confirm("These changes look absurd. Take them?", err=True)
