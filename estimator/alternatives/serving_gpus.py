"""GPUs for serving a model of your own: whole replicas for the peak of every month."""

from functools import cache

import numpy as np

import pricing
from estimator.alternatives.items import LineItem
from estimator.alternatives.outcome import VOLUME, in_scope
from estimator.alternatives.tokens import input_tokens
from estimator.alternatives.world import HOURS_PER_MONTH, Timeline, World
from estimator.errors import InfeasiblePlan
from estimator.llm.resolve import resolve_model
from estimator.quantity import FloatArray
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


def replica(world: World, *, retrieves: bool) -> ReplicaCapacity:
    """What one replica serves at each draw's tokens per request, shape (n,)."""
    s, d = world.scenario.serving, world.draws
    model = model_to_serve(world.scenario.model, s.precision)
    stack = serving_stack(SERVING_PROGRAM)
    gpu = pricing.gpu_spec(s.gpu)
    return replica_capacity(
        model,
        replica_hardware(gpu, stack, gpus=s.gpus_per_replica, arithmetic=model.arithmetic),
        stack,
        input_tokens=np.broadcast_to(input_tokens(d, tuned=True, retrieves=retrieves), d.n),
        output_tokens=d["demand.output_tokens_per_request"],
        ttft_seconds=s.ttft_seconds,
        tpot_seconds=s.tpot_seconds,
    )


def served_per_second(world: World, *, retrieves: bool) -> FloatArray:
    """Requests per second of one replica, shape (n,).

    Where a draw's requests are so long that even one at a time misses the latency limits, they are
    served one at a time all the same; a model that does not fit is an error.
    """
    s, d = world.scenario.serving, world.draws
    capacity = replica(world, retrieves=retrieves)
    if np.mean(capacity.refusal == "memory") > 0.5:
        free_gib = float(np.median(capacity.memory.free_bytes)) / 2**30
        raise InfeasiblePlan(
            f"serving: {world.scenario.model} in {s.precision} lacks {-free_gib:.1f} GiB on "
            f"{s.gpus_per_replica} x {s.gpu}; raise serving.gpus_per_replica, choose a larger "
            "serving.gpu, or serve in int8 or int4"
        )
    stack = serving_stack(SERVING_PROGRAM)
    model = model_to_serve(world.scenario.model, s.precision)
    one_at_a_time = steady_state(
        model,
        replica_hardware(
            pricing.gpu_spec(s.gpu), stack, gpus=s.gpus_per_replica, arithmetic=model.arithmetic
        ),
        stack,
        batch=1.0,
        input_tokens=input_tokens(d, tuned=True, retrieves=retrieves),
        output_tokens=d["demand.output_tokens_per_request"],
    ).requests_per_second
    served = np.where(capacity.refusal == "", capacity.requests_per_second, one_at_a_time)
    return np.asarray(served * d["serving.speed_factor"])


def serving_replicas(timeline: Timeline, *, retrieves: bool) -> FloatArray:
    """Whole replicas in every month for the busiest hour, spares included, shape (n, T)."""
    world = timeline.world
    d = world.draws
    first_month = requests_per_second(in_scope(world)) * d["demand.peak_to_mean"]
    load = np.atleast_1d(first_month)[:, None] * world.growth
    capacity = served_per_second(world, retrieves=retrieves)[:, None]
    return replicas_needed(load, capacity, redundancy=world.scenario.serving.spare_replicas)


def serving_gpus(timeline: Timeline, *, retrieves: bool) -> LineItem:
    """Rent of the replicas, busy or idle, while in operation."""
    world = timeline.world
    s, d = world.scenario.serving, world.draws
    replicas = serving_replicas(timeline, retrieves=retrieves)
    hours = replicas * timeline.live * s.gpus_per_replica * HOURS_PER_MONTH
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


def serving_notes(timeline: Timeline, *, retrieves: bool) -> tuple[str, ...]:
    """Replicas in plain words, and the share of draws in which latency limits are missed."""
    world = timeline.world
    s = world.scenario.serving
    replicas = serving_replicas(timeline, retrieves=retrieves)[:, -1]
    p10, p50, p90 = np.quantile(replicas, [0.1, 0.5, 0.9])
    missed = float(np.mean(replica(world, retrieves=retrieves).refusal != ""))
    late = f"; latency limits missed in {missed:.0%} of draws" if missed >= 0.005 else ""
    return (
        f"{p50:.0f} replicas ({p10:.0f} to {p90:.0f}) of {s.gpus_per_replica} x {s.gpu} at the end "
        f"of the horizon, {s.spare_replicas} of them spare{late}",
    )
