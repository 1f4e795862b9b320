"""The update of a calibration by hand: one parameter, one or two rows."""

from math import exp, log, sqrt

import numpy as np
import pytest
from test_recalibrate import CASES, as_predicted

import estimator.training.recalibrate as recalibration
from estimator.hardware.calibration import Entry, Spread, shipped_calibration
from estimator.training.calibrate import batch
from estimator.training.recalibrate import _Linear, measured_spread_after, misfit

ENTRY = Entry(value=2.0, log_sd=0.3, prior=2.0, prior_log_sd=0.2, origin="assumed")
PLACE = ("matmul_efficiency", "hopper")


def linear(jacobian: list[list[float]], residuals: list[float], variances: list[float]) -> _Linear:
    entries = {(f"entry {i}", "all"): ENTRY for i in range(len(variances))}
    return _Linear(
        entries=entries,
        jacobian=np.array(jacobian),
        residuals=np.array(residuals),
        variances=np.array(variances),
    )


def test_one_row_moves_one_parameter_by_its_share_of_the_variance() -> None:
    """Prior 0.2, noise 0.1: four fifths of what was measured, a fifth of the variance left."""
    found = linear([[1.0]], [0.05], [0.04])
    shifts, left = recalibration._posterior(found, found.variances, 0.1)
    assert shifts == pytest.approx([0.04])
    assert left == pytest.approx([0.04 * 0.01 / 0.05])
    steep = linear([[2.0]], [0.05], [0.04])
    shifts, left = recalibration._posterior(steep, steep.variances, 0.1)
    assert shifts == pytest.approx([2 * 0.04 * 0.05 / (4 * 0.04 + 0.01)])
    assert left == pytest.approx([0.04 * 0.01 / (4 * 0.04 + 0.01)])


def test_no_parameter_moves_further_than_one_and_a_half_deviations() -> None:
    for residual, end in ((9.0, 0.3), (-9.0, -0.3)):
        found = linear([[1.0]], [residual], [0.04])
        assert recalibration._posterior(found, found.variances, 0.1)[0] == pytest.approx([end])


def test_rows_that_contradict_each_other_do_not_fit() -> None:
    """Their difference is noise alone, 2 x 0.06^2; what they share is prior as well."""
    noise = 0.06**2
    assert misfit(linear([[1.0]], [0.3], [0.04])) == pytest.approx(0.09 / (0.04 + noise))
    apart = linear([[1.0], [1.0]], [0.3, -0.3], [0.04])
    assert misfit(apart) == pytest.approx(0.09 / noise)
    together = linear([[1.0], [1.0]], [0.3, 0.3], [0.04])
    assert misfit(together) == pytest.approx(0.09 / (2 * 0.04 + noise))


def test_entries_take_their_shift_and_keep_what_is_unknown() -> None:
    found = linear([[1.0, 1.0, 1.0]], [0.1], [0.04, 0.04, 0.04])
    moved = dict(
        recalibration._moved(found, np.array([0.1, 0.0, 0.2]), np.array([0.01, 0.01, 0.04]))
    )
    first, still = moved["entry 0", "all"], moved["entry 1", "all"]
    assert first.value == pytest.approx(2 * exp(0.1))
    assert first.log_sd == pytest.approx(0.3 * sqrt(0.01 / 0.04))
    assert first.origin == "fitted" and first.prior == 2.0
    assert (still.value, still.log_sd) == (2.0, 0.3)
    assert ("entry 2", "all") not in moved  # nothing was learnt of it
    certain = dict(recalibration._moved(found, np.full(3, 0.1), np.array([-1e-18, 0.01, 0.04])))
    assert certain["entry 0", "all"].log_sd == 0.0


def test_a_parameter_is_as_uncertain_as_its_prior() -> None:
    assert recalibration._prior_sd(ENTRY) == 0.2
    unfitted = ENTRY.model_copy(update={"prior_log_sd": 0.0})
    assert recalibration._prior_sd(unfitted) == 0.3


def test_sensitivities_and_prior_variances() -> None:
    """Twice the overall factor on the time of a step is half the throughput."""
    shipped = shipped_calibration()
    found = recalibration._linear(shipped, batch(as_predicted(CASES, 0.5), shipped.values))
    assert found.residuals == pytest.approx([log(0.5)] * len(CASES))
    for (name, key), variance in zip(found.entries, found.variances, strict=True):
        held = shipped.parameters[name].entries[key]
        sd = held.prior_log_sd if held.prior_log_sd > 0 else held.log_sd
        assert sqrt(variance) == pytest.approx(sd)
    column = found.jacobian[:, list(found.entries).index(("stack_factor", "huggingface"))]
    assert (column < -0.5).all() and (column > -1.01).all()


def test_ranges_narrow_as_measured_for_so_many_rows() -> None:
    """`benchmarks/recalibration.py` measured 1, 3, 5 and 10 rows; between them the fewer count."""
    after = measured_spread_after()
    wide = Spread(factor=2.0, source="before")
    other = Spread(factor=3.0, source="elsewhere")
    before = {"seen": wide, "both_unseen": other}
    for rows, measured in ((1, 1), (2, 1), (3, 3), (9, 5), (10, 10), (99, 10)):
        found = recalibration._narrowed(before, rows)
        assert found == {"seen": after[measured], "both_unseen": other}
    tight = {"seen": Spread(factor=1.01, source="before")}
    assert recalibration._narrowed(tight, 10) == tight


def test_where_rows_begin_to_contradict_each_other() -> None:
    """Two runs of one case at e^a and e^-a: a^2 / 0.06^2 is 11.1 for 0.2 and 17.4 for 0.25."""
    shipped = shipped_calibration()
    for apart, contradict in ((0.2, False), (0.25, True)):
        own = as_predicted(CASES[4:5] * 2, np.exp([apart, -apart]))
        assert ("contradict" in recalibration.recalibrate(shipped, own).name) == contradict
    single = recalibration.recalibrate(shipped, as_predicted(CASES[4:5], 0.2))
    assert "contradict" not in single.name and single.rows == 1


def test_contradicting_rows_move_the_scale_of_their_stack_alone() -> None:
    """One parameter with a scatter for noise: sum of j y over that of j^2 plus noise / prior."""
    shipped = shipped_calibration()
    own = as_predicted(CASES[4:5] * 4, np.array([0.3, 2.5, 0.3, 2.5]))
    found = recalibration._linear(shipped, batch(own, shipped.values))
    column = list(found.entries).index(("stack_factor", "huggingface"))
    j, y = found.jacobian[:, column], np.log([0.3, 2.5, 0.3, 2.5])
    noise = (y.std() + 0.06) ** 2
    expected = (j @ y) / (j @ j + noise / found.variances[column])
    shifted = recalibration.recalibrate(shipped, own)
    moved = {
        (name, key): log(entry.value / shipped.parameters[name].entries[key].value)
        for name, parameter in shifted.parameters.items()
        for key, entry in parameter.entries.items()
        if key in shipped.parameters[name].entries
    }
    assert moved.pop(("stack_factor", "huggingface")) == pytest.approx(expected, rel=1e-4)
    assert not any(moved.values())
