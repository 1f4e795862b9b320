"""Owning against renting, and interrupted GPUs: worked examples to their printed digits."""

from typing import Any

import numpy as np
import numpy_financial as npf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from estimator.serving.own_hardware import (
    annual_capital_usd,
    breakeven_utilisation,
    checkpoint_interval_seconds,
    interrupted_time_factor,
    owned_cost,
    owned_usd_per_gpu_hour,
)

NODE: dict[str, Any] = {
    "residual_share": 0.15,
    "rate_per_year": 0.08,
    "years": 4,
    "power_kw": 8.0,
    "pue": 1.35,
    "electricity_usd_per_kwh": 0.10,
    "load_share": 0.8,
    "colocation_usd_per_kw_month": 170.0,
    "operations_share_per_year": 0.06,
}


def test_eight_gpu_node_of_280_thousand_dollars() -> None:
    cost = owned_cost(280_000, **NODE)
    assert round(float(cost.capital_usd_per_year)) == 75_217
    assert round(float(cost.power_usd_per_year)) == 7_569
    assert round(float(cost.colocation_usd_per_year)) == 16_320
    assert round(float(cost.operations_usd_per_year)) == 16_800
    assert round(float(cost.usd_per_year)) == 115_906
    hourly = owned_usd_per_gpu_hour(cost.usd_per_year, gpus=8, utilisation=[1.0, 0.6, 0.3])
    assert hourly.round(3).tolist() == [1.654, 2.757, 5.513]
    share = breakeven_utilisation(cost.usd_per_year, gpus=8, rent_usd_per_gpu_hour=2.95)
    assert round(float(share) * 100, 1) == 56.1


@given(st.floats(0.001, 0.5), st.integers(1, 15), st.floats(0, 1))
def test_capital_is_the_annuity_of_numpy_financial(rate: float, years: int, kept: float) -> None:
    ours = annual_capital_usd(1000.0, residual_usd=1000 * kept, rate_per_year=rate, years=years)
    assert float(ours) == pytest.approx(-npf.pmt(rate, years, 1000.0, -1000 * kept))


def test_capital_without_interest_is_spread_evenly() -> None:
    flat = annual_capital_usd(1000.0, residual_usd=200.0, rate_per_year=[0.0, 1e-9], years=4)
    np.testing.assert_allclose(flat, [200.0, 200.0], rtol=1e-5)


@given(st.floats(0.1, 1.0), st.floats(0.5, 10))
def test_break_even_is_where_both_cost_the_same(factor: float, rent: float) -> None:
    yearly = owned_cost(280_000 * factor, **NODE).usd_per_year
    share = breakeven_utilisation(yearly, gpus=8, rent_usd_per_gpu_hour=rent)
    hourly = owned_usd_per_gpu_hour(yearly, gpus=8, utilisation=share)
    assert float(hourly) == pytest.approx(rent)


@pytest.mark.parametrize(("checkpoint", "mtbf"), [(30.0, 3_600.0), (300.0, 86_400.0)])
def test_interval_between_checkpoints_wastes_least(checkpoint: float, mtbf: float) -> None:
    def factor(interval: float) -> float:
        return float(
            interrupted_time_factor(
                interval,
                checkpoint_seconds=checkpoint,
                restart_seconds=60,
                mean_seconds_between_failures=mtbf,
            )
        )

    best = minimize_scalar(factor, bounds=(checkpoint, mtbf), method="bounded")
    ours = float(checkpoint_interval_seconds(checkpoint, mtbf))
    assert ours == pytest.approx(np.sqrt(2 * checkpoint * mtbf))
    assert ours == pytest.approx(best.x, rel=1e-3)
    assert factor(ours) > 1


def test_gpus_taken_away_too_often_never_finish() -> None:
    factor = interrupted_time_factor(
        600.0,
        checkpoint_seconds=60,
        restart_seconds=300,
        mean_seconds_between_failures=[100.0, 1e12],
    )
    assert factor[0] == np.inf
    assert factor[1] == pytest.approx(1 / 0.9)
