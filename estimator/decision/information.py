"""What it is worth to know more before deciding: EVPI, EVPPI by regression, value of a test.

All in the payoffs' unit (USD), for one decision. Population: multiply by the number of decisions
for which the information stays valid.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import combinations

import numpy as np

from estimator.decision.choose import Payoffs, ranking, table
from estimator.decision.smoothing import (
    Design,
    Projection,
    design,
    fit,
    is_constant,
    project,
    shrink,
)
from estimator.quantity import FloatArray

Inputs = Mapping[str, FloatArray]
PERMUTATIONS = 32
THREADS = 2  # numpy lets go of the interpreter's lock
GROUP_FUNCTIONS = 6
GROUP_PAIRED_INPUTS = 6


def evpi(payoffs: Payoffs) -> float:
    """Expected value of perfect information: E[max_o U_o] - max_o E[U_o].

    What it would be worth to know everything before deciding; equals the smallest expected regret
    (Howard 1966).
    """
    columns = table(payoffs)
    best = columns[:, columns.mean(axis=0).argmax()]
    return float((columns.max(axis=1) - best).mean())


def evppi(payoffs: Payoffs, x: FloatArray) -> float:
    """Expected value of knowing one input exactly: E_x[max_o E[U_o | x]] - max_o E[U_o].

    By regression on the sample (Strong, Oakley and Brennan, Medical Decision Making 2014) of every
    alternative's gain over the best. Never below 0 nor above EVPI, as the true value. The maximum
    of fitted curves is biased upwards by about `noise_floor`: see `evppi_all`.
    """
    if is_constant(x):
        return 0.0
    gains = _gains(payoffs)
    return min(_evppi(design(x), gains, gains.var(axis=0)), evpi(payoffs))


def evppi_all(payoffs: Payoffs, inputs: Inputs, *, seed: int = 0) -> dict[str, float]:
    """EVPPI of every input, largest first; what cannot be told from noise, and constants, are 0."""
    gains = _gains(payoffs)
    variance, most = gains.var(axis=0), evpi(payoffs)

    def worth_of(x: FloatArray) -> float:
        return 0.0 if is_constant(x) else min(_evppi(design(x), gains, variance), most)

    with ThreadPoolExecutor(THREADS) as threads:
        noise = threads.submit(noise_floor, payoffs, seed=seed)
        found = dict(zip(inputs, threads.map(worth_of, inputs.values()), strict=True))
    floor = noise.result()
    worth = {name: value if value > floor else 0.0 for name, value in found.items()}
    return dict(sorted(worth.items(), key=lambda item: (-item[1], item[0])))


def noise_floor(payoffs: Payoffs, *, seed: int = 0) -> float:
    """The highest EVPPI that 32 inputs without any influence show on this sample: pure noise.

    The same regression on random permutations of the draws.
    """
    gains = _gains(payoffs)
    n, variance = gains.shape[0], gains.var(axis=0)
    if n < 2:
        return 0.0
    rng = np.random.default_rng(seed)
    ready = design(np.arange(float(n)))
    shuffled = (replace(ready, order=rng.permutation(n)) for _ in range(PERMUTATIONS))
    return max(_evppi(each, gains, variance) for each in shuffled)


def evppi_group(payoffs: Payoffs, inputs: Inputs, group: Sequence[str], *, seed: int = 0) -> float:
    """Expected value of knowing several inputs together; 0 if it cannot be told from noise.

    Regression on smooth functions of each input and, for the six that matter most, on products of
    pairs. Interactions of three or more inputs are left out, so the value is if anything low.
    """
    gains = _gains(payoffs)
    variance = gains.var(axis=0)
    ready = {name: design(inputs[name]) for name in group if not is_constant(inputs[name])}
    if not ready:
        return 0.0
    together = _joint_projection(ready, gains)
    rng = np.random.default_rng(seed)
    floor = max(
        _value(together, gains[rng.permutation(gains.shape[0])], variance)
        for _ in range(PERMUTATIONS // 4)
    )
    value = _value(together, gains, variance)
    alone = max(_evppi(each, gains, variance) for each in ready.values())
    return min(max(value, alone), evpi(payoffs)) if value > floor else 0.0


def expected_value_of_sample(
    prior: FloatArray, likelihood: FloatArray, payoffs: Mapping[str, FloatArray]
) -> float:
    """Expected value of an imperfect test before deciding (EVSI), before its own cost.

    prior P(state): (states,); likelihood P(signal | state): (states, signals); payoffs per state.
    sum_signal max_o sum_state P(state) P(signal|state) U_o - max_o E[U_o]: the joint weights are
    Bayes' posterior times the signal's probability. Source: Raiffa and Schlaifer 1961.
    """
    columns = np.stack([np.asarray(u, dtype=np.float64) for u in payoffs.values()], axis=1)
    assert np.isclose(prior.sum(), 1) and np.allclose(likelihood.sum(axis=1), 1)
    informed = (prior[:, None] * likelihood).T @ columns
    return float(max(0.0, informed.max(axis=1).sum() - (prior @ columns).max()))


def _gains(payoffs: Payoffs) -> FloatArray:
    """Payoff of every alternative less that of the best one, shape (n, alternatives - 1).

    Differences, because what is common to all alternatives is noise to the decision.
    """
    best, *others = ranking(payoffs)
    reference = np.asarray(payoffs[best], dtype=np.float64)
    if not others:
        return np.zeros((reference.size, 1))
    return np.stack([np.asarray(payoffs[name]) - reference for name in others]).T


def _evppi(ready: Design, gains: FloatArray, variance: FloatArray) -> float:
    """E[max(0, highest conditional gain)]: the best alternative's own gain is 0, and so is its
    expectation's maximum."""
    fitted = fit(ready, gains, variance)
    return float(fitted.weight @ np.maximum(fitted.mean.max(axis=1), 0.0))


def _value(together: Projection, gains: FloatArray, variance: FloatArray) -> float:
    n = gains.shape[0]
    slopes = shrink(together.functions.T @ gains / n, together, variance, n)
    fitted = gains.mean(axis=0) + together.functions @ slopes
    return float(np.maximum(fitted.max(axis=1), 0.0).mean())


def _joint_projection(ready: Mapping[str, Design], gains: FloatArray) -> Projection:
    """Functions of several inputs: the smoothest ones of each, and products between pairs."""
    n = gains.shape[0]
    each, strength = [], []
    for one in ready.values():
        rows = one.row_of_draw()
        functions = one.projection.functions[rows, :GROUP_FUNCTIONS]
        each.append((functions, one.projection.roughness[:GROUP_FUNCTIONS]))
        strength.append(float(((functions.T @ gains / n) ** 2).sum()))
    strongest = np.argsort(strength)[::-1][:GROUP_PAIRED_INPUTS]
    columns = [functions for functions, _ in each]
    roughness = [rough for _, rough in each]
    for i, j in combinations(strongest, 2):
        (left, left_rough), (right, right_rough) = each[i], each[j]
        columns.append((left[:, :2, None] * right[:, None, :2]).reshape(n, -1))
        roughness.append(np.add.outer(left_rough[:2], right_rough[:2]).ravel())
    rows_of_all = np.concatenate(columns, axis=1)
    return project(rows_of_all, np.diag(np.concatenate(roughness)), np.full(n, 1 / n))
