"""Published findings worth quoting beside a claim, and the LoRA Land scores behind the gains."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import unknown
from estimator.quantity import Evidence as Trust
from pricing.table import DATA, Row, read_rows

EVIDENCE_COLUMNS = (
    "id",
    "topic",
    "claim",
    "baseline",
    "value",
    "low",
    "high",
    "unit",
    "condition",
)
SCORE_COLUMNS = (
    "category",
    "task",
    "metric",
    "base_model",
    "base_score",
    "finetuned_score",
    "gpt35_turbo_score",
    "gpt4_score",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One published finding, with its number where it has one."""

    id: str
    topic: str
    claim: str
    baseline: float | None
    """What `value` is compared with: before tuning, or the bare model."""
    value: float | None
    low: float | None
    high: float | None
    unit: str | None
    condition: str | None
    """Sample size, data set or setting."""
    source: str
    as_of: str
    evidence: Trust
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunedScore:
    """Scores of one base model on one task (LoRA Land, arXiv 2405.00732, table 12); 1 is best.

    Models of at most 7 billion parameters with rank-8 QLoRA; GPT was prompted with no or one
    example and no prompt engineering.
    """

    category: str
    task: str
    metric: str
    base_model: str
    base_score: float
    finetuned_score: float
    gpt35_turbo_score: float
    gpt4_score: float

    @property
    def gain_over_gpt4(self) -> float:
        """Tuned score minus GPT-4's."""
        return self.finetuned_score - self.gpt4_score


@cache
def evidence_topics() -> Mapping[str, tuple[Evidence, ...]]:
    """Every finding by topic."""
    return read_evidence(DATA / "quality_evidence.csv")


def evidence(topic: str) -> tuple[Evidence, ...]:
    """The findings on one topic."""
    if topic not in evidence_topics():
        raise unknown("topic", topic, evidence_topics())
    return evidence_topics()[topic]


@cache
def tuned_scores() -> tuple[TunedScore, ...]:
    """The 310 scores (31 tasks, 10 base models) of LoRA Land."""
    return read_tuned_scores(DATA / "lora_land.csv")


def read_evidence(path: Path) -> Mapping[str, tuple[Evidence, ...]]:
    """The findings of one table by topic."""
    found: dict[str, tuple[Evidence, ...]] = {}
    for row in read_rows(path, EVIDENCE_COLUMNS):
        finding = _finding(row)
        found[finding.topic] = (*found.get(finding.topic, ()), finding)
    return MappingProxyType(found)


def read_tuned_scores(path: Path) -> tuple[TunedScore, ...]:
    """The scores of one table."""
    return tuple(_score(row) for row in read_rows(path, SCORE_COLUMNS, key=None))


def _finding(row: Row) -> Evidence:
    low, high = row.optional_number("low"), row.optional_number("high")
    if low is not None and high is not None and low > high:
        raise row.error("high", f"is below low {low:g}")
    return Evidence(
        id=row.text("id"),
        topic=row.text("topic"),
        claim=row.text("claim"),
        baseline=row.optional_number("baseline"),
        value=row.optional_number("value"),
        low=low,
        high=high,
        unit=row.optional_text("unit"),
        condition=row.optional_text("condition"),
        **row.provenance(),
    )


def _score(row: Row) -> TunedScore:
    return TunedScore(
        category=row.text("category"),
        task=row.text("task"),
        metric=row.text("metric"),
        base_model=row.text("base_model"),
        base_score=row.number("base_score"),
        finetuned_score=row.number("finetuned_score"),
        gpt35_turbo_score=row.number("gpt35_turbo_score"),
        gpt4_score=row.number("gpt4_score"),
    )
