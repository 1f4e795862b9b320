"""The shipped models: what their config.json states, so that each resolves to an exact count."""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from estimator.errors import CatalogError, InputError, nearest
from estimator.llm.architecture import Architecture
from estimator.llm.class_defaults import class_defaults

TABLE = "models.csv"
_NUMBERS = (
    "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads",
    "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings",
)  # fmt: skip
COLUMNS = (
    "id", "aliases", "same_as", "model_type", *_NUMBERS, "tie_word_embeddings", "extra",
    "published_parameters", "source", "as_of", "evidence",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One shipped model."""

    id: str
    aliases: tuple[str, ...]
    config: Mapping[str, object]
    """The keys of its config.json that its family reads."""
    published_parameters: int | None
    """Total that its page or checkpoint publishes; None: not known here."""
    source: str
    as_of: str
    evidence: str


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: Mapping[str, str]

    def fault(self, column: str, allowed: str) -> InputError:
        value = self.cells.get(column, "")
        return InputError(f"{TABLE}:{self.line}: {column} is {value!r}; allowed: {allowed}")

    def text(self, column: str) -> str:
        if not self.cells[column]:
            raise self.fault(column, "a text")
        return self.cells[column]

    def number(self, column: str) -> int | None:
        text = self.cells[column]
        if not text:
            return None
        if not text.isdecimal():
            raise self.fault(column, "a whole number or nothing")
        return int(text)


def read_catalogue(lines: Iterable[str]) -> dict[str, CatalogueEntry]:
    """The entries of a table, by id; a row with `same_as` takes the config of that row."""
    reader = csv.DictReader(lines, strict=True)
    if tuple(reader.fieldnames or ()) != COLUMNS:
        raise InputError(f"{TABLE}:1: columns are {reader.fieldnames}; allowed: {list(COLUMNS)}")
    configs: dict[str, Mapping[str, object]] = {}
    entries: dict[str, CatalogueEntry] = {}
    for line, cells in enumerate(reader, start=2):
        if None in cells or None in cells.values():
            raise InputError(f"{TABLE}:{line}: the row does not have {len(COLUMNS)} cells")
        row = _Row(line, cells)
        id = row.text("id")
        if id in entries:
            raise row.fault("id", "an id that no row above has")
        configs[id] = _shared_config(row, configs) if cells["same_as"] else _own_config(row)
        entries[id] = CatalogueEntry(
            id=id,
            aliases=tuple(cells["aliases"].split()),
            config=configs[id],
            published_parameters=row.number("published_parameters"),
            source=row.text("source"),
            as_of=row.text("as_of"),
            evidence=row.text("evidence"),
        )
    return entries


def _shared_config(row: _Row, configs: Mapping[str, Mapping[str, object]]) -> Mapping[str, object]:
    if row.cells["same_as"] not in configs:
        raise row.fault("same_as", "the id of a row above")
    if any(row.cells[column] for column in ("model_type", *_NUMBERS, "extra")):
        raise row.fault("same_as", "nothing where the row has dimensions of its own")
    return configs[row.cells["same_as"]]


def _own_config(row: _Row) -> Mapping[str, object]:
    """The config.json of the row, under the names that its own class gives the keys."""
    family = row.text("model_type")
    aliases = class_defaults(family).aliases
    config: dict[str, object] = {"model_type": family}
    for column in _NUMBERS:
        number = row.number(column)
        if number is not None:
            config[aliases.get(column, column)] = number
    tied = row.cells["tie_word_embeddings"]
    if tied not in ("", "true", "false"):
        raise row.fault("tie_word_embeddings", "true, false or nothing")
    if tied:
        config["tie_word_embeddings"] = tied == "true"
    if row.cells["extra"]:
        try:
            config.update(json.loads(row.cells["extra"]))
        except (ValueError, TypeError):
            raise row.fault("extra", "a JSON object or nothing") from None
    return config


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """Every shipped model by id, in the order of the table."""
    table = files("estimator.llm").joinpath("data", TABLE)
    return read_catalogue(table.read_text(encoding="utf-8").splitlines())


def _spellings(name: str) -> list[str]:
    """The forms in which people write a name: without maker, `-hf`, `meta-`; `_` as `-`."""
    folded = "-".join(name.casefold().replace("_", "-").split())
    plain = folded.removesuffix("-hf").replace("/meta-llama-", "/llama-")
    short = plain.rpartition("/")[2]
    return [folded, plain, short, short.removeprefix("meta-")]


@cache
def _index() -> Mapping[str, str]:
    """Id by every spelling: ids and aliases as written come before their short forms."""
    index: dict[str, str] = {}
    for depth in range(4):
        for entry in catalogue().values():
            for name in (entry.id, *entry.aliases):
                index.setdefault(_spellings(name)[depth], entry.id)
    return index


def find_model(name: str) -> CatalogueEntry | None:
    """The shipped model of that id, alias or common short name, ignoring case; None: not shipped.

    A maker's name is never ignored: another maker's model of the same name is another model.
    """
    forms = _spellings(name)[: 2 if "/" in name else 4]
    found = next((_index()[form] for form in forms if form in _index()), None)
    return None if found is None else catalogue()[found]


def nearest_models(name: str) -> list[str]:
    """Up to three shipped models whose names come closest."""
    close = [_index()[form] for form in nearest(name.replace("_", "-"), _index(), n=8)]
    return list(dict.fromkeys(close))[:3]


def unknown_model(name: str, hint: str = "") -> CatalogError:
    """The error for a name that the catalogue does not know, with the nearest ids."""
    shown = ", ".join(nearest_models(name))
    help_text = f"nearest known: {shown}" if shown else f"{len(catalogue())} are shipped"
    return CatalogError(
        f"unknown model {name[:120]!r}; {help_text}" + (f". {hint}" if hint else "")
    )


@cache
def catalogue_architecture(id: str) -> Architecture:
    """The architecture of the shipped model with exactly that id."""
    return Architecture.from_hf_config(catalogue()[id].config, id)
