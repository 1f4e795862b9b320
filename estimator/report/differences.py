"""Two scenarios beside each other: what changed in the inputs, and what that did to each result."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType

from estimator.decision.simulate import Comparison
from estimator.decision.wording import money, percent, value_with_unit
from estimator.quantity import Quantity
from estimator.report.layout import heading, notes, table
from estimator.report.ranges import range_of
from estimator.scenario import AlternativeId
from estimator.scenario.differences import Difference, differences

ABSENT = "–"


def verdict_changed(before: Comparison, after: Comparison) -> bool:
    """Whether another alternative is best, or what was clear is close now, or the other way."""
    old, new = before.verdict, after.verdict
    return (old.alternative, old.too_close) != (new.alternative, new.too_close)


def difference_parts(before: Comparison, after: Comparison) -> Iterator[RenderableType]:
    """Verdicts, inputs and results before and after, as parts to print."""
    changed = verdict_changed(before, after)
    yield heading(
        "The verdict changes" if changed else "The verdict stays",
        f"{before.scenario.name} and {after.scenario.name}",
    )
    yield notes("Verdicts", (f"before: {_sentence(before)}", f"after: {_sentence(after)}"))
    rows = [difference_row(found) for found in differences(before.scenario, after.scenario)]
    if rows:
        yield table("Inputs that differ", ("Input", "Before", "After"), rows)
    else:
        yield notes("Inputs that differ", ("none",))
    yield table("What that does", RESULT_COLUMNS, result_rows((before, after)))


def _sentence(comparison: Comparison) -> str:
    return comparison.verdict.sentence


RESULT_COLUMNS = (
    "Alternative",
    "Best in, before",
    "after",
    "Worth, before",
    "after",
    "All costs, before",
    "after",
    "Live (months), before",
    "after",
)


def result_rows(comparisons: Sequence[Comparison]) -> list[tuple[str, ...]]:
    """Each alternative with each result in every comparison, results side by side."""
    names = dict.fromkeys(name for found in comparisons for name in found.outcomes)
    return [
        (
            next(f.outcomes[name].account.label for f in comparisons if name in f.outcomes),
            *(
                cell
                for row in zip(*(_cells(found, name) for found in comparisons), strict=True)
                for cell in row
            ),
        )
        for name in names
    ]


def _cells(comparison: Comparison, name: AlternativeId) -> tuple[str, str, str, str]:
    outcome = comparison.outcomes.get(name)
    if outcome is None:
        return (ABSENT,) * 4
    live = range_of(outcome.account.go_live_months, mean=False)["p50"]
    return (
        percent(outcome.probability_best),
        money(float(np.mean(outcome.npv_usd))),
        money(float(np.mean(outcome.tco_usd))),
        "never" if live is None else f"{live:.1f}",
    )


def difference_row(found: Difference) -> tuple[str, str, str]:
    """Path, before and after, in words."""
    return found.path, shown(found.before), shown(found.after)


def shown(value: Quantity | str | None) -> str:
    """A value with its range and unit, or a dash where there is none."""
    if not isinstance(value, Quantity):
        return ABSENT if value is None else value
    if value.is_fixed:
        return value_with_unit(value.numbers[0], value.unit)
    p10, p50, p90 = (value_with_unit(x, value.unit, 3) for x in value.p10_p50_p90())
    return f"{p50} ({p10} to {p90})"


def difference_dict(before: Comparison, after: Comparison) -> dict[str, Any]:
    """The same as data: inputs that differ, and the results of every alternative in both."""
    return {
        "verdict_changed": verdict_changed(before, after),
        "verdicts": {"before": _sentence(before), "after": _sentence(after)},
        "inputs": [
            {"path": found.path, "before": _plain(found.before), "after": _plain(found.after)}
            for found in differences(before.scenario, after.scenario)
        ],
        "alternatives": [
            {"id": name, "before": _results(before, name), "after": _results(after, name)}
            for name in dict.fromkeys([*before.outcomes, *after.outcomes])
        ],
    }


def _plain(value: Quantity | str | None) -> Any:
    return value.model_dump_fields() if isinstance(value, Quantity) else value


def _results(comparison: Comparison, name: AlternativeId) -> dict[str, Any] | None:
    outcome = comparison.outcomes.get(name)
    if outcome is None:
        return None
    return {
        "probability_best": outcome.probability_best,
        "npv_usd": range_of(outcome.npv_usd),
        "tco_usd": range_of(outcome.tco_usd),
        "go_live_months": range_of(outcome.account.go_live_months),
        "expected_regret_usd": outcome.expected_regret_usd,
    }
