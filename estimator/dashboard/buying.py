"""What the section "Buy or rent GPUs" shows: one result per wish, kept within bounds."""

from dataclasses import dataclass
from functools import cache

import streamlit as st

from estimator.dashboard.results import _keep
from estimator.decision.buy_or_rent import HOURS_PER_MONTH, buy_or_rent
from estimator.report.buy_or_rent_chart import usage_chart, usage_lines
from estimator.report.charts import Chart
from pricing import gpu_specs, offers_of

ALL_HOURS = int(HOURS_PER_MONTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Which GPUs, how many, and how much they would be used."""

    gpu: str
    gpus: int
    hours_per_month: float
    years: float
    discount_rate_per_year: float
    currency: str
    """In which amounts are shown."""


@_keep(st.cache_data, 64)
def bought_or_rented(use: Use) -> tuple[Chart, tuple[str, ...]]:
    """Cost of buying and of each way of renting over the hours of use, and what else to know."""
    idle, always, now = (
        buy_or_rent(
            use.gpu,
            use.gpus,
            hours_per_month=hours,
            years=use.years,
            discount_rate_per_year=use.discount_rate_per_year,
        )
        for hours in (0.0, HOURS_PER_MONTH, use.hours_per_month)
    )
    return usage_chart(idle, always, now), usage_lines(now)


@cache
def sold_and_rented() -> tuple[str, ...]:
    """GPUs of which both a price to buy and an offer to rent are known."""
    return tuple(
        name
        for name, spec in gpu_specs().items()
        if spec.purchase_price_usd is not None
        and spec.tdp_watts is not None
        and offers_of(name, tier="on_demand")
    )
