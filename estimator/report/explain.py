"""Where a number comes from: its formula in words, the inputs behind it, and their sources."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType

from estimator.alternatives.items import LineItem
from estimator.decision.evaluate import cause_of
from estimator.decision.simulate import Comparison
from estimator.decision.wording import money
from estimator.errors import unknown
from estimator.quantity import Quantity
from estimator.report.inputs import spread
from estimator.report.layout import heading, notes, table
from estimator.report.ranges import range_of
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.inputs import describe_input

INPUTS_SHOWN = 12


def explain_dict(comparison: Comparison, path: str) -> dict[str, Any]:
    """The explanation as data: an input, or the line items that a path names, with their inputs."""
    inputs = comparison.scenario.inputs()
    if path in inputs:
        return {
            "input": path,
            **_input(comparison, path),
            "used_by": list(used_by(comparison, path)),
        }
    found = matching_items(comparison, path)
    return {
        "path": path,
        "items": [
            {
                "alternative": name,
                "name": item.name,
                "category": item.category,
                "kind": item.kind,
                "usd": range_of(np.asarray(item.present_value_usd())),
                "formula": item.formula,
                "inputs": {p: _input(comparison, p) for p in inputs_of(comparison, item)},
            }
            for name, item in found
        ],
    }


def _input(comparison: Comparison, path: str) -> dict[str, Any]:
    quantity = comparison.scenario.inputs()[path]
    return {
        "meaning": describe_input(Scenario, path),
        **quantity.model_dump_fields(),
        "evppi_usd": comparison.evppi_usd.get(cause_of(path), 0.0),
    }


def explain_parts(comparison: Comparison, path: str) -> Iterator[RenderableType]:
    """The explanation for the terminal."""
    inputs = comparison.scenario.inputs()
    if path in inputs:
        yield from _input_parts(comparison, path, inputs[path])
        return
    found = matching_items(comparison, path)
    total = sum(item.sign * float(np.mean(item.present_value_usd())) for _, item in found)
    months = comparison.scenario.horizon_months
    yield heading(
        path, f"{len(found)} line items, {money(total)} in all, mean over {months} months"
    )
    for name, item in found:
        usd = range_of(np.asarray(item.present_value_usd()))
        amounts = f"{money(usd['p10'] or 0.0)} to {money(usd['p90'] or 0.0)}"
        yield heading(
            f"{name}: {item.name}, {money(item.sign * (usd['mean'] or 0.0))} ({amounts})",
            f"= {item.formula}; {item.category}, {item.kind}, in today's money",
        )
        paths = list(inputs_of(comparison, item))
        rows = [_input_row(comparison, p, inputs[p]) for p in paths[:INPUTS_SHOWN]]
        titles = ("Input", "P10, P50, P90", "Unit", "Source")
        yield table("Inputs", titles, rows, left=(0, 2, 3))
        if len(paths) > INPUTS_SHOWN:
            yield notes(
                "More", [f"{len(paths) - INPUTS_SHOWN} further inputs; --json lists them all"]
            )


def _input_parts(comparison: Comparison, path: str, quantity: Quantity) -> Iterator[RenderableType]:
    yield heading(path, describe_input(Scenario, path))
    titles = ("Input", "P10, P50, P90", "Unit", "Source")
    yield table("Range", titles, [_input_row(comparison, path, quantity)], left=(0, 2, 3))
    lines = [f"form: {quantity.form} {', '.join(f'{x:g}' for x in quantity.numbers)}"]
    if quantity.note:
        lines.append(quantity.note)
    worth = comparison.evppi_usd.get(cause_of(path), 0.0)
    lines.append(f"knowing it exactly would be worth {money(worth)} to the decision")
    yield notes("To know", lines)
    yield notes("Used by", list(used_by(comparison, path)) or ["no line item of this comparison"])


def _input_row(comparison: Comparison, path: str, quantity: Quantity) -> tuple[str, ...]:
    known = ", ".join(part for part in (quantity.evidence, quantity.as_of) if part)
    source = quantity.source or "your figure"
    return (
        f"{path}\n{describe_input(Scenario, path)}",
        spread(quantity),
        quantity.unit or "",
        f"{source}\n{known}" if known else source,
    )


def matching_items(comparison: Comparison, path: str) -> list[tuple[AlternativeId, LineItem]]:
    """Line items named by "alternative" or "alternative.words of a category or a name"."""
    name, _, words = path.partition(".")
    for known, outcome in comparison.outcomes.items():
        if known != name:
            continue
        items = outcome.account.items
        found = [i for i in items if _matches(i.category, words)]
        found = found or [i for i in items if _matches(i.name, words)]
        if not found:
            raise unknown(f"part of {name}", words, dict.fromkeys(_slug(i.category) for i in items))
        return [(known, item) for item in found]
    choices = [*comparison.outcomes, *comparison.scenario.inputs()]
    raise unknown("alternative or input", path, choices, "Name one such as rag.tokens")


def _matches(text: str, words: str) -> bool:
    """Whether all words stand in a category or a name."""
    return all(word in _slug(text) for word in _slug(words).replace(".", "_").split("_") if word)


def _slug(text: str) -> str:
    return text.lower().replace(" ", "_").replace("'", "")


def inputs_of(comparison: Comparison, item: LineItem) -> Iterator[str]:
    """Paths of the inputs behind an item; a section stands for all below it."""
    known: Sequence[str] = tuple(comparison.scenario.inputs())
    for path in dict.fromkeys(item.inputs):
        yield from (p for p in known if p == path or p.startswith(f"{path}."))


def used_by(comparison: Comparison, path: str) -> Iterator[str]:
    """Line items that an input enters, as "alternative: name"."""
    for name, outcome in comparison.outcomes.items():
        for item in outcome.account.items:
            if any(path == p or path.startswith(f"{p}.") for p in item.inputs):
                yield f"{name}: {item.name}"
