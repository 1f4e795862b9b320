"""Joint draws of uncertain quantities: scrambled Sobol points, rank correlations, inverse CDF.

Every quantity has its own column, ordered by name, so the same scenario and seed give every
alternative the same draws: differences between alternatives are then free of sampling noise.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from estimator.errors import InputError, unknown
from estimator.quantity import FloatArray, Quantity

BLOCK = 16  # dimensions of Sobol points that are used together
KEPT_COLUMNS = 512  # of draws: the inputs of two scenarios; 64 MiB at 16,384 draws each


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws(Mapping[str, FloatArray]):
    """Draws by input path; fixed inputs are 0-d arrays, uncertain ones have shape (n,)."""

    columns: Mapping[str, FloatArray]
    n: int
    seed: int

    def __getitem__(self, path: str) -> FloatArray:
        return self.columns[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def uncertain(self) -> dict[str, FloatArray]:
        """Only the inputs that vary between draws."""
        return {path: x for path, x in self.columns.items() if x.ndim}


def sample(
    quantities: Mapping[str, Quantity],
    *,
    n: int,
    seed: int,
    chances: Sequence[str] = (),
    rank_correlations: Mapping[tuple[str, str], float] | None = None,
    cause_of: Callable[[str], str] = str,
) -> Draws:
    """`n` joint draws of every quantity, and of one uniform number for each name in `chances`.

    Scrambled Sobol points in blocks (`sobol`) through each quantity's inverse CDF; rank
    correlations by a Gaussian copula. Quantities of the same `cause_of(path)` share one uniform:
    when one is at its P80, so are the others. `n` should be a power of two.
    """
    uncertain = sorted(path for path, q in quantities.items() if not q.is_fixed)
    causes = sorted({cause_of(path) for path in uncertain})
    names = [*causes, *sorted(chances)]
    correlated = {
        (cause_of(a), cause_of(b)): rho for (a, b), rho in (rank_correlations or {}).items()
    }
    uniforms = _uniforms(tuple(names), tuple(sorted(correlated.items())), n, seed)
    values = {path: np.asarray(q.numbers[0]) for path, q in quantities.items() if q.is_fixed}
    values |= {path: _drawn(quantities[path], uniforms, cause_of(path)) for path in uncertain}
    values |= {name: uniforms.columns[name] for name in chances}
    return Draws(columns=dict(sorted(values.items())), n=n, seed=seed)


@dataclass(frozen=True, slots=True, eq=False)
class _Uniforms:
    """Uniform columns by name; one object for one set of names, so that it can be a key."""

    columns: Mapping[str, FloatArray]


@lru_cache(maxsize=4)
def _uniforms(
    names: tuple[str, ...],
    rank_correlations: tuple[tuple[tuple[str, str], float], ...],
    n: int,
    seed: int,
) -> _Uniforms:
    """Correlated uniforms, kept because most scenarios of a session differ in one number only."""
    points = np.ascontiguousarray(sobol(n, len(names), seed).T)
    columns = correlate(dict(zip(names, points, strict=True)), dict(rank_correlations))
    for column in columns.values():
        column.setflags(write=False)
    return _Uniforms(columns)


@lru_cache(maxsize=KEPT_COLUMNS)
def _drawn(quantity: Quantity, uniforms: _Uniforms, cause: str) -> FloatArray:
    """Draws of one quantity, kept for the next scenario in which it is the same."""
    drawn = quantity.ppf(uniforms.columns[cause])
    drawn.setflags(write=False)
    return drawn


def sobol(n: int, dimensions: int, seed: int) -> FloatArray:
    """Scrambled Sobol points of shape (n, dimensions), strictly inside the unit cube.

    Of more than `BLOCK` dimensions each block has points of its own, in an order of its own: some
    pairs of high Sobol dimensions follow each other, and an input that does nothing then seems to
    do what its pair does.
    Source: Owen, "Latin supercube sampling", ACM TOMACS 8(1), 1998.
    """
    from scipy.stats import qmc  # half a second to import: only where it is needed

    generator = np.random.default_rng(seed)
    blocks = [np.empty((n, 0))]
    for first in range(0, dimensions, BLOCK):
        width = min(BLOCK, dimensions - first)
        points = qmc.Sobol(width, scramble=True, rng=generator).random(n)
        blocks.append(points if first == 0 else generator.permutation(points))
    return np.clip(np.concatenate(blocks, axis=1), 2.0**-33, 1 - 2.0**-33)


def correlate(
    uniforms: Mapping[str, FloatArray], rank_correlations: Mapping[tuple[str, str], float]
) -> dict[str, FloatArray]:
    """The same uniform columns with the given Spearman correlations (Gaussian copula).

    R_ij = 2 sin(pi rho_s / 6), z ~ N(0, R), u = Phi(z) (Kruskal 1958; Iman and Conover 1982).
    Correlations that no joint distribution can have are an error, not repaired in silence.
    """
    names = sorted({name for pair in rank_correlations for name in pair})
    missing = [name for name in names if name not in uniforms]
    if missing:
        raise unknown("uncertain input in correlations", missing[0], uniforms)
    if not names:
        return dict(uniforms)
    target = np.eye(len(names))
    for (a, b), rho in rank_correlations.items():
        i, j = names.index(a), names.index(b)
        target[i, j] = target[j, i] = normal_correlation(rho)
    try:
        factor = np.linalg.cholesky(target)
    except np.linalg.LinAlgError:
        raise InputError(
            f"correlations between {', '.join(names)} contradict each other "
            "(the matrix is not positive definite); make the largest ones smaller"
        ) from None
    z = np.stack([ndtri(uniforms[name]) for name in names])
    return dict(uniforms) | dict(zip(names, ndtr(factor @ z), strict=True))


def normal_correlation(spearman: float) -> float:
    """Pearson correlation of the normals whose ranks correlate by `spearman`."""
    return float(2 * np.sin(np.pi * spearman / 6))
