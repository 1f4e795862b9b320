"""Buy GPUs or rent them: cost of each way by hours in use, and the use at which buying wins."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.decision.finance import discount_factors
from estimator.errors import InputError
from estimator.hardware.ownership import (
    HOURS_PER_YEAR,
    OwnCost,
    own_cost,
    ownership_assumptions,
    value_left_share,
)
from estimator.quantity import FloatArray, Quantity
from estimator.sampling import Draws, sample
from estimator.training.spot import interruption_figures, stretch
from pricing import assumption, gpu_price, gpu_spec, offers_of

HOURS_PER_MONTH = HOURS_PER_YEAR / 12
DRAWS = 4096
RENTED = ("on_demand", "spot")
COMMITTED = ("reserved_1y", "reserved_3y")  # paid for every hour, used or not
HARDWARE = (
    "server_overhead_factor",
    "residual_share",
    "useful_life_years",
    "pue",
    "electricity_usd_per_kwh",
    "colocation_usd_per_kw_month",
    "ops_share",
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BuyOrRent:
    """Owning GPUs against renting them; arrays hold one number per draw, shape (n,)."""

    gpu: str
    gpus: int
    hours_per_month: float
    years: float
    discount_rate_per_year: float
    inputs: Mapping[str, Quantity]
    """Every range used, with its source."""
    own: OwnCost
    usd_per_month: Mapping[str, FloatArray]
    """Level cost per month by way: `buy` first, then each way of renting that has offers."""
    break_even_utilisation: FloatArray
    """Share of all hours from which buying is cheaper than on-demand; infinite: never."""
    spot_factor: FloatArray | None
    """Hours paid on spot machines over hours of undisturbed work; None without spot offers."""
    checkpoint_minutes: FloatArray | None
    """Best time between checkpoints on spot machines."""

    @property
    def utilisation(self) -> float:
        """Share of all hours in which the GPUs would be in use."""
        return self.hours_per_month / HOURS_PER_MONTH

    @property
    def cheapest(self) -> str:
        """The way of lowest expected cost."""
        return min(self.usd_per_month, key=lambda way: float(self.usd_per_month[way].mean()))

    @property
    def chance_buying_is_cheaper(self) -> float:
        """Share of draws in which buying costs less than renting on demand."""
        ways = self.usd_per_month
        return float((ways["buy"] < ways["on_demand"]).mean())


def buy_or_rent(
    gpu: str,
    gpus: int,
    *,
    hours_per_month: float,
    years: float,
    discount_rate_per_year: float | None = None,
    given: Mapping[str, Quantity] | None = None,
    seed: int = 7,
) -> BuyOrRent:
    """Level cost per month of buying and of each way of renting, for so many hours in use.

    `given` replaces ranges by name, such as {"on_demand_usd_per_gpu_hour": Quantity.of(2.5)}.
    Rents move over the years by the range of past price changes; a spot machine works again what
    it lost, with checkpoints at Young's interval (`training.spot`). Left out: tax, and what a
    bought GPU earns from others while it idles.
    """
    spec = gpu_spec(gpu)
    rate = assumption("finance.discount_rate_per_year").mean()
    rate = rate if discount_rate_per_year is None else discount_rate_per_year
    _check(gpus, hours_per_month, years)
    inputs = _inputs(spec.id, given or {})
    d = sample(inputs, n=DRAWS, seed=seed)
    own = _own(d, gpus, years, rate)
    level = _level_price(d["price_change_per_year"], years, rate)
    minutes, factor = _spot(d, gpus) if "spot_usd_per_gpu_hour" in inputs else (None, None)
    monthly = {"buy": np.broadcast_to(own.total_usd(hours_per_month * 12) / 12, DRAWS)}
    for tier in (*RENTED, *COMMITTED):
        if f"{tier}_usd_per_gpu_hour" in inputs:
            price = d[f"{tier}_usd_per_gpu_hour"] * gpus
            again = factor if tier == "spot" and factor is not None else 1.0
            paid = HOURS_PER_MONTH if tier in COMMITTED else hours_per_month * again * level
            monthly[tier] = np.broadcast_to(price * paid, DRAWS)
    rent = d["on_demand_usd_per_gpu_hour"] * level
    return BuyOrRent(
        gpu=spec.id,
        gpus=gpus,
        hours_per_month=hours_per_month,
        years=years,
        discount_rate_per_year=rate,
        inputs=inputs,
        own=own,
        usd_per_month=monthly,
        break_even_utilisation=np.broadcast_to(own.break_even_utilisation(gpus, rent), DRAWS),
        spot_factor=factor,
        checkpoint_minutes=minutes,
    )


def _check(gpus: int, hours_per_month: float, years: float) -> None:
    if not 0 <= hours_per_month <= HOURS_PER_MONTH:
        raise InputError(f"hours per month {hours_per_month:g}: from 0 to {HOURS_PER_MONTH:.0f}")
    if gpus < 1:
        raise InputError(f"GPUs {gpus}: must be 1 or more")
    if not 0 < years <= 15:
        raise InputError(f"years {years:g}: must be above 0 and at most 15")


def _inputs(gpu: str, given: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """Every range, the user's own in place of the default."""
    spec = gpu_spec(gpu)
    ranges = {name: assumption(f"hardware.{name}") for name in HARDWARE}
    ranges |= ownership_assumptions()
    ranges["interruptions_per_node_hour"] = interruption_figures().spot_interruptions_per_node_hour
    ranges["price_change_per_year"] = assumption("prices.gpu_price_change_per_year")
    for tier in (*RENTED, *COMMITTED):
        if offers_of(gpu, tier=tier):
            ranges[f"{tier}_usd_per_gpu_hour"] = gpu_price(gpu, tier=tier)
    if spec.purchase_price_usd is not None:
        ranges["purchase_usd_per_gpu"] = spec.purchase_price_usd
    if spec.tdp_watts is not None:
        ranges["watts_per_gpu"] = Quantity(value=spec.tdp_watts, unit="W", source=spec.source)
    ranges |= given
    for needed, option in (
        ("purchase_usd_per_gpu", "--purchase-price"),
        ("on_demand_usd_per_gpu_hour", "--rent"),
        ("watts_per_gpu", "--watts"),
    ):
        if needed not in ranges:
            raise InputError(f"{gpu}: no {needed} is known; give {option}")
    return ranges


