"""A run's draws against the published sequence, and what a bare size, GPUs and experts change."""

from dataclasses import replace

import numpy as np
import pytest
from toys import MIXTURE

import estimator.training.run as run_module
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.quantity import Quantity
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import Range, RunAssumptions, TrainingRun, estimate_run
from pricing import gpu_spec

H100 = gpu_spec("h100-sxm5-80gb")
CERTAIN = shipped_calibration().model_copy(
    update={
        "spread": {
            level: spread.model_copy(update={"factor": 1.0})
            for level, spread in shipped_calibration().spread.items()
        }
    }
)
UNIFORM = Quantity(low=0.0, high=1.0)


def test_draws_follow_the_golden_ratio_and_its_kin() -> None:
    """Roberts, 2018: phi_1 = 1.618034; phi_2 = 1.324718, whose powers are 0.754878 and 0.569840."""
    one = run_module._draws({"a": UNIFORM})["a"]
    assert one.shape == (4096,)
    assert one[:2] == pytest.approx([0.118034, 0.736068], abs=1e-6)
    two = run_module._draws({"a": UNIFORM, "fixed": Quantity(value=3.0), "b": UNIFORM})
    assert two["a"][:2] == pytest.approx([0.254878, 0.009756], abs=1e-6)
    assert two["b"][:2] == pytest.approx([0.069840, 0.639681], abs=1e-6)
    assert float(two["fixed"]) == 3.0
    assert abs(np.corrcoef(two["a"], two["b"])[0, 1]) < 0.01


def assumed(**changes: float) -> RunAssumptions:
    plain = {"start_up_hours": 0.0, "download_gb_per_second": 1e12, "storage_usd_per_gb_month": 0.0,
             "storage_months": 0.0, "checkpoints_kept": 0.0, "bare_size_factor": 2.0}  # fmt: skip
    return RunAssumptions.model_validate({**plain, **changes})


RECIPE = TrainingRecipe(method="full", sharding="zero3", stack="torchtune")


def run(architecture=MIXTURE, gpus: int = 8, recipe=RECIPE, **changes: object) -> TrainingRun:
    given = {"tokens": 1e9, "epochs": 1, "price_usd_per_gpu_hour": 2.0, "calibration": CERTAIN,
             "assumptions": assumed(), **changes}  # fmt: skip
    return estimate_run(architecture, recipe, Cluster.of(H100, gpus), **given)


def test_a_bare_size_works_as_much_longer_as_assumed() -> None:
    known, bare = run(), run(replace(MIXTURE, typical=True))
    for name, times in (
        ("step_seconds", 2.0),
        ("gpu_hours", 2.0),
        ("cost_usd", 2.0),
        ("tokens_per_second_per_gpu", 0.5),
        ("mfu", 0.5),
        ("tokens", 1.0),
    ):
        before, after = getattr(known, name), getattr(bare, name)
        assert after.p50 == pytest.approx(times * before.p50), name


def test_hours_of_a_run_add_up() -> None:
    found = run(assumptions=assumed(start_up_hours=0.5), evaluation_tokens=2e9)
    evaluation = 2 * found.gpu_hours.p50 * float(found.step.forward_share)
    total = found.gpu_hours.p50 + evaluation + 8 * 0.5
    assert found.wall_clock_hours.p50 == pytest.approx(total / 8)
    assert found.billed_gpu_hours.p50 == pytest.approx(total)
    assert found.cost_usd.p50 == pytest.approx(2 * total)


def test_memory_is_that_of_all_its_gpus() -> None:
    alone, many = run(gpus=1).memory, run(gpus=8).memory
    assert many.weights == pytest.approx(float(alone.weights) / 8)


def test_checkpoints_hold_experts_too() -> None:
    """Three checkpoints for two months at 5 USD per GB and month."""
    storage = {"storage_usd_per_gb_month": 5.0, "storage_months": 2.0, "checkpoints_kept": 3.0}
    found = run(assumptions=assumed(**storage)).cost_parts_usd["checkpoint_storage"]
    assert found.p50 == pytest.approx(333552 * 2 / 1e9 * 3 * 2 * 5)


def test_a_range_of_draws() -> None:
    found = Range.of(np.arange(101))
    assert (found.p10, found.p50, found.p90, found.mean) == (10, 50, 90, 50)
