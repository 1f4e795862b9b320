"""The profile of a dataset: what a training run needs to know of it."""

from dataclasses import asdict, dataclass
from typing import Any

from estimator.dataset.sequences import LengthDistribution, SequenceFit, fit_sequences
from estimator.errors import InputError
from estimator.quantity import Quantity

SHOWN_MALFORMED = 5
"""How many malformed rows a profile shows; all are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Shares of the examples for training, validation and test; they sum to 1."""

    train: float = 0.9
    validation: float = 0.05
    test: float = 0.05

    def __post_init__(self) -> None:
        shares = (self.train, self.validation, self.test)
        if not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
            shown = " + ".join(f"{share:g}" for share in shares)
            raise InputError(f"split {shown}: shares must lie in 0..1 and sum to 1")

    def sizes(self, examples: int) -> "SplitSizes":
        """Whole examples in each part, by largest remainder; they sum to `examples`."""
        exact = [share * examples for share in (self.train, self.validation, self.test)]
        sizes = [int(part + 1e-9) for part in exact]
        by_remainder = sorted(range(3), key=lambda i: sizes[i] - exact[i])
        for place in by_remainder[: examples - sum(sizes)]:
            sizes[place] += 1
        return SplitSizes(train=sizes[0], validation=sizes[1], test=sizes[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSizes:
    """Examples in each part."""

    train: int
    validation: int
    test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MalformedRow:
    """A row that could not be used, and why."""

    place: str
    """File and line (in JSON the element, in Parquet the row)."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetProfile:
    """What is known of a dataset. None where it is not known: a typed-in profile has no bytes."""

    source: str
    """Path, or `typed in`."""
    token_source: str
    """Who counted the tokens, or how they were estimated."""
    total_tokens: Quantity
    """Tokens of all examples once, the chat template's included; a range when estimated."""
    examples: int | None
    lengths: LengthDistribution | None
    """Tokens per example; the middle estimate when estimated."""
    fit: SequenceFit | None
    """Truncation, padding and packing at the sequence length asked for."""
    split: SplitSizes | None
    template_tokens: float | None = None
    """Part of the tokens that the chat template adds, by assumption."""
    target_share: float | None = None
    """Share of the text's tokens that the model learns to write (replies, or whole documents)."""
    characters: int | None = None
    text_bytes: int | None = None
    """Bytes of the text in UTF-8, without the file format around it."""
    files: int | None = None
    duplicates: int | None = None
    """Examples that repeat an earlier one exactly, white space aside."""
    empty_rows: int | None = None
    malformed_rows: int | None = None
    malformed_shown: tuple[MalformedRow, ...] = ()
    shapes: tuple[tuple[str, int], ...] = ()
    """How the records were understood, and how many of each."""
    fields: tuple[str, ...] = ()
    """Fields whose text was used."""
    fingerprint: str | None = None
    """Hash of all examples: the same for any order and any division into files."""
    notes: tuple[str, ...] = ()
    """Assumptions and what was left out, one sentence each."""

    def fit_at(self, sequence_length: int, micro_batch_size: int = 8) -> SequenceFit | None:
        """Truncation, padding and packing at another sequence length; None without lengths."""
        if self.lengths is None:
            return None
        return fit_sequences(
            self.lengths, sequence_length=sequence_length, micro_batch_size=micro_batch_size
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ranges as p10, p50, p90."""
        plain = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in ("total_tokens", "lengths", "fit", "split", "shapes", "malformed_shown")
        }
        p10, p50, p90 = self.total_tokens.p10_p50_p90()
        return plain | {
            "total_tokens": {"p10": round(p10), "p50": round(p50), "p90": round(p90)},
            "tokens_per_example": _tokens_per_example(self.lengths),
            "fit": self.fit.as_dict() if self.fit else None,
            "split": asdict(self.split) if self.split else None,
            "shapes": dict(self.shapes),
            "fields": list(self.fields),
            "notes": list(self.notes),
            "malformed_shown": [asdict(row) for row in self.malformed_shown],
        }


def _tokens_per_example(lengths: LengthDistribution | None) -> dict[str, float] | None:
    if lengths is None:
        return None
    return {
        "mean": lengths.mean,
        "p50": lengths.quantile(0.5),
        "p95": lengths.quantile(0.95),
        "max": lengths.longest,
    }
