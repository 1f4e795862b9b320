"""Small pictures of how the best choice's lead moves with one input: SVG, one scale for all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np
from numpy.polynomial.legendre import legval, legvander

from estimator.decision.simulate import Comparison
from estimator.decision.smoothing import is_constant
from estimator.decision.wording import money, value_with_unit
from estimator.quantity import FloatArray
from estimator.report.figures import BLUE, GREY, ORANGE

POINTS = 33
DEGREE = 3
TAIL = 0.02
WIDTH, HEIGHT, PAD = 300, 40, 2


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lead:
    """Expected value of the best alternative less that of the next best, along one input."""

    at: FloatArray
    """Values of the input between its P2 and P98."""
    usd: FloatArray
    """The lead there; negative where another alternative is better."""
    median: float
    """The input's median."""
    ends: tuple[str, str]
    """The first and the last of these values in words."""
    sentence: str
    """The whole picture in words."""


def lead_curves(comparison: Comparison, paths: Iterable[str]) -> dict[str, Lead]:
    """The lead of the best alternative along each uncertain input, from the draws themselves.

    E[best - other | input] as a cubic in the input's rank, fitted to the comparison's own draws:
    coarser than what finds the flips, but calm enough for a small picture. The lead is the smallest
    over the others. Inputs that are fixed have none.
    """
    payoffs = comparison.payoffs()
    best = payoffs[comparison.verdict.alternative]
    others = [u for name, u in payoffs.items() if name != comparison.verdict.alternative]
    if not others:
        return {}
    gaps = np.stack([best - other for other in others], axis=1)
    uncertain = {path: comparison.draws[path] for path in paths if path in comparison.draws}
    units = {path: quantity.unit for path, quantity in comparison.scenario.inputs().items()}
    return {
        path: _lead(x, gaps, units.get(path)) for path, x in uncertain.items() if not is_constant(x)
    }


def _lead(x: FloatArray, gaps: FloatArray, unit: str | None) -> Lead:
    order = np.argsort(x)
    rank = (2 * np.arange(x.size) + 1) / x.size - 1
    # Over evenly spaced ranks Legendre polynomials are orthogonal: the fit is a projection.
    norm = (2 * np.arange(DEGREE + 1) + 1) / x.size
    curve = norm[:, None] * (legvander(rank, DEGREE).T @ gaps[order])
    low, median, high = np.quantile(x, [TAIL, 0.5, 1 - TAIL])
    at = np.linspace(low, high, POINTS)
    usd = legval(np.interp(at, x[order], rank), curve).min(axis=0)
    first, last = (value_with_unit(float(value), unit) for value in (low, high))
    at_ends = f"{money(usd[0])} at {first}, {money(usd[-1])} at {last}"
    return Lead(
        at=at,
        usd=usd,
        median=float(median),
        ends=(first, last),
        sentence=f"Lead of the best choice: {at_ends}.",
    )


def sparklines(leads: Mapping[str, Lead]) -> dict[str, str]:
    """An SVG picture of each lead as a data URI; blue where the best stays best, orange where not.

    All share one vertical scale, so that a flat line is an input of little weight.
    """
    if not leads:
        return {}
    low = min(0.0, *(float(lead.usd.min()) for lead in leads.values()))
    high = max(1.0, *(float(lead.usd.max()) for lead in leads.values()))
    return {path: _data_uri(_svg(lead, low, high)) for path, lead in leads.items()}


def _svg(lead: Lead, low: float, high: float) -> str:
    x = np.interp(lead.at, [lead.at[0], lead.at[-1]], [PAD, WIDTH - PAD])
    y = np.interp(lead.usd, [low, high], [HEIGHT - PAD, PAD])
    zero = float(np.interp(0.0, [low, high], [HEIGHT - PAD, PAD]))
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    area = f"{PAD},{zero:.1f} {points} {WIDTH - PAD},{zero:.1f}"
    middle = float(np.interp(lead.median, lead.at, x))
    parts = [
        f'<clipPath id="up"><rect width="{WIDTH}" height="{zero:.1f}"/></clipPath>',
        f'<clipPath id="down"><rect y="{zero:.1f}" width="{WIDTH}" height="{HEIGHT}"/></clipPath>',
        *(
            f'<g clip-path="url(#{clip})"><polygon points="{area}" fill="{colour}" '
            f'fill-opacity="0.3"/><polyline points="{points}" fill="none" stroke="{colour}" '
            'stroke-width="2"/></g>'
            for clip, colour in (("up", BLUE), ("down", ORANGE))
        ),
        f'<line x1="0" x2="{WIDTH}" y1="{zero:.1f}" y2="{zero:.1f}" stroke="{GREY}"/>',
        f'<line x1="{middle:.1f}" x2="{middle:.1f}" y1="0" y2="{HEIGHT}" stroke="{GREY}" '
        'stroke-dasharray="2 3"/>',
    ]
    size = f'viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{"".join(parts)}</svg>'


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml,{quote(svg)}"
