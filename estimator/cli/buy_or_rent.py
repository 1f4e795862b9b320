"""`tuneroi buy-or-rent`: GPUs of your own against rented ones, by the hours you would use them."""

from typing import Annotated

import typer

from estimator.cli.arguments import JsonOption
from estimator.cli.decision_arguments import SeedOption, one_thread

BoughtGpuOption = Annotated[
    str, typer.Option("--gpu", help="One of tuneroi prices --gpus.", metavar="ID")
]
BoughtGpusOption = Annotated[int, typer.Option("--gpus", help="How many.", min=1, max=100_000)]
HoursOption = Annotated[
    float,
    typer.Option("--hours-per-month", help="Hours a month in which they would all be in use."),
]
YearsOption = Annotated[float, typer.Option("--years", help="How long you need them.")]
PurchasePriceOption = Annotated[
    str,
    typer.Option(
        "--purchase-price", help="USD for one GPU without its server; a number or a range."
    ),
]
RentOption = Annotated[str, typer.Option("--rent", help="USD per GPU and hour on demand.")]
SpotRentOption = Annotated[
    str, typer.Option("--spot-rent", help="USD per GPU and hour on spot machines.")
]
PreemptionOption = Annotated[
    str, typer.Option("--preemption-hours", help="Mean hours until a spot node is taken away.")
]
ElectricityOption = Annotated[str, typer.Option("--electricity", help="USD per kWh.")]
WattsOption = Annotated[str, typer.Option("--watts", help="Design power of one GPU.")]
DiscountRateOption = Annotated[
    float | None,
    typer.Option("--discount-rate", help="Per year, such as 0.08.", min=0, max=1),
]


def buy_or_rent(
    gpu: BoughtGpuOption,
    gpus: BoughtGpusOption,
    hours_per_month: HoursOption,
    years: YearsOption = 3.0,
    purchase_price: PurchasePriceOption = "",
    rent: RentOption = "",
    spot_rent: SpotRentOption = "",
    preemption_hours: PreemptionOption = "",
    electricity: ElectricityOption = "",
    watts: WattsOption = "",
    discount_rate: DiscountRateOption = None,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
) -> None:
    """Buy GPUs or rent them? Cost per month of each way, and the use at which buying wins.

    Ranges are YAML: --rent '{low: 2, high: 3}'.
    """
    one_thread()
    from estimator.cli.show import print_result
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
    print_result(lambda: buy_or_rent_dict(found), lambda: buy_or_rent_parts(found), as_json=as_json)
