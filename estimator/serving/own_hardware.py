"""Owning GPUs instead of renting them, and renting ones that may be taken away (spot)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.quantity import FloatArray

HOURS_PER_YEAR = 8760.0
MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedCost:
    """What owned hardware costs in a year; the parts sum to `usd_per_year`."""

    capital_usd_per_year: FloatArray
    power_usd_per_year: FloatArray
    colocation_usd_per_year: FloatArray
    operations_usd_per_year: FloatArray
    """Support contract and the work of keeping it running."""

    @property
    def usd_per_year(self) -> FloatArray:
        """All of it."""
        return (
            self.capital_usd_per_year
            + self.power_usd_per_year
            + self.colocation_usd_per_year
            + self.operations_usd_per_year
        )


def annual_capital_usd(
    price_usd: ArrayLike, *, residual_usd: ArrayLike, rate_per_year: ArrayLike, years: ArrayLike
) -> FloatArray:
    """Equal yearly payment that repays a purchase less its resale value.

    (P - S (1+r)^-n) r / (1 - (1+r)^-n); at r = 0 it is (P - S) / n. The equivalent annual cost of
    Brealey, Myers and Allen, "Principles of Corporate Finance", chapter 6.
    """
    rate = np.asarray(rate_per_year, dtype=np.float64)
    n = np.asarray(years, dtype=np.float64)
    discount = (1.0 + rate) ** -n
    flat = rate == 0
    factor = np.where(flat, 1.0 / n, rate / np.where(flat, 1.0, 1.0 - discount))
    return np.asarray((np.asarray(price_usd) - np.asarray(residual_usd) * discount) * factor)


def owned_cost(
    price_usd: ArrayLike,
    *,
    residual_share: ArrayLike,
    rate_per_year: ArrayLike,
    years: ArrayLike,
    power_kw: ArrayLike,
    pue: ArrayLike,
    electricity_usd_per_kwh: ArrayLike,
    load_share: ArrayLike,
    colocation_usd_per_kw_month: ArrayLike,
    operations_share_per_year: ArrayLike,
) -> OwnedCost:
    """Yearly cost of owned GPUs: capital, power, colocation, operations.

    Power: kW x PUE x price x 8,760 h x share of full power. Colocation is paid by the kW reserved.
    Operations are a share of the purchase price. Left out: taxes and depreciation rules.
    """
    price = np.asarray(price_usd, dtype=np.float64)
    kilowatts = np.asarray(power_kw, dtype=np.float64)
    kwh = kilowatts * np.asarray(pue) * HOURS_PER_YEAR * np.asarray(load_share)
    return OwnedCost(
        capital_usd_per_year=annual_capital_usd(
            price,
            residual_usd=price * np.asarray(residual_share),
            rate_per_year=rate_per_year,
            years=years,
        ),
        power_usd_per_year=kwh * np.asarray(electricity_usd_per_kwh),
        colocation_usd_per_year=kilowatts
        * np.asarray(colocation_usd_per_kw_month)
        * MONTHS_PER_YEAR,
        operations_usd_per_year=price * np.asarray(operations_share_per_year),
    )


def owned_usd_per_gpu_hour(
    usd_per_year: ArrayLike, *, gpus: ArrayLike, utilisation: ArrayLike
) -> FloatArray:
    """Cost of one useful GPU-hour: yearly cost / (8,760 h x GPUs x utilisation)."""
    useful_hours = HOURS_PER_YEAR * np.asarray(gpus) * np.asarray(utilisation)
    return np.asarray(np.asarray(usd_per_year) / useful_hours)


def breakeven_utilisation(
    usd_per_year: ArrayLike, *, gpus: ArrayLike, rent_usd_per_gpu_hour: ArrayLike
) -> FloatArray:
    """Share of all hours in use above which owning is cheaper than renting; above 1: never."""
    rent = HOURS_PER_YEAR * np.asarray(gpus) * np.asarray(rent_usd_per_gpu_hour)
    return np.asarray(np.asarray(usd_per_year) / rent)


def checkpoint_interval_seconds(
    checkpoint_seconds: ArrayLike, mean_seconds_between_failures: ArrayLike
) -> FloatArray:
    """Time between checkpoints that wastes least: sqrt(2 x checkpoint time x MTBF).

    Source: Young, CACM 17(9), 1974; Daly, Future Generation Computer Systems 22(3), 2006.
    """
    product = np.asarray(checkpoint_seconds) * np.asarray(mean_seconds_between_failures)
    return np.asarray(np.sqrt(2.0 * product))


def interrupted_time_factor(
    interval_seconds: ArrayLike,
    *,
    checkpoint_seconds: ArrayLike,
    restart_seconds: ArrayLike,
    mean_seconds_between_failures: ArrayLike,
) -> FloatArray:
    """Paid time over useful time on GPUs that fail or are taken away; infinite if it never ends.

    1 / (1 - overhead), overhead = checkpoint / interval + (interval / 2 + restart) / MTBF: writing
    checkpoints, repeating half an interval and starting again. First order in interval / MTBF.
    Source: Young 1974; Daly 2006.
    """
    interval = np.asarray(interval_seconds, dtype=np.float64)
    lost = interval / 2.0 + np.asarray(restart_seconds)
    overhead = np.asarray(checkpoint_seconds) / interval + lost / np.asarray(
        mean_seconds_between_failures
    )
    ends = overhead < 1.0
    return np.where(ends, 1.0 / np.where(ends, 1.0 - overhead, 1.0), np.inf)
