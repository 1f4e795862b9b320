"""Worked examples of the methods, to their printed digits; those of cash flows, of choosing, of
the value of information and of break-even stand with the functions in test_decision_*.py."""

import numpy as np
import pytest
from scipy.stats import norm

from estimator.decision.buy_or_rent import buy_or_rent
from estimator.decision.choose import certainty_equivalent
from estimator.errors import InputError
from estimator.hardware.ownership import OwnCost, annuity_usd, own_cost, ownership_assumptions
from estimator.quantity import Quantity

FIXED = {
    "purchase_usd_per_gpu": 35_000.0,
    "server_overhead_factor": 1.0,
    "residual_share": 0.15,
    "useful_life_years": 4.0,
    "watts_per_gpu": 1000.0,
    "server_power_factor": 1.0,
    "idle_power_share": 1.0,
    "pue": 1.35,
    "electricity_usd_per_kwh": 0.1,
    "colocation_usd_per_kw_month": 170.0,
    "ops_share": 0.06,
    "on_demand_usd_per_gpu_hour": 2.95,
    "price_change_per_year": 0.0,
}


def eight_h100() -> OwnCost:
    """8 x H100 for $280k over 4 years at 8 %, 15 % residual value; 8 kW, drawn to 80 %."""
    return own_cost(
        price_usd=280_000,
        residual_share=0.15,
        years=4,
        rate_per_year=0.08,
        kilowatts=8.0 * 0.8,
        idle_power_share=1.0,
        pue=1.35,
        usd_per_kwh=0.10,
        colocation_usd_per_kw_month=170 / 0.8,
        ops_share=0.06,
    )


def test_owning_eight_h100_for_a_year() -> None:
    own = eight_h100()
    assert own.capital_usd == pytest.approx(75_217, abs=0.5)
    assert own.fixed_power_usd == pytest.approx(7_569, abs=0.5)
    assert own.colocation_usd == pytest.approx(16_320)
    assert own.ops_usd == pytest.approx(16_800)
    assert own.total_usd(5000) == pytest.approx(115_906, abs=0.5)
    per_hour = own.usd_per_gpu_hour(8, np.array([1.0, 0.6, 0.3]))
    assert per_hour == pytest.approx([1.654, 2.757, 5.513], abs=5e-4)
    assert own.break_even_utilisation(8, 2.95) == pytest.approx(0.561, abs=5e-4)


def test_the_command_gives_the_same_for_the_same_inputs() -> None:
    """With the power of 8 kW at full draw: 1,892 more a year for electricity than at 80 %."""
    given = {name: Quantity.of(value) for name, value in FIXED.items()}
    found = buy_or_rent(
        "h100", 8, hours_per_month=400, years=4, discount_rate_per_year=0.08, given=given
    )
    yearly = 115_906 + 0.2 * 8.0 * 1.35 * 0.10 * 8760
    assert found.usd_per_month["buy"] == pytest.approx(yearly / 12, abs=0.1)
    assert found.usd_per_month["on_demand"] == pytest.approx(400 * 8 * 2.95)
    share = yearly / (8760 * 8 * 2.95)
    assert found.break_even_utilisation == pytest.approx(share, rel=1e-5)
    assert (found.utilisation < share) == (found.chance_buying_is_cheaper == 0)
    assert found.chance_buying_is_cheaper == 0


def test_fine_tuning_alone_does_not_fill_a_node() -> None:
    """200 GPU hours a year are 0.3 % of an 8-GPU node: renting wins by far."""
    assert pytest.approx(0.003, abs=5e-4) == 200 / (8 * 8760)
    found = buy_or_rent("h100", 8, hours_per_month=200 / 8 / 12, years=3)
    assert found.chance_buying_is_cheaper == 0
    buy, rent = (found.usd_per_month[way].mean() for way in ("buy", "on_demand"))
    assert buy > 50 * rent


def test_buying_wins_by_the_use_of_the_gpus() -> None:
    chances = [
        buy_or_rent("h100", 8, hours_per_month=hours, years=3).chance_buying_is_cheaper
        for hours in (0, 50, 150, 300, 730)
    ]
    assert chances == sorted(chances)
    assert chances[0] == 0
    assert chances[-1] > 0.8


def test_spot_machines_that_are_taken_away_often_cost_more_time() -> None:
    often, rarely = (
        buy_or_rent(
            "h100",
            16,
            hours_per_month=300,
            years=3,
            given={"preemption_hours": Quantity.of(hours)},
        )
        for hours in (2.0, 200.0)
    )
    assert often.spot_factor is not None
    assert rarely.spot_factor is not None
    assert (often.spot_factor > rarely.spot_factor).all()
    assert (rarely.spot_factor > 1).all()
    # to first order: writing a checkpoint, half an interval and the restart lost each time
    d, m = 1 / 60, 100.0  # two nodes: either stops the job
    interval = np.sqrt(2 * d * m)
    expected = 1 + d / interval + (interval / 2 + 10 / 60) / m
    one = buy_or_rent(
        "h100",
        16,
        hours_per_month=300,
        years=3,
        given={
            "preemption_hours": Quantity.of(200.0),
            "checkpoint_minutes": Quantity.of(1.0),
            "restart_minutes": Quantity.of(10.0),
        },
    )
    assert one.spot_factor == pytest.approx(expected, rel=2e-3)
    assert one.checkpoint_minutes == pytest.approx(60 * interval, rel=1e-6)


def test_annuity_without_interest_is_a_straight_line() -> None:
    assert annuity_usd(1000.0, 200.0, 4, 0.0) == pytest.approx(200)
    assert annuity_usd(1000.0, 200.0, 4, 1e-9) == pytest.approx(200, rel=1e-6)


def test_certainty_equivalent_of_a_normal_payoff() -> None:
    """Mean - variance / (2 R) for exponential utility (Howard)."""
    payoff = 100 + 30 * norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert certainty_equivalent(payoff, 200.0) == pytest.approx(100 - 30**2 / 400, abs=0.01)
    assert certainty_equivalent(payoff, 1e9) == pytest.approx(100, abs=1e-3)
    assert certainty_equivalent(np.full(8, -3e9), 1.0) == pytest.approx(-3e9)
    with pytest.raises(InputError, match="risk tolerance 0: must be above 0"):
        certainty_equivalent(payoff, 0.0)


def test_ranges_of_owning_have_their_sources() -> None:
    for name, quantity in ownership_assumptions().items():
        assert quantity.source, name
        assert quantity.as_of, name
        assert not quantity.is_fixed, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hours_per_month": 731}, "hours per month 731: from 0 to 730"),
        ({"years": 0}, "years 0: must be above 0"),
        ({"gpus": 0}, "GPUs 0: must be 1 or more"),
    ],
)
def test_wishes_that_cannot_be_are_refused(changes: dict[str, float], message: str) -> None:
    wish = {"gpus": 8, "hours_per_month": 100.0, "years": 3.0, **changes}
    with pytest.raises(InputError, match=message):
        buy_or_rent("h100", int(wish.pop("gpus")), **wish)