def _own(d: Draws, gpus: int, years: float, rate: float) -> OwnCost:
    kilowatts = gpus * d["watts_per_gpu"] / 1000 * d["server_power_factor"]
    return own_cost(
        price_usd=gpus * d["purchase_usd_per_gpu"] * d["server_overhead_factor"],
        residual_share=value_left_share(d["residual_share"], d["useful_life_years"], years),
        years=years,
        rate_per_year=rate,
        kilowatts=kilowatts,
        idle_power_share=d["idle_power_share"],
        pue=d["pue"],
        usd_per_kwh=d["electricity_usd_per_kwh"],
        colocation_usd_per_kw_month=d["colocation_usd_per_kw_month"],
        ops_share=d["ops_share"],
    )


def _level_price(change_per_year: FloatArray, years: float, rate: float) -> FloatArray:
    """Mean of the price over the years relative to today's, weighted by present value."""
    months = max(round(years * 12), 1)
    weight = discount_factors(months, rate)
    growth = (1 + np.atleast_1d(change_per_year)[:, None]) ** (np.arange(months) / 12)
    return np.asarray(growth @ weight / weight.sum())


def _spot(d: Draws, gpus: int) -> tuple[FloatArray, FloatArray]:
    """Best minutes between checkpoints, and hours paid over hours of undisturbed work.

    A job on several nodes stops when any of them is taken away; one that runs all month loses
    least by checkpoints at that interval.
    """
    nodes = np.ceil(gpus / 8)
    hours = 1 / d["interruptions_per_node_hour"]
    if "preemption_hours" in d:
        hours = d["preemption_hours"]
    found = stretch(
        HOURS_PER_MONTH,
        mtbf_hours=hours / nodes,
        checkpoint_hours=d["checkpoint_minutes"] / 60,
        restart_hours=d["restart_minutes"] / 60,
    )
    minutes = found.checkpoint_every_hours * 60
    return np.broadcast_to(minutes, DRAWS), np.broadcast_to(found.paid, DRAWS)
