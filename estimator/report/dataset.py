"""A dataset profile for people: size, tokens, how it fills sequences, what was wrong with it."""

from collections.abc import Iterator
from math import ceil

import numpy as np
from rich.console import RenderableType

from estimator.dataset import DatasetProfile, LengthDistribution, SequenceFit
from estimator.decision.wording import money, significant
from estimator.quantity import Quantity
from estimator.report.layout import bars, facts, heading, notes

BINS = 10
MORE_EXAMPLES = (500, 1_000, 5_000, 20_000)


def dataset_parts(profile: DatasetProfile) -> Iterator[RenderableType]:
    """The profile as parts to print, the most needed first."""
    yield heading(f"Dataset {profile.source}", f"tokens: {profile.token_source}")
    yield facts("One epoch", size_facts(profile))
    if profile.fit is not None:
        yield facts(
            f"In sequences of {profile.fit.sequence_length:,} tokens", _filling(profile.fit)
        )
    if profile.lengths is not None and len(profile.lengths.lengths) > 1:
        yield bars("Examples by length in tokens", length_histogram(profile.lengths))
    if profile.malformed_shown:
        title = f"Rows that could not be used: {profile.malformed_rows:,}"
        yield notes(title, malformed_lines(profile))
    if profile.notes:
        yield notes("To know", profile.notes)


def malformed_lines(profile: DatasetProfile) -> list[str]:
    """The first rows that could not be used, each with the reason, and how many more there are."""
    shown = [f"{row.place}: {row.reason}" for row in profile.malformed_shown]
    more = (profile.malformed_rows or 0) - len(shown)
    return [*shown, f"and {more:,} more"] if more else shown


def size_facts(profile: DatasetProfile) -> Iterator[tuple[str, str, str]]:
    """Name, value and remark of what one epoch holds."""
    if profile.examples is not None:
        yield "examples", f"{profile.examples:,}", _rows_left_out(profile)
    yield "tokens", *tokens_text(profile.total_tokens)
    if profile.lengths is not None:
        lengths = profile.lengths
        spread = (
            f"median {lengths.quantile(0.5):,}, P95 {lengths.quantile(0.95):,}, "
            f"longest {lengths.longest:,}"
        )
        yield "tokens per example", f"{lengths.mean:,.0f}", spread
    if profile.target_share is not None:
        share = f"{profile.target_share:.0%}"
        yield "learnt part", share, "of the text's tokens: replies, or whole documents"
    if profile.split is not None:
        parts = profile.split
        yield (
            "split",
            f"{parts.train:,} train",
            f"{parts.validation:,} validation, {parts.test:,} test",
        )


def _rows_left_out(profile: DatasetProfile) -> str:
    if profile.duplicates is None:
        return profile.source
    return (
        f"{profile.duplicates:,} repeat an earlier one; besides: {profile.empty_rows:,} empty "
        f"and {profile.malformed_rows:,} malformed rows"
    )


def tokens_text(tokens: Quantity) -> tuple[str, str]:
    """Tokens and their range, with a remark on how they are known."""
    p10, p50, p90 = tokens.p10_p50_p90()
    if tokens.is_fixed:
        return f"{p50:,.0f}", "exact" if tokens.source != "typed in" else "typed in"
    return significant(p50, 3), f"{significant(p10, 3)} to {significant(p90, 3)} (P10 to P90)"


def _filling(fit: SequenceFit) -> Iterator[tuple[str, str, str]]:
    yield (
        "packed",
        f"{fit.packing_efficiency:.1%} filled",
        f"{fit.packed_sequences:,} sequences, best-fit decreasing",
    )
    batch = f"micro-batches of {fit.micro_batch_size}, each to its longest"
    yield "padded", f"{fit.padding_efficiency:.1%} filled", batch
    yield "padded to the end", f"{fit.padding_to_max_efficiency:.1%} filled", "every example"
    cut = f"{fit.truncated_examples:,} examples"
    yield "cut off", cut, f"{fit.truncated_tokens:,} tokens lost"


def length_histogram(lengths: LengthDistribution) -> list[tuple[str, float]]:
    """Examples by range of length: some ten ranges of a round width, the last one open."""
    width = _round_up(lengths.quantile(0.99) / BINS)
    last = ceil(lengths.quantile(0.99) / width) * width
    edges = [*range(0, last + 1, width), max(lengths.longest + 1, last + 1)]
    counts, _ = np.histogram(lengths.lengths, bins=edges, weights=lengths.counts)
    labels = [f"{a:,} to {a + width - 1:,}" for a in edges[:-2]] + [f"{last:,} and more"]
    rows = list(zip(labels, counts.tolist(), strict=True))
    return rows if rows[-1][1] else rows[:-1]


def labelling_rows(usd_per_example: Quantity) -> list[tuple[str, str]]:
    """What so many more examples cost, median and P10 to P90."""
    p10, p50, p90 = usd_per_example.p10_p50_p90()
    return [
        (f"{n:,}", f"{money(n * p50)} ({money(n * p10)} to {money(n * p90)})")
        for n in MORE_EXAMPLES
    ]


def _round_up(x: float) -> int:
    """The next 1, 2 or 5 times a power of ten."""
    power = int(f"1{'0' * (len(str(ceil(x))) - 1)}")
    return next(step * power for step in (1, 2, 5, 10) if step * power >= x)
