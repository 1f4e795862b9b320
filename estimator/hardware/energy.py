"""Electricity and carbon of GPU hours: for training and serving alike.

kWh = GPU hours x board power x (idle share + (busy share - idle share) x utilisation + host share)
x PUE; CO2e = kWh x carbon intensity of the region's grid. Ref: Patterson et al., "Carbon emissions
and large neural network training", arXiv 2104.10350, section 2; Strubell et al., arXiv 1906.02243.
Left out: making the hardware, networks outside the data centre, and a provider's certificates of
renewable energy (the figures are those of the grid: location-based in the GHG Protocol).
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from estimator.errors import CatalogError, InputError
from estimator.quantity import FloatArray, Quantity
from pricing.gpus import GpuSpec

DATA = Path(__file__).parent / "data"
ENERGY_FILE, PUE_FILE, GRID_FILE = (
    DATA / "energy.json",
    DATA / "pue.csv",
    DATA / "grid_intensity.csv",
)
NOT_KNOWN = "not known"
OTHER = "other"
DRAWS = 1024
WATTS_PER_KILOWATT = 1000.0
GRAMS_PER_KILOGRAM = 1000.0


class EnergyFigures(BaseModel):
    """Power beside the data sheet's, as shares of a GPU board's power; every number is a range."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    gpu_idle_share: Quantity
    """What a GPU draws while it does nothing."""
    gpu_busy_share: Quantity
    """What a GPU draws while it computes without pause."""
    host_share: Quantity
    """CPUs, memory, network and fans for each GPU."""
    grid_year_factor: Quantity
    """Carbon intensity during a run over that of the year in the table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridIntensity:
    """Greenhouse gas per kWh that a region's power stations emit."""

    place: str
    grams_co2e_per_kwh: float
    source: str
    as_of: str
    evidence: str
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A number with its uncertainty."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyUse:
    """Electricity of some GPU hours at the meter, and what making it emits."""

    kwh: Spread
    kg_co2e: Spread
    watts_per_gpu: Spread
    """At the meter: host and cooling included."""
    grid: GridIntensity
    pue: Quantity


def energy_use(
    gpu: GpuSpec,
    gpu_hours: Quantity | float,
    *,
    utilisation: float = 1.0,
    provider: str | None = None,
    region: str | None = None,
) -> EnergyUse:
    """kWh and kg CO2e of `gpu_hours`, as ranges.

    `utilisation`: share of the time in which the GPU computes. A provider without a PUE of its own
    takes that of other data centres; a region that no table knows takes the mean of the United
    States, and `grid` says so.
    """
    if gpu.tdp_watts is None:
        raise InputError(f"the power of {gpu.id} is unknown: its energy cannot be estimated")
    if not 0.0 <= utilisation <= 1.0:
        raise InputError(f"utilisation = {utilisation:g}: a share, 0 to 1")
    figures, pue, grid = energy_figures(), pue_of(provider), grid_of(provider, region)
    drawn = {name: getattr(figures, name) for name in EnergyFigures.model_fields}
    draws = _draws(drawn | {"pue": pue, "gpu_hours": Quantity.of(gpu_hours)})
    idle = draws["gpu_idle_share"]
    share = idle + (draws["gpu_busy_share"] - idle) * utilisation + draws["host_share"]
    watts = gpu.tdp_watts * share * draws["pue"]
    kwh = watts * draws["gpu_hours"] / WATTS_PER_KILOWATT
    intensity = grid.grams_co2e_per_kwh * draws["grid_year_factor"]
    return EnergyUse(
        kwh=_spread(kwh),
        kg_co2e=_spread(kwh * intensity / GRAMS_PER_KILOGRAM),
        watts_per_gpu=_spread(watts),
        grid=grid,
        pue=pue,
    )


@cache
def energy_figures() -> EnergyFigures:
    """The shipped figures, from `data/energy.json`."""
    try:
        return EnergyFigures.model_validate_json(ENERGY_FILE.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{ENERGY_FILE.name}: {place}: {first['msg']}") from None


def pue_of(provider: str | None) -> Quantity:
    """Energy of a data centre over that of its computers, by who runs it."""
    table = _pue()
    return table.get((provider or OTHER).casefold(), table[OTHER])


def grid_of(provider: str | None, region: str | None) -> GridIntensity:
    """The grid of a provider's region, or of a country; of several regions the first known."""
    table = _grids()
    for name in (region or "").split(";"):
        for key in ((provider or "", name), ("", name)):
            if found := table.get((_folded(key[0]), _folded(key[1]))):
                return found
    return table["", _folded(NOT_KNOWN)]


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "")


@cache
def _pue() -> Mapping[str, Quantity]:
    return MappingProxyType(
        {
            row["provider"].casefold(): Quantity.model_validate(
                {end: float(row[end]) for end in ("min", "mode", "max")}
                | {"unit": "factor", "source": row["source"], "as_of": row["as_of"]}
                | {"evidence": row["evidence"], "note": row["note"] or None}
            )
            for row in _rows(PUE_FILE, ("min", "mode", "max"))
        }
    )


@cache
def _grids() -> Mapping[tuple[str, str], GridIntensity]:
    return MappingProxyType(
        {
            (_folded(row["provider"]), _folded(row["region"])): GridIntensity(
                place=row["place"] or row["region"],
                grams_co2e_per_kwh=float(row["grams_co2e_per_kwh"]),
                source=row["source"],
                as_of=row["as_of"],
                evidence=row["evidence"],
                note=row["note"] or None,
            )
            for row in _rows(GRID_FILE, ("grams_co2e_per_kwh",))
        }
    )


def _rows(path: Path, numbers: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a table whose columns `numbers` hold numbers of 0 or more."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for line, row in enumerate(rows, start=2):
        for column in numbers:
            try:
                good = float(row[column]) >= 0.0
            except ValueError:
                good = False
            if not good:
                fault = f"{row[column]!r} is not a number of 0 or more"
                raise CatalogError(f"{path.name}, line {line}, {column}: {fault}")
    return rows


def _draws(quantities: Mapping[str, Quantity]) -> dict[str, FloatArray]:
    """Joint draws of independent quantities, a fixed low-discrepancy sequence (Roberts 2018)."""
    phi = 2.0
    for _ in range(40):
        phi = (1.0 + phi) ** (1.0 / (len(quantities) + 1.0))
    index = np.arange(1, DRAWS + 1)
    return {
        name: quantity.ppf((0.5 + index * phi ** -(place + 1.0)) % 1.0)
        for place, (name, quantity) in enumerate(quantities.items())
    }


def _spread(draws: FloatArray) -> Spread:
    p10, p50, p90 = np.quantile(draws, [0.1, 0.5, 0.9])
    return Spread(p10=float(p10), p50=float(p50), p90=float(p90))
