"""Write docs/accuracy.md: how far predictions lie from published measurements.

    python benchmarks/accuracy_page.py

Figures of the shipped fit are computed here; those of fits that did not see a row come from
docs/figures/throughput_left_out.csv, which benchmarks/left_out.py writes. Why the worst rows are
off stands in docs/figures/worst_rows.csv, written by hand. tests/test_docs.py holds the page to
its data.
"""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from estimator.files import write_atomically
from estimator.hardware.calibration import Knowledge
from estimator.quantity import FloatArray
from estimator.report.validation import COLUMNS, percent, score_cells, signed
from estimator.training.calibrate import WIDENING, spread_factor
from estimator.validation.fitting import MEMORY_FILE, THROUGHPUT_FILE
from estimator.validation.memory import validate_memory
from estimator.validation.throughput import (
    SpeedPrediction,
    ThroughputValidation,
    validate_throughput,
)

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "accuracy.md"
LEFT_OUT = DOCS / "figures" / "throughput_left_out.csv"
WORST = DOCS / "figures" / "worst_rows.csv"
TEXT = DOCS / "figures" / "accuracy_text.md"
SHOWN_WORST = 10
FEW = 20
Row = Mapping[str, str]
LEVELS: tuple[Knowledge, ...] = ("seen", "one_unseen", "both_unseen")
GROUPS = {"source": "By source", "method": "By method", "gpu": "By GPU", "stack": "By software"}


def main() -> None:
    write_atomically(PAGE, page())
    print(f"wrote {PAGE}")


def page() -> str:
    """The whole page: text by hand, with tables in the places that it names."""
    found = validate_throughput(THROUGHPUT_FILE)
    left_out = read(LEFT_OUT)
    tables = {
        "headline": headline(found, left_out),
        "groups": groups(left_out),
        "worst": worst(found),
        "unexpressed": unexpressed(found),
        "memory": memory(),
    }
    text = TEXT.read_text(encoding="utf-8")
    for name, lines in tables.items():
        text = text.replace(f"<!-- {name} -->", "\n".join(lines))
    return text


def read(path: Path) -> list[Row]:
    """The rows of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table, numbers to the right."""
    yield "| " + " | ".join(head) + " |"
    yield "|---|" + "---:|" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def errors(rows: Sequence[Row], column: str) -> FloatArray:
    """|predicted / measured - 1| where the column says something."""
    ratio = [float(r[column]) / float(r["measured"]) for r in rows if r[column]]
    return np.abs(np.array(ratio) - 1.0)


def by_source_mean(rows: Sequence[Row], column: str) -> float:
    """Mean over the sources of their median errors."""
    names = sorted({r["source"] for r in rows if r[column]})
    return float(
        np.mean([np.median(errors([r for r in rows if r["source"] == s], column)) for s in names])
    )


def left_out_coverage(rows: Sequence[Row]) -> float:
    """Share of rows inside an 80 % range whose width was found on the other sources alone.

    As the shipped widths are: the quantile of the others' residuals where as much was known, or
    less than 20 rows say it, where more was; then widened by the same share.
    """
    ratio = [float(r["without_source"]) / float(r["measured"]) for r in rows]
    residual = np.abs(np.log(ratio))
    source = np.array([r["source"] for r in rows])
    level = np.array([LEVELS.index(r["knowledge_without_source"]) for r in rows])  # type: ignore[arg-type]
    _, where, count = np.unique(source, return_inverse=True, return_counts=True)
    weight = (1.0 / count)[where]
    inside = np.zeros(len(rows), dtype=bool)
    for name, known in sorted(set(zip(source.tolist(), level.tolist(), strict=True))):
        held = (source == name) & (level == known)
        alike = (source != name) & (level == known)
        if alike.sum() < FEW:
            alike = (source != name) & (level <= known)
        width = WIDENING * np.log(spread_factor(residual[alike], weight[alike]))
        inside[held] = residual[held] <= width
    return float(np.mean(inside))


