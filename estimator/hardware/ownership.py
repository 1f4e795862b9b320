"""What GPUs of one's own cost a year, and the use at which they are cheaper than rented ones.

Pure formulas over numbers or arrays; the ranges that no scenario asks for stand in a table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from estimator.errors import InputError
from estimator.quantity import FloatArray, Quantity
from pricing.table import read_rows

HOURS_PER_YEAR = 8760
OWNERSHIP_FILE = Path(__file__).parent / "data" / "ownership.csv"
COLUMNS = ("id", "meaning", "min", "mode", "max", "unit")


@cache
def ownership_assumptions() -> Mapping[str, Quantity]:
    """Defaults of owning and of spot machines by id, with their sources."""
    rows = read_rows(OWNERSHIP_FILE, COLUMNS)
    ends = {name: name for name in ("min", "mode", "max")}
    return MappingProxyType({row.text("id"): row.quantity(ends, row.text("unit")) for row in rows})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OwnCost:
    """Cost of owning for one year, in USD; the parts sum to the total."""

    capital_usd: FloatArray
    """Annuity of the price less what the GPUs still fetch at the end."""
    fixed_power_usd: FloatArray
    """Electricity when nothing runs."""
    power_usd_per_busy_hour: FloatArray
    """Electricity on top of it for every hour in which all GPUs are busy."""
    colocation_usd: FloatArray
    ops_usd: FloatArray

    @property
    def fixed_usd(self) -> FloatArray:
        """What is paid whether the GPUs are used or not."""
        return np.asarray(
            self.capital_usd + self.fixed_power_usd + self.colocation_usd + self.ops_usd
        )

    def total_usd(self, busy_hours: ArrayLike) -> FloatArray:
        """Cost of a year in which all GPUs are busy for so many hours."""
        return np.asarray(self.fixed_usd + self.power_usd_per_busy_hour * np.asarray(busy_hours))

    def usd_per_gpu_hour(self, gpus: int, utilisation: ArrayLike) -> FloatArray:
        """Cost of one useful GPU hour at a share of the year in use."""
        hours = HOURS_PER_YEAR * np.asarray(utilisation)
        return np.asarray(self.total_usd(hours) / (hours * gpus))

    def break_even_utilisation(self, gpus: int, rent_usd_per_gpu_hour: ArrayLike) -> FloatArray:
        """Share of the year in use from which owning is cheaper than renting; above 1: never.

        fixed / (8760 x (rent of all GPUs - power per busy hour)); infinite where rent is below
        the electricity alone.
        """
        saved = gpus * np.asarray(rent_usd_per_gpu_hour) - self.power_usd_per_busy_hour
        share = np.full(np.broadcast(saved, self.fixed_usd).shape, np.inf)
        np.divide(self.fixed_usd, HOURS_PER_YEAR * saved, out=share, where=saved > 0)
        return share


def annuity_usd(
    price_usd: ArrayLike, residual_usd: ArrayLike, years: ArrayLike, rate_per_year: float
) -> FloatArray:
    """Equal payment at the end of each year: (P - S (1 + r)^-n) r / (1 - (1 + r)^-n), in USD.

    At a rate of 0: (P - S) / n. Source: Brealey, Myers and Allen, chapter 6 (equivalent annual
    cost).
    """
    price, residual = np.asarray(price_usd), np.asarray(residual_usd)
    years = np.asarray(years, dtype=np.float64)
    if rate_per_year == 0:
        return np.asarray((price - residual) / years)
    end = (1 + rate_per_year) ** -years
    return np.asarray((price - residual * end) * rate_per_year / (1 - end))


def value_left_share(
    residual_share: ArrayLike, useful_life_years: ArrayLike, years: ArrayLike
) -> FloatArray:
    """Resale value after some years over the price: a straight line down to the residual share."""
    worn = np.minimum(np.asarray(years) / np.asarray(useful_life_years), 1.0)
    return np.asarray(1 - (1 - np.asarray(residual_share)) * worn)


def own_cost(
    *,
    price_usd: ArrayLike,
    residual_share: ArrayLike,
    years: float,
    rate_per_year: float,
    kilowatts: ArrayLike,
    idle_power_share: ArrayLike,
    pue: ArrayLike,
    usd_per_kwh: ArrayLike,
    colocation_usd_per_kw_month: ArrayLike,
    ops_share: ArrayLike,
) -> OwnCost:
    """Cost of owning servers for a year.

    Capital as an annuity over `years`; kilowatts (busy) x PUE x price of electricity for 8,760
    hours, an idle server drawing `idle_power_share` of it; rack by kW and month; support and repair
    as a share of the price per year. Left out: network, floor, tax and depreciation for tax.
    """
    if not years > 0:
        raise InputError(f"years {years:g}: must be above 0")
    price, kw, idle = np.asarray(price_usd), np.asarray(kilowatts), np.asarray(idle_power_share)
    power_usd_per_hour = kw * np.asarray(pue) * np.asarray(usd_per_kwh)
    return OwnCost(
        capital_usd=annuity_usd(price, price * np.asarray(residual_share), years, rate_per_year),
        fixed_power_usd=np.asarray(power_usd_per_hour * idle * HOURS_PER_YEAR),
        power_usd_per_busy_hour=np.asarray(power_usd_per_hour * (1 - idle)),
        colocation_usd=np.asarray(kw * np.asarray(colocation_usd_per_kw_month) * 12),
        ops_usd=np.asarray(price * np.asarray(ops_share)),
    )
