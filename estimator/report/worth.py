"""What is worth finding out before deciding, for the terminal and as data."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from estimator.decision.simulate import Comparison
from estimator.decision.wording import about, money
from estimator.decision.worth import StudyWorth, Worth
from estimator.report.layout import heading, notes, table
from estimator.scenario import Scenario
from estimator.scenario.inputs import describe_input

INPUTS_SHOWN = 10


def worth_dict(worth: Worth) -> dict[str, Any]:
    """The value of information in the shape that `tuneroi worth --json` promises."""
    return {
        "evpi_usd": worth.evpi_usd,
        "evppi_usd": dict(worth.evppi_usd),
        "groups_usd": dict(worth.groups_usd),
        "studies": [
            {
                "id": one.study.id,
                "name": one.study.name,
                "finds": one.study.finds,
                "size": one.size,
                "evsi_usd": one.evsi_usd,
                "cost_usd": one.cost_usd,
                "enbs_usd": one.enbs_usd,
                "days": one.study.wait_days,
                "delay_usd": one.delay_usd,
                "source": one.study.source,
                "as_of": one.study.as_of,
            }
            for one in worth.studies
        ],
        "worthwhile": [one.study.id for one in worth.worthwhile],
    }


def worth_parts(comparison: Comparison, worth: Worth) -> Iterator[RenderableType]:
    """What to find out next, what that is worth and costs; then every input and group."""
    scenario = comparison.scenario
    yield heading(f"{scenario.name}: what is worth finding out first", comparison.verdict.sentence)
    yield Text(sentence(worth), style="bold green")
    if helpful := [one for one in worth.studies if one.evsi_usd > 0]:
        rows = [_study_row(one) for one in helpful]
        columns = ("", "Worth", "Costs", "Net", "Days", "Waiting")
        yield table("Ways to find out, the best first", columns, rows)
    if known := [(name, usd) for name, usd in worth.evppi_usd.items() if usd > 0]:
        inputs = [
            (f"{name}\n{describe_input(Scenario, name)}", money(usd), cheapest(worth, name))
            for name, usd in known[:INPUTS_SHOWN]
        ]
        titles = ("Knowing this alone, exactly", "is worth up to", "Cheapest way")
        yield table("Inputs", titles, inputs, left=(0, 2))
    groups = [(name, money(usd)) for name, usd in worth.groups_usd.items()]
    yield table("Groups of inputs, known together", ("", "worth up to"), groups)
    yield notes("To know", _to_know(worth))


def sentence(worth: Worth) -> str:
    """What to do next, in a sentence; frank when nothing is worth measuring."""
    if first := next(iter(worth.worthwhile), None):
        size = f" with {first.size:,} requests" if first.size else ""
        name = first.study.name[:1].lower() + first.study.name[1:]
        name = first.study.name if first.study.name[1:2].isupper() else name
        return (
            f"First {name}{size}: it is worth {about(first.evsi_usd)} to the decision "
            f"and costs {about(first.cost_usd)}."
        )
    if worth.evpi_usd < 1:
        return "Nothing is worth finding out: no input could change the answer."
    best = max(worth.studies, key=lambda one: one.evsi_usd, default=None)
    if best is None or best.evsi_usd <= 0:
        return (
            "Nothing is worth measuring before deciding: no study on the list could be told from "
            f"chance, though knowing everything would be worth {about(worth.evpi_usd)}."
        )
    return (
        f"Nothing is worth measuring before deciding: the most telling study ({best.study.name}) "
        f"would gain {about(best.evsi_usd)} and cost {about(best.cost_usd)}."
    )


def _study_row(one: StudyWorth) -> tuple[str, ...]:
    size = f", {one.size:,} requests" if one.size else ""
    return (
        f"{one.study.name}{size}\nfinds {one.study.finds}",
        money(one.evsi_usd),
        money(one.cost_usd),
        money(one.enbs_usd),
        f"{one.study.wait_days:.0f}",
        money(one.delay_usd),
    )


def cheapest(worth: Worth, name: str) -> str:
    """The study of lowest cost that measures an input, with its cost; "-" if none does."""
    ways = [
        one
        for one in worth.studies
        if any(fnmatchcase(name, pattern) for pattern in one.study.inputs) or _pilots(one, name)
    ]
    if not ways:
        return "-"
    best = min(ways, key=lambda one: one.cost_usd)
    return f"{best.study.name} ({money(best.cost_usd)})"


def _pilots(one: StudyWorth, name: str) -> bool:
    """Whether a pilot of the ways shows this quality: their own error rate, or shared skill."""
    if not one.study.ways or not name.startswith("quality."):
        return False
    if name.startswith("quality.error_rate."):
        return name.rpartition(".")[2] in one.study.ways
    own = {"quality.saas_skill_ratio": "saas", "quality.tuning_gain": "finetune"}
    return own.get(name) in (None, *one.study.ways) and name in (*own, "quality.skill")


def _to_know(worth: Worth) -> Iterator[str]:
    yield (
        f"Knowing everything would be worth {about(worth.evpi_usd)} to this decision; the worths "
        "of several studies do not add up, and 0 means that it cannot be told from chance."
    )
    yield (
        "Waiting is what the best alternative would earn meanwhile: it is lost only if everything "
        "waits for the answer, so it is not part of the net."
    )
    yield "Days and effort of the studies are expert ranges: put your own against the worth."