def headline(found: ThroughputValidation, rows: Sequence[Row]) -> Iterator[str]:
    """The figures that matter, with what they were aimed at."""
    total = found.scores.total
    adapters = [r for r in rows if r["method"] in ("lora", "qlora")]
    foundry = [r for r in rows if r["source"] == "llmfoundry"]

    def cells(name: str, kind: Sequence[Row], column: str) -> tuple[str, ...]:
        e = errors(kind, column)
        return (
            name,
            f"{len(e):,}",
            percent(float(np.median(e))),
            percent(float(np.quantile(e, 0.9))),
            percent(by_source_mean(kind, column)),
        )

    yield from table(
        ("Tokens per second and GPU", "Rows", "Median error", "P90 error", "Sources equal"),
        [
            cells("the shipped fit, rows that it saw", rows, "in_sample"),
            cells("each model by a fit without it", rows, "without_model"),
            cells("the same, LoRA and QLoRA", adapters, "without_model"),
            cells("the same, llm-foundry", foundry, "without_model"),
            cells("each source by a fit without it", rows, "without_source"),
            cells("the same after 5 own rows", rows, "after_own_rows"),
        ],
    )
    yield ""
    yield (
        f"Expressed: {total.rows:,} of {found.scores.rows:,} rows "
        f"({percent(total.rows / found.scores.rows)}); {found.scores.suspect_left_out} rows that "
        "no accounting explains are left out. Bias of the median: "
        f"{signed(total.bias)}. Rank correlation of predicted and measured utilisation: "
        f"{found.spearman:.3f}."
    )
    yield ""
    yield (
        f"The 80 % range holds {percent(total.coverage_80, 0)} of the rows that the fit saw, and "
        f"{percent(left_out_coverage(rows), 0)} of rows of a source that neither the fit nor the "
        "width of the range has seen."
    )


def groups(rows: Sequence[Row]) -> Iterator[str]:
    """Errors by source, method, GPU and software: seen, and by a fit without the source."""
    for column, name in GROUPS.items():
        yield from (f"### {name}", "")
        yield from table(
            (name.removeprefix("By ").capitalize(), "Rows", "Seen", "Source left out", "P90"),
            [_group(name, rows, lambda r, c=column, n=name: r[c] == n)  # type: ignore[misc]
             for name in sorted({r[column] for r in rows})],
        )  # fmt: skip
        yield ""


def _group(name: str, rows: Sequence[Row], belongs: Callable[[Row], bool]) -> tuple[str, ...]:
    held = [r for r in rows if belongs(r)]
    seen, unseen = errors(held, "in_sample"), errors(held, "without_source")
    return (
        name,
        f"{len(held):,}",
        percent(float(np.median(seen))),
        percent(float(np.median(unseen))),
        percent(float(np.quantile(unseen, 0.9))),
    )


def worst(found: ThroughputValidation) -> Iterator[str]:
    """The rows that are furthest off, with the reason."""
    reasons = {row["row_id"]: row["reason"] for row in read(WORST)}
    rows = [
        (
            f"{p.row_id}: {p.model}, {p.method}, {p.gpus} x {p.gpu}, {p.stack}",
            f"{p.measured:,.0f}",
            f"{p.p50:,.0f}",
            signed(p.error),
            reasons[p.row_id],
        )
        for p in found.scores.worst(SHOWN_WORST)
        if isinstance(p, SpeedPrediction)
    ]
    yield from table(("Row", "Measured", "Predicted", "Error", "Reason"), rows)


def unexpressed(found: ThroughputValidation) -> Iterator[str]:
    """What no prediction was made for."""
    rows = [(why, f"{len(ids):,}") for why, ids in found.scores.unexpressed.items()]
    yield from table(("Reason", "Rows"), rows)


def memory() -> Iterator[str]:
    """Peak memory, predicted against measured, by method."""
    found = validate_memory(MEMORY_FILE)
    named = {"all": found.total, **found.by_method}
    yield from table(COLUMNS, [score_cells(name, score) for name, score in named.items()])


if __name__ == "__main__":
    main()
