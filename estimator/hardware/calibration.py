"""How much of the hardware's best rates a training program reaches: measured, with provenance.

A `Calibration` is a small table of named parameters, each with a physical meaning, a unit and the
uncertainty of its logarithm. The shipped one was fitted to published measurements; a benchmark of
one's own machine or one's own logs give others of the same form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from estimator.errors import CatalogError, InputError
from estimator.quantity import Quantity

CALIBRATION_FILE = Path(__file__).parent / "data" / "calibration.json"
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LogSd = Annotated[float, Field(ge=0, le=3)]
Values = Mapping[str, Mapping[str, float]]
"""The bare numbers of a calibration: parameter name, then GPU generation, stack or "all"."""
Origin = Literal["fitted", "literature", "assumed"]
Knowledge = Literal["seen", "one_unseen", "both_unseen"]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Entry(_Strict):
    """One number of the table."""

    value: Positive
    log_sd: LogSd
    """Standard deviation of ln(value): 0.1 is about 10 %."""
    prior: Positive
    """Value that the fit starts from: literature, data sheet, physics or an earlier fit."""
    prior_log_sd: LogSd
    """Standard deviation of ln(prior); 0: not to be fitted."""
    origin: Origin
    """`fitted` to the measurements; taken from `literature`; or `assumed` for want of either."""


class Parameter(_Strict):
    """A quantity with a physical meaning, perhaps per GPU generation or per software stack."""

    by: Literal["generation", "stack", "kernel", "format", "optimizer", "loss", "size", "all"]
    """What the entries are keyed by; `all`: one number for everything."""
    unit: str
    meaning: str
    source: str
    entries: dict[str, Entry]

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if not self.entries:
            raise ValueError("has no entries")
        if self.by == "all" and set(self.entries) != {"all"}:
            raise ValueError(f'keyed by "all" but has {", ".join(self.entries)}')
        if self.by == "generation" and "other" not in self.entries:
            raise ValueError('has no entry "other" for generations without data')
        return self


class Spread(_Strict):
    """How far true throughput lay from predicted throughput, by how much was known."""

    factor: Annotated[float, Field(ge=1, le=10)]
    """P90 over P50 of measured over predicted throughput, and P50 over P10."""
    source: str


class Calibration(_Strict):
    """Named efficiency parameters with uncertainty and provenance."""

    name: str
    as_of: str
    source: str
    rows: Annotated[int, Field(ge=0)]
    """Measurements that it was fitted to."""
    generations_seen: tuple[str, ...]
    """GPU generations among them."""
    stacks_seen: tuple[str, ...]
    """Software stacks among them."""
    parameters: dict[str, Parameter]
    spread: dict[Knowledge, Spread]

    @property
    def values(self) -> Values:
        """The bare numbers, as the formulas read them."""
        return {
            name: {key: entry.value for key, entry in parameter.entries.items()}
            for name, parameter in self.parameters.items()
        }

    def knowledge(self, generation: str, stack: str) -> Knowledge:
        """How much the measurements behind the fit say about this GPU and this software."""
        known = (generation_key(generation) in self.generations_seen, stack in self.stacks_seen)
        levels: tuple[Knowledge, ...] = ("seen", "one_unseen", "both_unseen")
        return levels[known.count(False)]

    def efficiency_factor(self, generation: str, stack: str) -> Quantity:
        """True over predicted throughput: lognormal about 1, wider where less is known."""
        spread = self.spread[self.knowledge(generation, stack)]
        if spread.factor == 1.0:
            return Quantity(value=1.0, unit="factor", source=spread.source, as_of=self.as_of)
        return Quantity(
            p10=1.0 / spread.factor,
            p90=spread.factor,
            unit="factor",
            source=spread.source,
            as_of=self.as_of,
        )

    def with_entries(self, entries: Mapping[tuple[str, str], Entry]) -> "Calibration":
        """The same calibration with some entries replaced, by parameter and key."""
        parameters = dict(self.parameters)
        for (name, key), entry in entries.items():
            held = {**parameters[name].entries, key: entry}
            parameters[name] = parameters[name].model_copy(update={"entries": held})
        return self.model_copy(update={"parameters": parameters})


@cache
def shipped_calibration() -> Calibration:
    """The calibration that comes with the package."""
    return load_calibration(CALIBRATION_FILE)


def load_calibration(path: Path) -> Calibration:
    """The calibration in a JSON file; a fault names the file and the place in it."""
    try:
        return Calibration.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"calibration file {path} does not exist") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "top level"
        raise CatalogError(f"{path.name}: {place}: {first['msg']}") from None


def generation_key(generation: str) -> str:
    """The name under which a calibration keeps a GPU generation: "CDNA 3" -> cdna.

    Variants of a generation share their first word and, as far as measured, their efficiency; an
    "Ultra" is measured to differ.
    """
    first, *others = generation.casefold().split()
    return f"{first}_ultra" if "ultra" in others else first


@dataclass(frozen=True, slots=True)
class Keys:
    """An array of names as positions in a list of them: sorted out once, looked up often."""

    names: tuple[str, ...]
    positions: NDArray[np.intp]

    @classmethod
    def of(cls, names: object) -> "Keys":
        """The names of an array."""
        found, positions = np.unique(np.asarray(names).astype(str), return_inverse=True)
        return cls(tuple(found.tolist()), positions)


def lookup(values: Values, name: str, keys: object = "all") -> np.ndarray:
    """Numbers of one parameter for `keys` (a name, an array of names or `Keys`), in their shape.

    A GPU generation without an entry of its own takes "other".
    """
    entries = values[name]
    if not isinstance(keys, Keys):
        if np.ndim(keys) == 0:  # type: ignore[arg-type]
            return np.asarray(_entry(entries, name, str(keys)))
        keys = Keys.of(keys)
    return np.array([_entry(entries, name, key) for key in keys.names])[keys.positions]


def _entry(entries: Mapping[str, float], name: str, key: str) -> float:
    if key in entries:
        return entries[key]
    if "other" in entries:
        return entries["other"]
    raise CatalogError(f"calibration parameter {name} has no entry for {key!r}")
