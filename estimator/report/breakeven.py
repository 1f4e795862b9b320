"""Break-even values for the terminal and as data."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from estimator.alternatives.account import LABELS
from estimator.decision.thresholds import BreakEven, Threshold
from estimator.decision.wording import capitalised, listed, money, percent, value_with_unit
from estimator.report.inputs import spread
from estimator.report.layout import heading, notes, table
from estimator.scenario import Scenario
from estimator.scenario.inputs import describe_input

ROWS = 9


def break_even_dict(found: BreakEven) -> dict[str, Any]:
    """The break-even values in the shape that `tuneroi breakeven --json` promises."""
    p10, p50, p90 = found.quantity.p10_p50_p90()
    return {
        "input": found.input,
        "unit": found.quantity.unit,
        "between": [found.a, found.b],
        "believed": {"p10": p10, "p50": p50, "p90": p90},
        "searched": {"low": found.low, "high": found.high},
        "break_even": [_threshold(t) for t in found.expected],
        "break_even_at_medians": [_threshold(t) for t in found.at_medians],
        "chance_a_better": {f"{p:g}": list(values) for p, values in found.chance.items()},
        "curve": {
            "value": found.values.tolist(),
            "gain_usd": found.gain_usd.tolist(),
            "probability": found.probability.tolist(),
        },
    }


def _threshold(threshold: Threshold) -> dict[str, Any]:
    return {"value": threshold.value, "better_above": threshold.better_above}


def break_even_parts(scenario: Scenario, found: BreakEven) -> Iterator[RenderableType]:
    """The answer in a sentence, the other thresholds, and the curve in a few rows."""
    unit = found.quantity.unit or ""
    about = f"{capitalised(describe_input(Scenario, found.input))}; you expect "
    yield heading(f"{found.input}: {LABELS[found.a]} or {LABELS[found.b]}?", "")
    yield Text(sentence(found), style="bold green")
    yield notes("In detail", [f"{about}{spread(found.quantity)} {unit}", *_details(found)])
    step = max((found.values.size - 1) // (ROWS - 1), 1)
    rows = [
        (value_with_unit(float(v), unit), money(float(gain)), percent(float(chance)))
        for v, gain, chance in zip(
            found.values[::step], found.gain_usd[::step], found.probability[::step], strict=True
        )
    ]
    columns = (found.input, f"{LABELS[found.a]} less {LABELS[found.b]}", "Better in")
    yield table(f"Along the range, over {scenario.horizon_months} months", columns, rows)


def sentence(found: BreakEven) -> str:
    """Where the better of the two changes, in one sentence."""
    if not found.expected:
        better = found.a if found.gain_usd[0] > 0 else found.b
        return (
            f"No break-even from {_value(found, found.low)} to {_value(found, found.high)}: "
            f"{LABELS[better]} is worth more throughout."
        )
    first = found.expected[0]
    below = found.b if first.better_above == found.a else found.a
    parts = [f"{LABELS[below]} is worth more below {_value(found, first.value)}"]
    parts += [f"{LABELS[t.better_above]} above {_value(found, t.value)}" for t in found.expected]
    return f"{listed(parts)}."


def _details(found: BreakEven) -> Iterator[str]:
    if found.at_medians:
        shown = [_value(found, t.value) for t in found.at_medians[:12]]
        more = len(found.at_medians) - len(shown)
        rest = f" and {more} more steps" if more > 0 else ""
        yield f"with everything else at its median: {', '.join(shown)}{rest}"
    else:
        yield "with everything else at its median: no break-even in this range"
    for probability, values in found.chance.items():
        where = listed([_value(found, v) for v in values]) if values else "nowhere in this range"
        yield f"{LABELS[found.a]} is better with {percent(probability)} chance at: {where}"


def _value(found: BreakEven, value: float) -> str:
    return value_with_unit(value, found.quantity.unit, 3)
