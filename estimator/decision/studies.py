"""Ways to find something out before deciding: what each would show, what it takes and costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import numpy as np

from estimator.alternatives.labels import example_cost_usd
from estimator.alternatives.labour import day_rates_usd
from estimator.alternatives.quality import Way, resolution_rate
from estimator.alternatives.training_gpus import run_gpu_hours
from estimator.alternatives.world import World
from estimator.quantity import FloatArray, Quantity
from estimator.scenario import AlternativeId
from pricing import assumption
from pricing.table import Row, read_rows

STUDIES_FILE = Path(__file__).parent / "data" / "studies.csv"
COLUMNS = (
    "id",
    "name",
    "finds",
    "inputs",
    "sizes",
    "relative_spread",
    "days_min",
    "days_mode",
    "days_max",
    "role",
    "gpu_hours",
    "examples_share",
    "wait_days",
)
HOURS_PER_DAY = 8
TRIED_BY: dict[Way, tuple[AlternativeId, ...]] = {
    "prompting": ("prompting",),
    "rag": ("rag",),
    "finetune": ("managed_finetune", "self_hosted_finetune"),
    "saas": ("saas",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One way to find something out."""

    id: str
    name: str
    finds: str
    """What is known afterwards, in words."""
    inputs: tuple[str, ...]
    """Inputs that it measures, as patterns; empty for the pilot of a way."""
    ways: tuple[Way, ...]
    """Ways of answering that it pilots."""
    sizes: tuple[int, ...]
    """Sample sizes to choose from; none for a measurement."""
    relative_spread: float | None
    """Standard error of a measurement over its value."""
    person_days: Quantity
    role: str
    gpu_hours: float
    examples_share: float
    """Share of the missing examples that it needs, and one training run with them."""
    wait_days: float
    """Calendar days until the answer is there."""
    source: str
    as_of: str


@cache
def studies() -> tuple[Study, ...]:
    """Every study known."""
    return read_studies(STUDIES_FILE)


def read_studies(path: Path) -> tuple[Study, ...]:
    """The studies of one table."""
    return tuple(_study(row) for row in read_rows(path, COLUMNS))


def _study(row: Row) -> Study:
    inputs = tuple(part.strip() for part in row.text("inputs").split(";"))
    sizes = row.optional_text("sizes")
    days = {name: f"days_{name}" for name in ("min", "mode", "max")}
    return Study(
        id=row.text("id"),
        name=row.text("name"),
        finds=row.text("finds"),
        inputs=tuple(i for i in inputs if not i.startswith("way:")),
        ways=tuple(way for way in TRIED_BY if f"way:{way}" in inputs),
        sizes=tuple(int(size) for size in sizes.split(";")) if sizes else (),
        relative_spread=row.optional_number("relative_spread"),
        person_days=row.quantity(days, "person-days"),
        role=row.text("role"),
        gpu_hours=row.number("gpu_hours"),
        examples_share=row.number("examples_share"),
        wait_days=row.number("wait_days"),
        source=row.text("source"),
        as_of=row.text("as_of"),
    )


def truth(study: Study, world: World, inputs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """What the study would measure, per draw; empty if it is certain or no part of the decision."""
    if not study.ways:
        return {
            name: x for name, x in inputs.items() if any(fnmatchcase(name, i) for i in study.inputs)
        }
    if any(not set(TRIED_BY[way]) & set(world.scenario.alternatives) for way in study.ways):
        return {}
    d = world.draws
    return {
        f"{what} by {way}": np.broadcast_to(share, d.n)
        for way in study.ways
        for what, share in (
            ("resolved", resolution_rate(d, way)),
            ("wrong", d[f"quality.error_rate.{way}"]),
        )
    }


def cost_usd(study: Study, world: World, size: int | None) -> float:
    """Expected cost: days of its role, judging `size` requests, GPU hours, examples and a run."""
    d = world.draws
    rates = {role: float(np.mean(rate)) for role, rate in day_rates_usd(world).items()}
    judged = (size or 0) * max(len(study.ways), 1)
    judging_days = judged / (assumption("labelling.examples_per_hour").mean() * HOURS_PER_DAY)
    cost = study.person_days.mean() * rates[study.role] + judging_days * rates["domain_expert"]
    hours = np.asarray(study.gpu_hours)
    if study.examples_share:
        missing = d["data.examples"] * (1 - d["data.ready_share"]) * study.examples_share
        cost += float(np.mean(missing * example_cost_usd(d)))
        hours = hours + run_gpu_hours(world) * study.examples_share
    return cost + float(np.mean(hours * d["training.gpu_usd_per_hour"]))
