"""Who works how long, what that costs, and in which month."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from estimator.quantity import FloatArray

CALENDAR_PER_WORKING_DAY = 7 / 5
DAYS_PER_MONTH = 365.25 / 12


def duration_days(
    effort_days: ArrayLike,
    *,
    people: ArrayLike,
    availability_share: ArrayLike,
    wait_days: ArrayLike,
) -> FloatArray:
    """Calendar days of an activity: effort / (people x availability) x 7/5 + waiting.

    `effort_days` are the person-days really worked, overrun included. Left out: Brooks's law (the
    paths of communication grow as n (n-1)/2), so large teams look faster than they are.
    Source: Brooks, "The Mythical Man-Month", 1975, chapter 2, for what effort / people means.
    """
    working = np.asarray(effort_days) / (np.asarray(people) * np.asarray(availability_share))
    return np.asarray(working * CALENDAR_PER_WORKING_DAY + np.asarray(wait_days))


def loaded_day_rate_usd(
    wage_usd_per_year: ArrayLike,
    *,
    load_factor: ArrayLike,
    overhead_factor: ArrayLike,
    productive_days_per_year: ArrayLike,
) -> FloatArray:
    """Cost of one productive day of one person: wage x load x overhead / productive days.

    Load: total compensation over wages (BLS, Employer Costs for Employee Compensation, table 6).
    Overhead: space, tools and management over compensation.
    """
    yearly = np.asarray(wage_usd_per_year) * np.asarray(load_factor) * np.asarray(overhead_factor)
    return np.asarray(yearly / np.asarray(productive_days_per_year))


def blended_day_rate_usd(
    roles: Mapping[str, float], day_rate_usd: Mapping[str, ArrayLike]
) -> FloatArray:
    """Cost of one person-day of an activity whose effort `roles` share."""
    return np.asarray(sum(share * np.asarray(day_rate_usd[r]) for r, share in roles.items()))


def share_done(day: ArrayLike, *, start_days: FloatArray, finish_days: FloatArray) -> FloatArray:
    """Share of an activity done by `day` when it goes on evenly from start to finish.

    (day - start) / (finish - start), clipped to 0..1; an activity of no length is done at once.
    """
    length = np.maximum(finish_days - start_days, 1e-9)
    return np.asarray(np.clip((np.asarray(day) - start_days) / length, 0.0, 1.0))
