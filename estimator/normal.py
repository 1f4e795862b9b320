"""The quantile function of the standard normal distribution.

`scipy.special.ndtri` gives the same numbers, but importing `scipy.special` takes longer than a
whole estimate from the shell.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

CENTRAL = 0.425  # |p - 1/2| up to which the first approximation holds
FAR = 5.0  # sqrt(-ln p) beyond which the third one does

# Numerators and denominators of the three rational approximations, constant term last.
_CENTRE = (
    (
        2509.0809287301226727,
        33430.575583588128105,
        67265.770927008700853,
        45921.953931549871457,
        13731.693765509461125,
        1971.5909503065514427,
        133.14166789178437745,
        3.387132872796366608,
    ),
    (
        5226.495278852545925,
        28729.085735721942674,
        39307.89580009271061,
        21213.794301586595867,
        5394.1960214247511077,
        687.1870074920579083,
        42.313330701600911252,
        1.0,
    ),
)
_TAIL = (
    (
        7.7454501427834140764e-4,
        0.0227238449892691845833,
        0.24178072517745061177,
        1.27045825245236838258,
        3.64784832476320460504,
        5.7694972214606914055,
        4.6303378461565452959,
        1.42343711074968357734,
    ),
    (
        1.05075007164441684324e-9,
        5.475938084995344946e-4,
        0.0151986665636164571966,
        0.14810397642748007459,
        0.68976733498510000455,
        1.6763848301838038494,
        2.05319162663775882187,
        1.0,
    ),
)
_FAR_TAIL = (
    (
        2.01033439929228813265e-7,
        2.71155556874348757815e-5,
        0.0012426609473880784386,
        0.026532189526576123093,
        0.29656057182850489123,
        1.7848265399172913358,
        5.4637849111641143699,
        6.6579046435011037772,
    ),
    (
        2.04426310338993978564e-15,
        1.4215117583164458887e-7,
        1.8463183175100546818e-5,
        7.868691311456132591e-4,
        0.0148753612908506148525,
        0.13692988092273580531,
        0.59983220655588793769,
        1.0,
    ),
)


def normal_ppf(probability: ArrayLike) -> NDArray[np.float64]:
    """Standard normal value below which `probability` lies; -inf at 0, inf at 1.

    Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
    Statistics 37(3), 1988, PPND16: relative error about 1e-16.
    """
    p = np.asarray(probability, dtype=np.float64)
    offset = p - 0.5
    central = np.clip(offset, -CENTRAL, CENTRAL)
    value = central * _ratio(_CENTRE, CENTRAL**2 - central**2)
    outside = np.abs(offset) > CENTRAL
    if outside.any():
        value = np.where(outside, 0.0, value)
        value[outside] = np.copysign(_tail(np.minimum(p, 1.0 - p)[outside]), offset[outside])
    return value


def _tail(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from 0 of the value beyond which `probability` lies."""
    with np.errstate(divide="ignore"):
        root = np.sqrt(-np.log(probability))
    near = np.minimum(root, FAR)
    value = np.where(root <= FAR, _ratio(_TAIL, near - 1.6), 0.0)
    far = np.clip(root, FAR, 40.0)
    value = np.where(root > FAR, _ratio(_FAR_TAIL, far - FAR), value)
    return np.where(np.isinf(root), np.inf, value)


def _ratio(
    coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    numerator, denominator = coefficients
    return np.asarray(np.polyval(numerator, x) / np.polyval(denominator, x))
