"""`tuneroi buy-or-rent`: GPUs of your own against rented ones, by the hours you would use them."""

from typing import Annotated

import typer

from estimator.cli.arguments import JsonOption
from estimator.cli.decision_options import SeedOption, one_thread


def buy_or_rent(
    gpu: Annotated[str, typer.Option(help="GPU, as `tuneroi prices --gpus` names it.")],
    gpus: Annotated[int, typer.Option(help="How many.", min=1, max=100_000)],
    hours_per_month: Annotated[
        float, typer.Option(help="Hours a month in which they would all be in use.")
    ],
    years: Annotated[float, typer.Option(help="How long you need them.")] = 3.0,
    purchase_price: Annotated[
        str, typer.Option(help="USD for one GPU without its server; a number or a range.")
    ] = "",
    rent: Annotated[str, typer.Option(help="USD per GPU and hour on demand.")] = "",
    spot_rent: Annotated[str, typer.Option(help="USD per GPU and hour on spot machines.")] = "",
    preemption_hours: Annotated[
        str, typer.Option(help="Mean hours until a spot node is taken away.")
    ] = "",
    electricity: Annotated[str, typer.Option(help="USD per kWh.")] = "",
    watts: Annotated[str, typer.Option(help="Design power of one GPU.")] = "",
    discount_rate: Annotated[
        float | None, typer.Option(help="Per year, such as 0.08.", min=0, max=1)
    ] = None,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
) -> None:
    """Buy GPUs or rent them? Cost per month of each way, and the use at which buying wins.

    Ranges are YAML: --rent '{low: 2, high: 3}'.
    """
    one_thread()
    from estimator.cli.show import print_json, print_parts
    from estimator.decision.buy_or_rent import buy_or_rent as weigh
    from estimator.report.buy_or_rent import buy_or_rent_dict, buy_or_rent_parts
    from estimator.scenario.edit import given_quantity

    typed = {
        "purchase_usd_per_gpu": ("--purchase-price", purchase_price),
        "on_demand_usd_per_gpu_hour": ("--rent", rent),
        "spot_usd_per_gpu_hour": ("--spot-rent", spot_rent),
        "preemption_hours": ("--preemption-hours", preemption_hours),
        "electricity_usd_per_kwh": ("--electricity", electricity),
        "watts_per_gpu": ("--watts", watts),
    }
    given = {
        name: given_quantity(text, name=option) for name, (option, text) in typed.items() if text
    }
    found = weigh(
        gpu,
        gpus,
        hours_per_month=hours_per_month,
        years=years,
        discount_rate_per_year=discount_rate,
        given=given,
        seed=seed,
    )
    if as_json:
        print_json(buy_or_rent_dict(found))
    else:
        print_parts(buy_or_rent_parts(found))
