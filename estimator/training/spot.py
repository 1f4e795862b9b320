"""What interruptions cost: machines that are taken away or fail, and the checkpoints against it.

A run writes checkpoints, loses the work since the last one when it is interrupted, and starts
again. Young (1974) gives the best interval between checkpoints, Daly ("A higher order estimate of
the optimum checkpoint interval for restart dumps", Future Generation Computer Systems 22, 2006,
equation 20) the expected time with it, for interruptions that come at random.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError

from estimator.errors import CatalogError
from estimator.hardware.cluster import GB
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray, Quantity
from estimator.training.inventory import Inventory
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import STORED_BYTES
from estimator.training.states import state_bytes

DATA = Path(__file__).parent / "data"
INTERRUPTIONS_FILE = DATA / "interruptions.json"
EGRESS_FILE = DATA / "egress.csv"


class Interruptions(BaseModel):
    """How often machines are lost and what it takes to go on; every number is a sourced range."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    spot_interruptions_per_node_hour: Quantity
    """Chance per hour that a spot machine is taken away."""
    failures_per_gpu_hour: Quantity
    """Chance per hour that a GPU, or what it needs, fails."""
    replacement_wait_hours: Quantity
    """Hours until another spot machine can be had; they are not paid."""
    checkpoint_gb_per_second: Quantity
    """Speed at which a checkpoint is written; training waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Time with interruptions and checkpoints over time without; numbers or arrays."""

    paid: FloatArray
    """For the hours that are paid."""
    waited: FloatArray
    """For the hours that pass: waiting for new machines is in it."""
    checkpoint_every_hours: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StretchRange:
    """The same as ranges over how often machines are lost."""

    paid: Quantity
    waited: Quantity
    checkpoint_every_hours: float
    interruptions: float
    """Expected number of them, at the central rate."""


@cache
def interruption_figures() -> Interruptions:
    """The shipped figures, from `data/interruptions.json`."""
    try:
        text = INTERRUPTIONS_FILE.read_text(encoding="utf-8")
        return Interruptions.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{INTERRUPTIONS_FILE.name}: {place}: {first['msg']}") from None


def best_interval_hours(checkpoint_hours: ArrayLike, mtbf_hours: ArrayLike) -> FloatArray:
    """Hours of work between checkpoints that lose least: sqrt(2 x writing one x MTBF).

    Young, "A first order approximation to the optimum checkpoint interval", CACM 17(9), 1974.
    """
    product = np.asarray(checkpoint_hours, np.float64) * np.asarray(mtbf_hours, np.float64)
    return np.asarray(np.sqrt(2.0 * product))


def stretch(
    work_hours: ArrayLike,
    *,
    mtbf_hours: ArrayLike,
    checkpoint_hours: ArrayLike,
    restart_hours: ArrayLike,
    wait_hours: ArrayLike = 0.0,
) -> Stretch:
    """Time with interruptions over `work_hours` of undisturbed work; arrays broadcast.

    Daly: M/t x exp(R/M) x (exp((t + d)/M) - 1) for a mean time M between interruptions, restarts
    of R, checkpoints of d after every t of work: Young's interval, or the whole run if that is
    shorter. Left out: notice before a preemption, which would save the work since the last one.
    """
    work, mtbf = np.asarray(work_hours, np.float64), np.asarray(mtbf_hours, np.float64)
    restart, writing = np.asarray(restart_hours), np.asarray(checkpoint_hours)
    interval = np.minimum(np.maximum(best_interval_hours(writing, mtbf), writing), work)
    segment = np.expm1((interval + writing) / mtbf) * mtbf / interval
    return Stretch(
        paid=np.exp(restart / mtbf) * segment,
        waited=np.exp((restart + np.asarray(wait_hours)) / mtbf) * segment,
        checkpoint_every_hours=interval,
    )


def interruptions_per_hour(
    *, gpus: ArrayLike, nodes: ArrayLike, spot: ArrayLike, end: str = "mode"
) -> FloatArray:
    """Interruptions per hour of the whole run: any lost machine stops it.

    `end`: at the `min`, `mode` or `max` of both rates.
    """
    figures = interruption_figures()
    failing = getattr(figures.failures_per_gpu_hour, end) * np.asarray(gpus, np.float64)
    taken = getattr(figures.spot_interruptions_per_node_hour, end) * np.asarray(nodes, np.float64)
    return np.asarray(failing + np.where(spot, taken, 0.0))


def trained_gb(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """GB of the trained weights in 16 bits: the model, or its adapters."""
    trained = Inventory.of(architecture, recipe).trained(recipe)
    return (trained.shared + trained.experts) * STORED_BYTES / GB


def checkpoint_hours(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """Hours to write what a run needs to go on: trained weights and the optimizer's states."""
    alone = recipe.model_copy(
        update={"sharding": "none", "offload": "none", "tensor_parallel": 1,
                "pipeline_parallel": 1, "context_parallel": 1, "expert_parallel": 1}
    )  # fmt: skip
    states = state_bytes(architecture, alone, gpus=1)
    weights = trained_gb(architecture, recipe) * GB
    size = weights + states.optimizer_states + states.master_weights
    speed = interruption_figures().checkpoint_gb_per_second.median() * GB
    return size / speed / 3600.0


def stretch_range(
    work_hours: float,
    *,
    gpus: int,
    nodes: int,
    spot: bool,
    checkpoint_hours: float,
    restart_hours: float,
) -> StretchRange:
    """The stretch of one run at the least, most likely and greatest rate of interruptions.

    `checkpoint_hours`: as one machine writes it; the nodes of a run write a part each.
    """
    wait = interruption_figures().replacement_wait_hours.median() if spot else 0.0
    ends = ("min", "mode", "max")
    rates = np.array(
        [interruptions_per_hour(gpus=gpus, nodes=nodes, spot=spot, end=end) for end in ends]
    )
    found = stretch(
        work_hours,
        mtbf_hours=1.0 / rates,
        checkpoint_hours=checkpoint_hours / nodes,
        restart_hours=restart_hours,
        wait_hours=wait,
    )
    return StretchRange(
        paid=_pert(found.paid),
        waited=_pert(found.waited),
        checkpoint_every_hours=float(found.checkpoint_every_hours[1]),
        interruptions=float(work_hours * found.paid[1] * rates[1]),
    )


def _pert(ends: FloatArray) -> Quantity:
    low, mode, high = (float(x) for x in ends)
    return Quantity.model_validate({"min": low, "mode": mode, "max": high, "unit": "factor"})


@cache
def egress_prices() -> Mapping[str, Quantity]:
    """USD per GB that leaves a provider's network, by provider; who is missing is not known."""
    found: dict[str, Quantity] = {}
    with EGRESS_FILE.open(encoding="utf-8", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                low, high = float(row["low_usd_per_gb"]), float(row["high_usd_per_gb"])
                form = {"value": low} if low == high else {"low": low, "high": high}
                found[row["provider"]] = Quantity.model_validate(
                    {**form, "unit": "USD/GB", "source": row["source"], "as_of": row["as_of"],
                     "evidence": row["evidence"], "note": row["note"] or None}
                )  # fmt: skip
            except ValueError as error:
                fault = str(error).splitlines()[0]
                raise CatalogError(f"{EGRESS_FILE.name}:{number}: {fault}") from None
    return MappingProxyType(found)
