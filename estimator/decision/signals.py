"""What a study would show, simulated for every draw: counts in a sample, a measurement, a quote.

A study is worth what its summary statistics are worth: EVSI is the EVPPI of a statistic that was
simulated from each draw's true value (Strong, Oakley, Brennan and Breeze, Medical Decision Making
2015). With a beta prior and a count this reproduces the conjugate beta-binomial result.
"""

from collections.abc import Mapping

import numpy as np

from estimator.decision.choose import Payoffs
from estimator.decision.information import Inputs, evppi_group
from estimator.quantity import FloatArray


def evsi(
    payoffs: Payoffs, truth: Inputs, shown: Inputs, *, seed: int = 0, most: float | None = None
) -> float:
    """Expected value of seeing the statistics `shown` before deciding, before the study's cost.

    Never more than knowing the `truth` that they measure; 0 if it cannot be told from noise.
    `most`: what knowing the truth is worth, if it is there already.
    """
    if most is None:
        most = evppi_group(payoffs, truth, tuple(truth), seed=seed)
    return min(evppi_group(payoffs, shown, tuple(shown), seed=seed), most) if most > 0 else 0.0


def counted(share: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Share found in a sample of `n` whose true share is given per draw: Binomial(n, p) / n."""
    return np.asarray(rng.binomial(n, np.clip(share, 0.0, 1.0)) / n)


def judged(
    resolved: FloatArray, wrong: FloatArray, n: int, rng: np.random.Generator
) -> Mapping[str, FloatArray]:
    """A pilot of `n` judged requests: share resolved, and share of those that is wrong.

    Where nothing is resolved there is nothing to judge: the mean of the draws stands in.
    """
    answers = rng.binomial(n, np.clip(resolved, 0.0, 1.0))
    bad = rng.binomial(answers, np.clip(wrong, 0.0, 1.0))
    share = np.divide(bad, answers, out=np.full(bad.shape, wrong.mean()), where=answers > 0)
    return {"resolved": np.asarray(answers / n), "wrong": share}


def measured(x: FloatArray, relative_spread: float, rng: np.random.Generator) -> FloatArray:
    """A measurement of each draw's value with a relative standard error; 0: exact.

    Lognormal around a positive value; around one that can be negative or 0, normal with the same
    share of the value's own standard deviation.
    """
    noise = relative_spread * rng.standard_normal(x.size)
    if x.min() > 0:
        return np.asarray(x * np.exp(noise))
    return np.asarray(x + x.std() * noise)
