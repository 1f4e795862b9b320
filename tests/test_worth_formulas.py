"""Studies by hand: days, judging, GPU hours and examples in a world that is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from worlds import STEADY, world

from estimator.alternatives.labour import day_rates_usd
from estimator.alternatives.quality import resolution_rate
from estimator.alternatives.training_gpus import run_gpu_hours
from estimator.alternatives.world import World
from estimator.decision.evaluate import knowable
from estimator.decision.studies import Study, cost_usd, studies, truth
from estimator.decision.worth import group_inputs
from estimator.quantity import Quantity
from pricing import assumption

KNOWN: dict[str, Any] = {
    **STEADY,
    "data.examples": 1000,
    "data.ready_share": 0.4,
    "data.label_usd_per_example": {"low": 1, "high": 3},
    "data.rework_factor": 1.5,
    "training.gpu_usd_per_hour": 3,
}
PLAIN = Study(
    id="plain",
    name="",
    finds="",
    inputs=(),
    ways=(),
    sizes=(),
    relative_spread=None,
    person_days=Quantity.of(0),
    role="ml_engineer",
    gpu_hours=0,
    examples_share=0,
    wait_days=0,
    source="",
    as_of="",
)


@pytest.fixture(scope="module")
def steady() -> World:
    return world(KNOWN)


def day_usd(steady: World, role: str) -> float:
    return float(np.mean(day_rates_usd(steady)[role]))


def test_days_are_paid_at_the_rate_of_their_role(steady: World) -> None:
    days = replace(PLAIN, person_days=Quantity.of({"min": 1, "mode": 2, "max": 9}))
    assert cost_usd(days, steady, None) == pytest.approx(3 * day_usd(steady, "ml_engineer"))
    other = replace(days, role="domain_expert")
    assert cost_usd(other, steady, None) == pytest.approx(3 * day_usd(steady, "domain_expert"))
    assert cost_usd(PLAIN, steady, None) == 0


@pytest.mark.parametrize(("ways", "times"), [((), 1), (("rag",), 1), (("rag", "saas"), 2)])
def test_a_day_of_judging_is_eight_hours_of_an_expert(
    steady: World, ways: tuple[Any, ...], times: int
) -> None:
    size = round(100 * 8 * assumption("labelling.examples_per_hour").mean())
    days = size / (8 * assumption("labelling.examples_per_hour").mean())
    found = cost_usd(replace(PLAIN, ways=ways), steady, size)
    assert found == pytest.approx(times * days * day_usd(steady, "domain_expert"))


def test_gpu_hours_and_examples_are_paid_for(steady: World) -> None:
    """600 examples are missing at $3 each; a fifth of them and of a run is enough."""
    assert cost_usd(replace(PLAIN, gpu_hours=10), steady, None) == pytest.approx(30)
    tuned = replace(PLAIN, gpu_hours=10, examples_share=0.2)
    run = float(np.mean(run_gpu_hours(steady)))
    assert cost_usd(tuned, steady, None) == pytest.approx(
        600 * 3 * 0.2 + 3 * (10 + run * 0.2), rel=1e-3
    )


def test_what_a_pilot_and_a_measurement_would_see(steady: World) -> None:
    inputs = {"quality.a": np.ones(2), "quality.b": np.zeros(2), "demand.c": np.ones(2)}
    assert set(truth(replace(PLAIN, inputs=("quality.*", "value.*")), steady, inputs)) == {
        "quality.a",
        "quality.b",
    }
    seen = truth(replace(PLAIN, ways=("rag", "saas")), steady, inputs)
    assert list(seen) == [
        "resolved by rag",
        "wrong by rag",
        "resolved by saas",
        "wrong by saas",
    ]
    resolved = np.broadcast_to(resolution_rate(steady.draws, "rag"), steady.draws.n)
    np.testing.assert_array_equal(seen["resolved by rag"], resolved)
    np.testing.assert_array_equal(
        seen["wrong by saas"],
        np.broadcast_to(steady.draws["quality.error_rate.saas"], steady.draws.n),
    )
    few = world({**KNOWN, "alternatives": ["rag"]})
    assert truth(replace(PLAIN, ways=("rag", "saas")), few, knowable(few.draws)) == {}
    assert truth(replace(PLAIN, ways=("rag",)), few, knowable(few.draws)) != {}


def test_the_table_of_studies_is_read_whole() -> None:
    by_id = {study.id: study for study in studies()}
    tuned = by_id["pilot_finetune"]
    assert (tuned.ways, tuned.inputs) == (("finetune",), ())
    assert tuned.sizes == (50, 100, 200, 400, 800, 1600)
    assert (tuned.examples_share, tuned.wait_days, tuned.gpu_hours) == (0.2, 25, 0)
    assert (tuned.person_days.mean(), tuned.person_days.unit) == (
        pytest.approx((8 + 4 * 15 + 35) / 6),  # PERT
        "person-days",
    )
    assert by_id["trial_rag_saas"].ways == ("rag", "saas")


def test_the_first_group_that_fits_takes_an_input() -> None:
    names = (
        "managed.training_usd_per_mtok",
        "managed.search_runs",
        "managed.price",
        "value.x",
        "staged.y",
    )
    assert group_inputs({name: np.zeros(1) for name in names}) == {
        "training cost": ("managed.training_usd_per_mtok", "managed.search_runs"),
        "prices": ("managed.price",),
        "value of answers": ("value.x",),
    }
