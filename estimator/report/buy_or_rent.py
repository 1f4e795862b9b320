"""Buying against renting GPUs, for the terminal and as data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from estimator.decision.buy_or_rent import HOURS_PER_MONTH, BuyOrRent
from estimator.decision.wording import money, percent
from estimator.report.inputs import spread
from estimator.report.layout import facts, heading, notes, table
from estimator.report.ranges import range_of

WAYS = {
    "buy": "Buy",
    "on_demand": "Rent on demand",
    "spot": "Rent spot machines",
    "reserved_1y": "Rent, reserved for 1 year",
    "reserved_3y": "Rent, reserved for 3 years",
}


def buy_or_rent_dict(found: BuyOrRent) -> dict[str, Any]:
    """The result in the shape that `tuneroi buy-or-rent --json` promises."""
    return {
        "gpu": found.gpu,
        "gpus": found.gpus,
        "hours_per_month": found.hours_per_month,
        "utilisation": found.utilisation,
        "years": found.years,
        "discount_rate_per_year": found.discount_rate_per_year,
        "usd_per_month": {way: range_of(usd) for way, usd in found.usd_per_month.items()},
        "own_usd_per_year": {
            name: range_of(part)
            for name, part in (
                ("capital", found.own.capital_usd),
                ("power_when_idle", found.own.fixed_power_usd),
                ("power_when_busy", found.own.power_usd_per_busy_hour * found.hours_per_month * 12),
                ("colocation", found.own.colocation_usd),
                ("operations", found.own.ops_usd),
            )
        },
        "break_even_utilisation": range_of(found.break_even_utilisation, mean=False),
        "chance_buying_is_cheaper": found.chance_buying_is_cheaper,
        "cheapest": found.cheapest,
        "spot_time_factor": None if found.spot_factor is None else range_of(found.spot_factor),
        "checkpoint_minutes": (
            None if found.checkpoint_minutes is None else range_of(found.checkpoint_minutes)
        ),
        "inputs": {name: q.model_dump_fields() for name, q in sorted(found.inputs.items())},
    }


def buy_or_rent_parts(found: BuyOrRent) -> Iterator[RenderableType]:
    """The answer, each way's cost, what owning consists of, and when it pays."""
    yield heading(
        f"{found.gpus} x {found.gpu}, {found.hours_per_month:g} hours a month, "
        f"{found.years:g} years",
        f"in use {percent(found.utilisation)} of all hours",
    )
    yield Text(sentence(found), style="bold green")
    used = found.hours_per_month * found.gpus
    rows = [
        (
            WAYS[way],
            money(float(usd.mean())),
            "{} to {}".format(*(money(float(q)) for q in np.quantile(usd, [0.1, 0.9]))),
            money(float(usd.mean()) / used) if used else "n/a",
        )
        for way, usd in sorted(found.usd_per_month.items(), key=lambda pair: pair[1].mean())
    ]
    yield table("Level cost per month", ("", "Mean", "P10 to P90", "Per useful GPU hour"), rows)
    own, busy = found.own, found.hours_per_month * 12
    yield facts(
        "Owning, per year",
        [
            ("capital", _mean(own.capital_usd), "price less resale value, as an annuity"),
            ("power", _mean(own.total_usd(busy) - own.fixed_usd + own.fixed_power_usd), ""),
            ("rack", _mean(own.colocation_usd), ""),
            ("support and repair", _mean(own.ops_usd), ""),
        ],
    )
    yield notes("To know", _to_know(found))


def sentence(found: BuyOrRent) -> str:
    """Buy or rent, how sure, and the use from which buying wins."""
    chance = found.chance_buying_is_cheaper
    better, sure = ("buying", chance) if chance >= 0.5 else ("renting on demand", 1 - chance)
    limit = float(np.median(found.break_even_utilisation))
    if limit > 1:
        when = "buying would not pay even if they were never idle"
    else:
        when = (
            f"buying pays from about {limit * HOURS_PER_MONTH:.0f} hours a month "
            f"({percent(limit)} of all hours)"
        )
    return f"At this use {better} is cheaper in {percent(sure)} of cases; {when}."


def _mean(usd: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    return money(float(np.mean(usd)))


def _to_know(found: BuyOrRent) -> Iterator[str]:
    low, high = np.quantile(found.break_even_utilisation, [0.1, 0.9])
    far = percent(float(high)) if high <= 1 else "never"
    yield f"use from which buying pays, P10 to P90: {percent(float(min(low, 1.0)))} to {far}"
    if found.spot_factor is not None and found.checkpoint_minutes is not None:
        longer, every = np.median(found.spot_factor) - 1, np.median(found.checkpoint_minutes)
        yield (
            f"spot machines work {longer:.0%} longer (median), "
            f"with a checkpoint about every {every:.0f} minutes"
        )
    reserved = [WAYS[way].lower() for way in found.usd_per_month if way.startswith("reserved")]
    if reserved:
        yield "reserved GPUs are paid for every hour, used or not"
    yield (
        "rents are spread as the market's offers are: who takes the cheapest ones rents for less "
        "than the mean; name yours with --rent"
    )
    yield "fine-tuning alone rarely fills a node: a few hundred GPU hours a year are far below 5 %"
    for name in ("purchase_usd_per_gpu", "on_demand_usd_per_gpu_hour"):
        q = found.inputs[name]
        yield f"{name}: {spread(q)} ({q.source}, {q.as_of or 'no date'}, {q.evidence or 'yours'})"
