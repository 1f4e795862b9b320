"""Buying against renting with every input known: each cost worked out by hand."""

import numpy as np
import numpy_financial as npf
import pytest

from estimator.decision.buy_or_rent import BuyOrRent, buy_or_rent
from estimator.errors import InputError
from estimator.quantity import Quantity
from pricing import assumption, gpu_price, gpu_spec, offers_of

KNOWN = {
    "purchase_usd_per_gpu": 35_000.0,
    "server_overhead_factor": 1.1,
    "residual_share": 0.1,
    "useful_life_years": 5.0,
    "watts_per_gpu": 700.0,
    "server_power_factor": 1.5,
    "idle_power_share": 0.3,
    "pue": 1.2,
    "electricity_usd_per_kwh": 0.1,
    "colocation_usd_per_kw_month": 100.0,
    "ops_share": 0.05,
    "on_demand_usd_per_gpu_hour": 3.0,
    "spot_usd_per_gpu_hour": 1.5,
    "reserved_1y_usd_per_gpu_hour": 2.0,
    "reserved_3y_usd_per_gpu_hour": 1.6,
    "price_change_per_year": -0.2,
    "interruptions_per_node_hour": 0.01,
    "checkpoint_minutes": 1.0,
    "restart_minutes": 10.0,
}


def known(gpus: int = 8, hours: float = 300.0, years: float = 2.0, **changes: float) -> BuyOrRent:
    given = {name: Quantity.of(value) for name, value in {**KNOWN, **changes}.items()}
    return buy_or_rent(
        "h100", gpus, hours_per_month=hours, years=years, discount_rate_per_year=0.08, given=given
    )


def own_usd_per_year(busy_hours: float) -> float:
    """8 GPUs in servers of $308,000 and 8.4 kW, worth 64 % of that after 2 of 5 years."""
    price, kilowatts = 8 * 35_000 * 1.1, 8 * 0.7 * 1.5
    capital = float(npf.pmt(0.08, 2, -price, (1 - 0.9 * 2 / 5) * price))
    power = kilowatts * 1.2 * 0.1 * (0.3 * 8760 + 0.7 * busy_hours)
    return capital + power + kilowatts * 100 * 12 + 0.05 * price


def mean_price(months: int = 24) -> float:
    """Of so many months at 20 % less each year, weighted by present value at 8 % a year."""
    weights = [1.08 ** (-month / 12) for month in range(months)]
    prices = [0.8 ** (month / 12) for month in range(months)]
    return sum(w * p for w, p in zip(weights, prices, strict=True)) / sum(weights)


def test_every_way_by_hand() -> None:
    found = known()
    usd = {way: float(cost[0]) for way, cost in found.usd_per_month.items()}
    assert usd["buy"] == pytest.approx(own_usd_per_year(3600) / 12)
    assert usd["on_demand"] == pytest.approx(300 * 8 * 3.0 * mean_price())
    assert usd["reserved_1y"] == pytest.approx(730 * 8 * 2.0)  # for every hour, at a fixed price
    assert usd["reserved_3y"] == pytest.approx(730 * 8 * 1.6)
    assert found.spot_factor is not None
    assert usd["spot"] == pytest.approx(300 * 8 * 1.5 * mean_price() * float(found.spot_factor[0]))
    assert found.cheapest == min(usd, key=lambda way: usd[way])
    assert all(np.ptp(cost) == 0 and cost.size == 4096 for cost in found.usd_per_month.values())
    assert found.utilisation == pytest.approx(300 / 730)


def test_at_the_break_even_use_buying_costs_what_renting_does() -> None:
    share = float(known().break_even_utilisation[0])
    assert 0 < share < 1
    for hours, chance in ((730 * share * 0.999, 0), (730 * share * 1.001, 1)):
        assert known(hours=hours).chance_buying_is_cheaper == chance
    at = known(hours=730 * share).usd_per_month
    assert at["buy"] == pytest.approx(at["on_demand"])


def test_parts_of_a_month_are_rounded_and_no_time_is_one_month() -> None:
    assert known(years=0.02).usd_per_month["on_demand"] == pytest.approx(300 * 8 * 3.0)
    assert known(years=1 / 12).usd_per_month["on_demand"] == pytest.approx(300 * 8 * 3.0)
    three_months = known(years=0.28).usd_per_month["on_demand"]
    assert three_months == pytest.approx(300 * 8 * 3.0 * mean_price(3))


@pytest.mark.parametrize(("gpus", "nodes"), [(1, 1), (8, 1), (9, 2), (24, 3)])
def test_spot_machines_cost_what_daly_says(gpus: int, nodes: int) -> None:
    """Hours M between interruptions of any node, checkpoints of d hours every sqrt(2 d M)."""
    found = known(gpus)
    mean, writing, restart = 100 / nodes, 1 / 60, 10 / 60
    interval = (2 * writing * mean) ** 0.5
    paid = mean / interval * np.exp(restart / mean) * (np.exp((interval + writing) / mean) - 1)
    assert found.checkpoint_minutes == pytest.approx(60 * interval)
    assert found.spot_factor == pytest.approx(paid)


def test_the_ends_of_what_may_be_asked() -> None:
    assert known(hours=0).usd_per_month["on_demand"].max() == 0
    assert known(gpus=1, hours=730, years=15).utilisation == 1
    for wish in ({"hours": -1}, {"hours": 731}, {"gpus": 0}, {"years": 0}, {"years": 15.1}):
        with pytest.raises(InputError):
            known(**wish)  # type: ignore[arg-type]


def test_what_is_not_given_is_assumed() -> None:
    found = buy_or_rent("h100", 8, hours_per_month=300, years=3)
    rate = assumption("finance.discount_rate_per_year").mean()
    assert found.discount_rate_per_year == rate
    assert found.inputs["pue"] == assumption("hardware.pue")
    for tier in ("on_demand", "spot", "reserved_1y", "reserved_3y"):
        name = f"{tier}_usd_per_gpu_hour"
        if offers_of(found.gpu, tier=tier):  # type: ignore[arg-type]
            assert found.inputs[name] == gpu_price(found.gpu, tier=tier)  # type: ignore[arg-type]
        else:
            assert name not in found.inputs
    assert found.inputs["watts_per_gpu"].unit == "W"
    assert found.inputs["watts_per_gpu"].source == gpu_spec(found.gpu).source
    again = buy_or_rent("h100", 8, hours_per_month=300, years=3, seed=8)
    assert (again.usd_per_month["buy"] != found.usd_per_month["buy"]).any()
    assert again.usd_per_month["buy"].mean() == pytest.approx(
        found.usd_per_month["buy"].mean(), rel=0.01
    )
