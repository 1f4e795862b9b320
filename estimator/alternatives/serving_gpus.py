"""GPUs for serving a model of your own: whole replicas for the peak of every month."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

import pricing
from estimator.alternatives.items import LineItem
from estimator.alternatives.outcome import VOLUME, in_scope
from estimator.alternatives.tokens import input_tokens
from estimator.alternatives.world import HOURS_PER_MONTH, Timeline, World
from estimator.errors import InfeasiblePlan
from estimator.llm.resolve import resolve_model
from estimator.quantity import FloatArray
from estimator.scenario import Scenario
from estimator.serving.capacity import ReplicaCapacity, replica_capacity, steady_state
from estimator.serving.constants import serving_stack
from estimator.serving.hardware import replica_hardware
from estimator.serving.model import ServedModel, served_model
from estimator.serving.replicas import replicas_needed, requests_per_second

SERVING_PROGRAM = "vllm"


@cache
def model_to_serve(model: str, precision: str) -> ServedModel:
    """The scenario's model in the precision it is served in."""
    return served_model(resolve_model(model).architecture, weights=precision)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Fleet:
    """Replicas of the tuned model for one way of answering."""

    replicas: FloatArray
    """Whole replicas in every month, spares included, shape (n, T)."""
    late_share: float
    """Share of draws whose requests are so long that even one at a time is too slow."""


def fleet(world: World, *, retrieves: bool) -> Fleet:
    """Whole replicas for the busiest hour of every month; a model that does not fit is an error."""
    if retrieves not in world.fleets:  # ways that answer alike are served alike
        world.fleets[retrieves] = _fleet(world, retrieves)
    return world.fleets[retrieves]


def _fleet(world: World, retrieves: bool) -> Fleet:
    s, d = world.scenario.serving, world.draws
    prompt = np.broadcast_to(input_tokens(d, tuned=True, retrieves=retrieves), d.n)
    per_second, late = replica_speed(world.scenario, prompt, d["demand.output_tokens_per_request"])
    first_month = requests_per_second(in_scope(world)) * d["demand.peak_to_mean"]
    return Fleet(
        replicas=replicas_needed(
            np.atleast_1d(first_month)[:, None] * world.growth,
            (per_second * d["serving.speed_factor"])[:, None],
            redundancy=s.spare_replicas,
        ),
        late_share=float(np.mean(late)),
    )


def replica_speed(
    scenario: Scenario, input_tokens: FloatArray, output_tokens: FloatArray
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Requests per second of one replica at its speed factor of 1, and whether it is late, (n,).

    Requests so long that the latency limits cannot be met are served one at a time all the same.
    """
    s = scenario.serving
    model = model_to_serve(scenario.model, s.precision)
    stack = serving_stack(SERVING_PROGRAM)
    hardware = replica_hardware(
        pricing.gpu_spec(s.gpu),
        stack,
        gpus=s.gpus_per_replica,
        arithmetic=model.arithmetic,
        moe=bool(model.experts > 0),
    )
    capacity = replica_capacity(
        model,
        hardware,
        stack,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        ttft_seconds=s.ttft_seconds,
        tpot_seconds=s.tpot_seconds,
    )
    _must_fit(scenario, capacity)
    late = capacity.refusal != ""
    alone = steady_state(
        model,
        hardware,
        stack,
        batch=1.0,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    return np.where(late, alone.requests_per_second, capacity.requests_per_second), late


def _must_fit(scenario: Scenario, capacity: ReplicaCapacity) -> None:
    s = scenario.serving
    if np.mean(capacity.refusal == "memory") > 0.5:
        lacking_gib = -float(np.median(capacity.memory.free_bytes)) / 2**30
        raise InfeasiblePlan(
            f"serving: {scenario.model} in {s.precision} lacks {lacking_gib:.1f} GiB on "
            f"{s.gpus_per_replica} x {s.gpu}; raise serving.gpus_per_replica, choose a larger "
            "serving.gpu, or serve in int8 or int4"
        )


def serving_gpus(timeline: Timeline, serving: Fleet) -> LineItem:
    """Rent of the replicas, busy or idle, while in operation."""
    world = timeline.world
    s, d = world.scenario.serving, world.draws
    hours = serving.replicas * timeline.live * s.gpus_per_replica * HOURS_PER_MONTH
    return LineItem(
        name="GPUs that serve",
        category="GPUs for serving",
        amount_usd=d["serving.gpu_usd_per_hour"],
        profile=world.profile(hours * world.compound("serving.price_change_per_year")),
        formula="(ceil(peak requests / requests of a replica) + spares) x GPUs x hours x price",
        inputs=(
            *VOLUME,
            "demand.in_scope_share",
            "demand.peak_to_mean",
            "demand.output_tokens_per_request",
            "serving.speed_factor",
            "serving.gpu_usd_per_hour",
            "serving.price_change_per_year",
        ),
    )


def serving_notes(world: World, serving: Fleet) -> tuple[str, ...]:
    """Replicas in plain words, and the share of draws in which latency limits are missed."""
    s = world.scenario.serving
    p10, p50, p90 = np.quantile(serving.replicas[:, -1], [0.1, 0.5, 0.9])
    late = serving.late_share
    missed = f"; latency limits missed in {late:.0%} of draws" if late >= 0.005 else ""
    return (
        f"{p50:.0f} replicas ({p10:.0f} to {p90:.0f}) of {s.gpus_per_replica} x {s.gpu} at the end "
        f"of the horizon, {s.spare_replicas} of them spare{missed}",
    )
