"""The examples to tune on: bought before go-live, and refreshed with every retraining."""

import numpy as np

from estimator.alternatives.items import LineItem
from estimator.alternatives.world import Timeline
from estimator.project.staffing import CALENDAR_PER_WORKING_DAY
from estimator.quantity import FloatArray
from estimator.sampling import Draws

PRICE = ("data.label_usd_per_example", "data.rework_factor")


def example_cost_usd(draws: Draws) -> FloatArray:
    """Price of one example that is kept: price x examples paid for over examples kept."""
    return np.asarray(draws["data.label_usd_per_example"] * draws["data.rework_factor"])


def labelling(timeline: Timeline, retraining_months: FloatArray) -> tuple[LineItem, LineItem]:
    """Writing the missing examples now, and replacing outdated ones at each retraining."""
    d = timeline.world.draws
    missing = d["data.examples"] * (1 - d["data.ready_share"])
    outdated = d["data.examples"] * d["data.renewed_share"]
    return (
        LineItem(
            name="Writing and checking examples",
            category="data",
            amount_usd=np.asarray(missing * example_cost_usd(d)),
            profile=timeline.building,
            formula="examples x (1 - share that exists) x price x rework",
            inputs=("data.examples", "data.ready_share", *PRICE),
        ),
        LineItem(
            name="Renewing examples at each retraining",
            category="data",
            amount_usd=np.asarray(outdated * example_cost_usd(d)),
            profile=timeline.cycles(retraining_months),
            formula="examples x share renewed x price x rework, at each retraining",
            inputs=("data.examples", "data.renewed_share", *PRICE, "training.retrain_months"),
        ),
    )


def labelling_days(draws: Draws) -> FloatArray:
    """Calendar days until the missing examples are there: examples paid for / labels a day."""
    paid_for = (
        draws["data.examples"] * (1 - draws["data.ready_share"]) * draws["data.rework_factor"]
    )
    return np.asarray(paid_for / draws["data.labels_per_day"] * CALENDAR_PER_WORKING_DAY)


def training_tokens(draws: Draws) -> FloatArray:
    """Tokens that one run processes: examples x tokens x epochs x padding, shape (n,)."""
    return np.asarray(
        draws["data.examples"]
        * draws["data.tokens_per_example"]
        * draws["training.epochs"]
        * draws["data.padding_factor"]
    )
