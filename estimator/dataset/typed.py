"""A dataset profile from typed-in numbers, for data that is not there yet."""

import math

import numpy as np

from estimator.dataset.estimate import estimate_data
from estimator.dataset.profile import DatasetProfile, Split
from estimator.dataset.sequences import LengthDistribution, fit_sequences
from estimator.errors import InputError
from estimator.normal import normal_ppf
from estimator.quantity import Quantity

TYPED_IN = "typed in"
_Z95 = float(normal_ppf(0.95))
_MOST_STRATA = 100_000


def typed_profile(
    *,
    examples: int | None = None,
    mean_tokens: float | None = None,
    p95_tokens: float | None = None,
    total_tokens: Quantity | float | None = None,
    sequence_length: int = 2048,
    micro_batch_size: int = 8,
    split: Split | None = None,
) -> DatasetProfile:
    """A profile from `examples` and `mean_tokens` (and `p95_tokens`), or from `total_tokens`.

    Lengths are lognormal with the given mean and P95. From a total alone, lengths, padding and
    packing stay unknown.
    """
    if total_tokens is not None:
        return _from_total(total_tokens, examples, mean_tokens, p95_tokens)
    if examples is None or mean_tokens is None:
        raise InputError("a typed-in dataset needs examples and mean_tokens, or total_tokens")
    if not (examples >= 1 and 1 <= mean_tokens < math.inf):
        raise InputError(
            f"examples {examples} and mean_tokens {mean_tokens:g} must both be at least 1"
        )
    notes = []
    if p95_tokens is None:
        assumed = estimate_data()["typed_lengths"]
        p95_tokens = mean_tokens * assumed["p95_over_mean"]
        notes.append(f"assumed P95 of {p95_tokens:.0f} tokens: {assumed['source']}")
    lengths = lognormal_lengths(examples, mean_tokens, p95_tokens)
    return DatasetProfile(
        source=TYPED_IN,
        token_source=TYPED_IN,
        total_tokens=Quantity(value=lengths.total, unit="tokens", source=TYPED_IN),
        examples=examples,
        lengths=lengths,
        fit=fit_sequences(
            lengths, sequence_length=sequence_length, micro_batch_size=micro_batch_size
        ),
        split=(split or Split()).sizes(examples),
        notes=("lengths assumed lognormal with the mean and P95 typed in", *notes),
    )


def _from_total(
    total_tokens: Quantity | float,
    examples: int | None,
    mean_tokens: float | None,
    p95_tokens: float | None,
) -> DatasetProfile:
    if examples is not None or mean_tokens is not None or p95_tokens is not None:
        raise InputError("give total_tokens alone, or examples and mean_tokens without it")
    total = Quantity.of(total_tokens)
    if total.numbers[0] < 1:
        raise InputError(f"total_tokens is {total.numbers[0]:g}; it must be at least 1")
    return DatasetProfile(
        source=TYPED_IN,
        token_source=TYPED_IN,
        total_tokens=total.with_unit("tokens"),
        examples=None,
        lengths=None,
        fit=None,
        split=None,
        notes=("only the total is known: no lengths, padding, packing or split",),
    )


def lognormal_lengths(examples: int, mean: float, p95: float) -> LengthDistribution:
    """Lengths of `examples` in whole tokens, lognormal with this mean and P95.

    mean = exp(mu + s^2/2) and P95 = exp(mu + 1.645 s) give s = 1.645 - sqrt(1.645^2 - 2 ln r) with
    r = P95/mean, which exists up to r = exp(1.645^2/2) = 3.87. The distribution is cut into strata
    of whole numbers of examples, each at its own mean, so that the mean is kept.
    """
    ratio, most = p95 / mean, math.exp(_Z95**2 / 2)
    if not 1 <= ratio <= most:
        raise InputError(
            f"p95_tokens {p95:g} must lie between the mean {mean:g} and {most:.2f} times it"
        )
    from scipy.special import ndtr  # a fifth of a second to import: only where it is needed

    sigma = _Z95 - math.sqrt(max(_Z95**2 - 2 * math.log(ratio), 0.0))
    strata = min(examples, _MOST_STRATA)
    below = examples * np.arange(strata + 1) // strata
    counts = np.diff(below)
    # Partial expectation of a lognormal below its quantile z: mean x Phi(z - s).
    totals = mean * examples * np.diff(ndtr(normal_ppf(below / examples) - sigma))
    means = totals / counts
    # Rounding the running sum keeps the total.
    whole = np.diff(np.rint(np.cumsum(means)), prepend=0.0)
    return LengthDistribution.of(np.maximum(whole, 1), counts)
