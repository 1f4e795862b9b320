"""What serving a load costs on every offer: GPUs per replica, batch, replicas, dollars.

Every offer is tried with 1, 2, 4 ... GPUs per replica as far as its nodes reach; the largest batch
within memory and latency limits is taken, replicas follow from queueing, and the split that costs
least is kept. All offers, splits and draws are computed at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.errors import InputError
from estimator.hardware.energy import EnergyUse, energy_use
from estimator.llm.adapters import AdapterSpec, count_trainable
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.sampling import sobol
from estimator.serving.capacity import ReplicaCapacity, replica_capacity, steady_state
from estimator.serving.constants import Stack, serving_stack, throughput_spread
from estimator.serving.hardware import ReplicaHardware, machine, reached, together
from estimator.serving.model import HALF_BYTES, ServedModel, served_model
from estimator.serving.need import ServingNeed
from estimator.serving.queueing import mean_wait_seconds
from estimator.serving.replicas import (
    HOURS_PER_MONTH,
    awake_share,
    held_seconds,
    replicas_by_hour,
)
from pricing.gpus import gpu_spec
from pricing.offers import GpuOffer

MOST_GPUS = 8
"""Largest tensor-parallel split that is tried: beyond one node all-reduces take over."""
DRAWS = 64
SEED = 7
MEDIAN = 0  # row of the median draw; the others follow


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number with its 80 % range."""

    p10: float
    p50: float
    p90: float

    def scaled(self, factor: float) -> "Range":
        """The same in another unit."""
        return Range(p10=self.p10 * factor, p50=self.p50 * factor, p90=self.p90 * factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOption:
    """The cheapest way to serve the load on one offer."""

    offer: GpuOffer
    gpus: int
    """GPUs that hold one replica (tensor parallel)."""
    batch: int
    """Sequences that a full replica decodes together."""
    ttft_seconds: float
    """Mean time to the first token in a full replica, with the wait for a place at the peak."""
    tpot_seconds: float
    """Mean time per output token in a full replica."""
    requests_per_second: float
    """What one full replica serves within the limits."""
    output_tokens_per_second: float
    replicas: int
    """Replicas in the busiest hour, spares included."""
    replicas_mean: float
    """Replicas averaged over the day."""
    rented_gpus: int
    """GPUs rented in the busiest hour: whole instances."""
    utilisation: float
    """Mean load over what the rented GPUs could serve."""
    gpu_hours_per_month: float
    """GPU hours that are paid for, in the median case."""
    usd_per_month: Range
    usd_per_million_tokens: Range
    """Input and output tokens together."""
    usd_per_request: Range
    energy: EnergyUse | None
    """Electricity and carbon of a month; None where the GPU's power is not known. Its GPUs count
    as busy for the share of the time that a full batch would take: small batches draw more."""
    late_share: float
    """Share of the range of speeds in which even one sequence at a time misses a limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An offer that cannot serve the load, and why."""

    offer: GpuOffer
    limit: str
    """What is in the way: memory, ttft or tpot."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPlan:
    """Every offer for one load, cheapest first."""

    model: ServedModel
    weights: str
    program: str
    need: ServingNeed
    adapters_bytes: float
    options: tuple[ServingOption, ...]
    refused: tuple[Refusal, ...]

    def __repr__(self) -> str:
        from estimator.serving.notebook import serving_line

        return f"<{serving_line(self)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from estimator.serving.notebook import serving_html

        return serving_html(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """Offers x splits; the arrays have shape (draws, candidates) or (candidates,)."""

    offers: tuple[GpuOffer, ...]
    gpus: FloatArray
    capacity: ReplicaCapacity
    late: NDArray[np.bool_]
    """Where limits are missed and sequences are served one at a time."""


def plan_serving(
    architecture: Architecture,
    need: ServingNeed,
    offers: Sequence[GpuOffer],
    *,
    weights: str = "bf16",
    program: str = "vllm",
) -> ServingPlan:
    """Cost of serving `architecture` on each offer, cheapest first, and the offers that cannot.

    Speed varies by the spread of measured over predicted throughput, the price between the lowest
    and the highest seen for the offer; both are drawn together for every offer.
    """
    if not offers:
        raise InputError("no offers to serve on; give some, such as pricing.offers.gpu_offers()")
    model, stack = served_model(architecture, weights=weights), serving_stack(program)
    adapters_bytes = adapter_bytes(architecture, need)
    speed, price = _draws()
    found = _candidates(model, need, stack, offers, adapters_bytes, speed)
    hours = _rented_by_hour(found, need)
    usd = hours[1].mean(axis=-1) * HOURS_PER_MONTH * _prices(found.offers, price)
    chosen, refused = [], []
    for offer in offers:
        mine = np.array([o is offer for o in found.offers])
        fits = mine & (found.capacity.refusal[MEDIAN] == "")
        if np.any(fits):
            best = int(np.flatnonzero(fits)[np.argmin(usd[MEDIAN, fits])])
            chosen.append(_option(found, need, hours, usd, best))
        else:
            refused.append(_refusal(found, need, np.flatnonzero(mine)))
    return ServingPlan(
        model=model,
        weights=weights,
        program=program,
        need=need,
        adapters_bytes=adapters_bytes,
        options=tuple(sorted(chosen, key=lambda o: (o.usd_per_month.p50, o.offer.id))),
        refused=tuple(refused),
    )


def adapter_bytes(architecture: Architecture, need: ServingNeed) -> float:
    """Bytes of the LoRA adapters on every matrix of the layers, 16 bits a value."""
    if not need.adapters:
        return 0.0
    each = count_trainable(architecture, AdapterSpec(rank=need.adapter_rank))
    return need.adapters * each * HALF_BYTES


def _draws() -> tuple[FloatArray, FloatArray]:
    """Speed factors and price quantiles, shape (1 + draws,), the median first."""
    points = np.concatenate([[[0.5, 0.5]], sobol(DRAWS, 2, SEED)])
    return throughput_spread("batched").ppf(points[:, 0]), points[:, 1]


def _splits(offer: GpuOffer) -> list[int]:
    """GPUs per replica to try on an offer: powers of two within a node."""
    return [n for n in (1, 2, 4, 8) if n <= min(offer.gpus_per_node, MOST_GPUS)]


def _candidates(
    model: ServedModel,
    need: ServingNeed,
    stack: Stack,
    offers: Sequence[GpuOffer],
    adapters_bytes: float,
    speed: FloatArray,
) -> _Candidates:
    """Capacity of every offer and split; equal GPUs are computed once."""
    pairs = [(offer, gpus) for offer in offers for gpus in _splits(offer)]
    kinds = sorted({(offer.gpu, gpus) for offer, gpus in pairs})
    place = {kind: i for i, kind in enumerate(kinds)}
    machines = together(
        [machine(gpu_spec(g), gpus=n, arithmetic=model.arithmetic) for g, n in kinds]
    )
    hardware = reached(machines, stack, moe=model.experts > 0)
    capacity, late = _capacity(model, hardware, stack, need, adapters_bytes, speed[:, None])
    at = np.array([place[offer.gpu, gpus] for offer, gpus in pairs])
    return _Candidates(
        offers=tuple(offer for offer, _ in pairs),
        gpus=np.array([gpus for _, gpus in pairs], dtype=np.float64),
        capacity=capacity.at(at),
        late=late[:, at],
    )


def _capacity(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    need: ServingNeed,
    adapters_bytes: float,
    speed: FloatArray,
) -> tuple[ReplicaCapacity, NDArray[np.bool_]]:
    """Capacity where everything takes 1 / speed of its predicted time, shape (draws, kinds).

    A draw so slow that even one sequence at a time misses a limit is served so all the same.
    """
    lengths = {
        "input_tokens": need.input_tokens,
        "output_tokens": need.output_tokens,
        "cached_share": need.cached_share,
    }
    found = replica_capacity(
        model,
        hardware,
        stack,
        **lengths,
        ttft_seconds=need.ttft_seconds * speed,
        tpot_seconds=need.tpot_seconds * speed,
        adapters_bytes=adapters_bytes,
    )
    late = (found.refusal == "ttft") | (found.refusal == "tpot")
    alone = steady_state(model, hardware, stack, batch=1.0, **lengths).requests_per_second
    rate = np.where(late, alone, found.requests_per_second)
    return found.slowed(rate, speed), late


def _rented_by_hour(found: _Candidates, need: ServingNeed) -> tuple[FloatArray, FloatArray]:
    """Replicas and rented GPUs in each hour, shape (draws, candidates, 24)."""
    load = need.load_by_hour
    running = replicas_by_hour(
        load,
        found.capacity.requests_per_second,
        np.maximum(found.capacity.batch, 1.0),
        wait_probability=need.wait_probability,
        redundancy=need.redundancy,
        autoscale=need.autoscale,
    )
    gpus = whole_instances(running, found.gpus[:, None], _least(found.offers)[:, None])
    if need.idle_seconds_to_zero is not None:
        awake = awake_share(load, need.idle_seconds_to_zero)
        running, gpus = running * awake, gpus * awake
    return running, gpus


def whole_instances(
    replicas: FloatArray, gpus_per_replica: FloatArray, gpus_per_instance: FloatArray
) -> FloatArray:
    """GPUs that are rented for so many replicas: GPUs come by whole instances."""
    return np.ceil(replicas * gpus_per_replica / gpus_per_instance) * gpus_per_instance


def _least(offers: Sequence[GpuOffer]) -> FloatArray:
    return np.array([offer.minimum_gpus for offer in offers], dtype=np.float64)


def _prices(offers: Sequence[GpuOffer], uniforms: FloatArray) -> FloatArray:
    """USD per GPU and hour, shape (draws, candidates): the offer's price, or between its ends.

    The median is the price asked; below it prices fall evenly to the lowest seen, above it they
    rise evenly to the highest.
    """
    low, mid, high = (
        np.array([getattr(offer, f"{end}_usd_per_gpu_hour") for offer in offers])
        for end in ("low", "price", "high")
    )
    u = uniforms[:, None]
    below, above = np.minimum(2.0 * u, 1.0), np.maximum(2.0 * u - 1.0, 0.0)
    return np.asarray(low + (mid - low) * below + (high - mid) * above)


def _option(
    found: _Candidates,
    need: ServingNeed,
    hours: tuple[FloatArray, FloatArray],
    usd: FloatArray,
    i: int,
) -> ServingOption:
    running, gpus = (each[MEDIAN, i] for each in hours)
    capacity = found.capacity
    rate = float(capacity.requests_per_second[MEDIAN, i])
    batch = float(capacity.batch[MEDIAN, i])
    cost = _range(usd[:, i])
    utilisation = float(need.load_by_hour.mean() / (gpus.mean() / found.gpus[i] * rate))
    peak = need.load_by_hour.max()
    held = held_seconds(rate, batch)
    wait = mean_wait_seconds(batch * max(running.max() - need.redundancy, 1.0), peak * held, held)
    return ServingOption(
        offer=found.offers[i],
        gpus=int(found.gpus[i]),
        batch=int(batch),
        ttft_seconds=float(capacity.ttft_seconds[MEDIAN, i]) + float(wait),
        tpot_seconds=float(capacity.tpot_seconds[MEDIAN, i]),
        requests_per_second=rate,
        output_tokens_per_second=rate * need.output_tokens,
        replicas=int(np.ceil(running.max())),
        replicas_mean=float(running.mean()),
        rented_gpus=int(np.ceil(gpus.max())),
        utilisation=utilisation,
        gpu_hours_per_month=float(gpus.mean()) * HOURS_PER_MONTH,
        usd_per_month=cost,
        usd_per_million_tokens=cost.scaled(1e6 / need.tokens_per_month),
        usd_per_request=cost.scaled(1.0 / need.requests_per_month),
        energy=_energy(found.offers[i], float(gpus.mean()) * HOURS_PER_MONTH, utilisation),
        late_share=float(found.late[1:, i].mean()),
    )


def _energy(offer: GpuOffer, gpu_hours: float, utilisation: float) -> EnergyUse | None:
    spec = gpu_spec(offer.gpu)
    if spec.tdp_watts is None:
        return None
    return energy_use(
        spec,
        gpu_hours,
        utilisation=min(utilisation, 1.0),
        provider=offer.provider,
        region=offer.region,
    )


def _range(draws: FloatArray) -> Range:
    """The median case, and the ends of the range around it."""
    p10, p90 = np.quantile(draws[1:], [0.1, 0.9])
    middle = float(draws[MEDIAN])
    return Range(p10=min(float(p10), middle), p50=middle, p90=max(float(p90), middle))


def _refusal(found: _Candidates, need: ServingNeed, mine: NDArray[np.int64]) -> Refusal:
    """Why no split of an offer serves the load: of the limits, the one that is met last."""
    capacity = found.capacity
    limits = capacity.refusal[MEDIAN, mine]
    fitting = mine[limits != "memory"]
    best = int(fitting[-1]) if fitting.size else int(mine[-1])
    limit = str(capacity.refusal[MEDIAN, best])
    where = f"{found.gpus[best]:.0f} x {found.offers[best].gpu}"
    if limit == "memory":
        lacking = -float(capacity.memory.free_bytes[MEDIAN, best]) / 2**30
        reason = f"does not fit: {lacking:,.1f} GiB too little on each of {where}"
    else:
        seconds = float(getattr(capacity, f"{limit}_seconds")[MEDIAN, best])
        wanted = getattr(need, f"{limit}_seconds")
        reason = (
            f"cannot meet {limit.upper()}: {seconds:.3g} s for one sequence alone on {where}, "
            f"allowed {wanted:g} s"
        )
    return Refusal(offer=found.offers[best], limit=limit, reason=reason)
