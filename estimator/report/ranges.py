"""How a sample becomes a range, and a number becomes words."""

from typing import Literal

import numpy as np

from estimator.quantity import FloatArray


def range_of(sample: FloatArray, *, mean: bool = True) -> dict[str, float | None]:
    """P10, P50, P90 (and mean) of a sample; None where that quantile is "never" (nan)."""
    values = np.where(np.isnan(sample), np.inf, np.atleast_1d(sample))
    # Interpolating towards "never" has no meaning: such samples take the draw at the rank.
    method: Literal["linear", "inverted_cdf"] = (
        "linear" if np.isfinite(values).all() else "inverted_cdf"
    )
    p10, p50, p90 = np.quantile(values, [0.1, 0.5, 0.9], method=method)
    found = {"p10": p10, "p50": p50, "p90": p90} | ({"mean": values.mean()} if mean else {})
    return {name: float(v) if np.isfinite(v) else None for name, v in found.items()}
