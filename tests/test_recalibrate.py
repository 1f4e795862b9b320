"""A user's few measurements: exact ones change nothing, slower ones slow, more narrow the range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.catalogue import catalogue_architecture
from estimator.quantity import FloatArray
from estimator.training.calibrate import batch, predict
from estimator.training.published import Measurement
from estimator.training.recalibrate import NOISE, _linear, misfit, recalibrate
from estimator.training.recipe import Stack, TrainingRecipe
from pricing.gpus import gpu_spec

MODEL = catalogue_architecture("mistralai/Mistral-7B-v0.1")


def measured(
    rate: float = 1000.0,
    *,
    micro_batch: int = 4,
    length: int = 2048,
    stack: Stack = "huggingface",
    gpu: str = "a100-sxm4-80gb",
) -> Measurement:
    recipe = TrainingRecipe(
        method="lora",
        micro_batch=micro_batch,
        sequence_length=length,
        gradient_accumulation=1,
        stack=stack,
    )
    return Measurement(
        row_id="own",
        source="own",
        architecture=MODEL,
        recipe=recipe,
        cluster=Cluster.of(gpu_spec(gpu), 1),
        number_format="fp16" if gpu.startswith("v100") else "bf16",
        kernel="sdpa",
        virtual_stages=1,
        tokens_per_second_per_gpu=rate,
    )


CASES = tuple(measured(micro_batch=b, length=n) for b in (1, 4, 16) for n in (512, 2048, 8192))


def rates(cases: tuple[Measurement, ...], calibration: Calibration) -> FloatArray:
    found = predict(batch(cases, calibration.values), calibration.values)
    return np.asarray(found.tokens_per_second_per_gpu)


def as_predicted(
    cases: tuple[Measurement, ...], factors: float | FloatArray = 1.0
) -> tuple[Measurement, ...]:
    """The cases measured at the shipped prediction times a factor."""
    expected = rates(cases, shipped_calibration()) * factors
    return tuple(
        measured(float(r), micro_batch=c.recipe.micro_batch, length=c.recipe.sequence_length)
        for c, r in zip(cases, expected, strict=True)
    )


@pytest.mark.parametrize("count", [1, 3, 9])
def test_exact_predictions_change_nothing(count: int) -> None:
    shipped = shipped_calibration()
    shifted = recalibrate(shipped, as_predicted(CASES[:count]))
    assert rates(CASES, shifted) == pytest.approx(rates(CASES, shipped), rel=1e-9)


def test_no_measurements_leave_the_calibration() -> None:
    assert recalibrate(shipped_calibration(), []) is shipped_calibration()


@settings(max_examples=15)
@given(factor=st.floats(0.75, 1.33), count=st.integers(1, 6))
def test_predictions_move_towards_the_measurements_and_not_beyond(
    factor: float, count: int
) -> None:
    own = as_predicted(CASES[:count], factor)
    moved = np.log(rates(own, recalibrate(shipped_calibration(), own)))
    before, aim = np.log(rates(own, shipped_calibration())), np.log(factor)
    share = (moved - before) * np.sign(aim)
    assert np.all(share >= -1e-9) and np.all(share <= abs(aim) * 1.05 + 1e-9)


def test_rows_all_a_fifth_slower_slow_what_was_not_measured() -> None:
    own, others = CASES[::2], CASES[1::2]
    shifted = recalibrate(shipped_calibration(), as_predicted(own, 0.8))
    ratio = rates(others, shifted) / rates(others, shipped_calibration())
    assert ratio == pytest.approx(np.full(len(others), 0.8), rel=0.06)


def test_one_row_is_shrunk_and_more_rows_less_so() -> None:
    case, moves = CASES[4:5], []
    for count in (1, 3, 8):
        own = as_predicted(CASES[4:5] * count, 0.8)
        ratio = rates(case, recalibrate(shipped_calibration(), own))
        moves.append(float(ratio[0] / rates(case, shipped_calibration())[0]))
    assert 1.0 > moves[0] > moves[1] > moves[2] > 0.8


def test_the_update_is_that_of_a_linear_gaussian_model() -> None:
    # Against the other form of the same posterior, with the inverse of the parameters' size:
    # x = (J'J / noise^2 + P^-1)^-1 J' y / noise^2 (Bishop, 2006, equation 3.50).
    shipped, own = shipped_calibration(), as_predicted(CASES, 0.9)
    linear = _linear(shipped, batch(own, shipped.values))
    j, y, p = linear.jacobian, linear.residuals, linear.variances
    precision = j.T @ j / NOISE**2 + np.diag(1.0 / p)
    expected = np.linalg.solve(precision, j.T @ y / NOISE**2)
    limits = 1.5 * np.sqrt(p)
    shifted = recalibrate(shipped, own)
    found = [
        np.log(shifted.parameters[n].entries[k].value / entry.value)
        for (n, k), entry in linear.entries.items()
    ]
    assert found == pytest.approx(np.clip(expected, -limits, limits), abs=1e-6)
    left = np.sqrt(np.diag(np.linalg.inv(precision)) / p)
    for ((n, k), entry), share in zip(linear.entries.items(), left, strict=True):
        sd = shifted.parameters[n].entries[k].log_sd
        assert sd == pytest.approx(entry.log_sd * share, rel=1e-4)


def test_more_rows_narrow_the_range_of_what_they_cover() -> None:
    shipped = shipped_calibration()
    factors = [shipped.spread["seen"].factor]
    for count in (1, 5, 10):
        own = as_predicted((CASES * 2)[:count], 0.9)
        shifted = recalibrate(shipped, own)
        factors.append(shifted.efficiency_factor("Ampere", "huggingface").p10_p50_p90()[2])
        elsewhere = shifted.efficiency_factor("Hopper", "megatron").p10_p50_p90()[2]
        assert elsewhere == pytest.approx(shipped.spread["both_unseen"].factor)
    assert factors == sorted(factors, reverse=True)
    assert factors[0] > factors[2] > factors[3]


def test_other_stacks_keep_their_own_factor() -> None:
    shifted = recalibrate(shipped_calibration(), as_predicted(CASES, 0.7))
    before = shipped_calibration().values["stack_factor"]
    after = shifted.values["stack_factor"]
    assert after["huggingface"] > before["huggingface"]
    assert all(after[s] == before[s] for s in before if s != "huggingface")


def test_rows_that_contradict_each_other_move_little_and_narrow_nothing() -> None:
    same = CASES[4:5] * 6
    own = as_predicted(same, np.array([0.4, 2.5, 0.4, 2.5, 0.4, 2.5]))
    shipped = shipped_calibration()
    assert misfit(_linear(shipped, batch(own, shipped.values))) > 12.0
    shifted = recalibrate(shipped, own)
    assert "contradict" in shifted.name
    assert shifted.spread == shipped.spread and shifted.stacks_seen == shipped.stacks_seen
    assert rates(CASES, shifted) == pytest.approx(rates(CASES, shipped), rel=0.05)


def test_a_generation_without_data_gets_entries_of_its_own() -> None:
    case = measured(1.0, gpu="v100-sxm2-32gb")
    shipped = shipped_calibration()
    assert "volta" not in shipped.values["matmul_efficiency"]
    expected = float(rates((case,), shipped)[0])
    own = [measured(0.8 * expected, gpu="v100-sxm2-32gb")] * 5
    shifted = recalibrate(shipped, own)
    assert (
        shifted.values["matmul_efficiency"]["volta"] < shipped.values["matmul_efficiency"]["other"]
    )
    assert (
        shifted.values["matmul_efficiency"]["other"] == shipped.values["matmul_efficiency"]["other"]
    )
    assert shifted.generations_seen == ("volta",) and shifted.rows == 5
