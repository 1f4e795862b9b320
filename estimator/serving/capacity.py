"""What one replica serves: the largest batch that memory and the latency limits allow.

A replica decodes a batch of sequences together and takes in a new one whenever one ends
(continuous batching: Yu et al., "Orca", OSDI 2022; paged KV cache: Kwon et al., arXiv 2309.06180).
In the steady state each request costs the GPUs one prefill and output x step / batch seconds, and
a user waits for step + batch x prefill / output seconds per token.
Left out: the adapters' own products (a few per cent of the base's).
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.quantity import FloatArray
from estimator.serving.constants import Stack
from estimator.serving.hardware import ReplicaHardware
from estimator.serving.model import HALF_BYTES, ServedModel, kv_cache_bytes
from estimator.serving.queueing import kingman_wait_seconds
from estimator.serving.steps import (
    cache_shards,
    decode_step_seconds,
    mean_context_tokens,
    prefill_seconds,
)

LOGIT_BYTES = 4  # sampling reads fp32 logits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingMemory:
    """Bytes on one GPU of a replica; the parts sum to `capacity_bytes`."""

    weights_bytes: FloatArray
    adapters_bytes: FloatArray
    """LoRA adapters kept beside one base model."""
    workspace_bytes: FloatArray
    """Activations of one prefill chunk, and the batch's logits."""
    kv_cache_bytes: FloatArray
    """Cache of the running batch."""
    reserve_bytes: FloatArray
    """What the program leaves alone: driver, other libraries, fragmentation."""
    capacity_bytes: FloatArray

    @property
    def free_bytes(self) -> FloatArray:
        """What is left; negative where the batch does not fit."""
        used = self.weights_bytes + self.adapters_bytes + self.workspace_bytes
        return self.capacity_bytes - used - self.kv_cache_bytes - self.reserve_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The steady state of a replica at one batch size."""

    requests_per_second: FloatArray
    ttft_seconds: FloatArray
    """Mean time to first token."""
    tpot_seconds: FloatArray
    """Mean time per output token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCapacity:
    """The most that one replica serves; zeros where `refusal` says what is in the way."""

    requests_per_second: FloatArray
    output_tokens_per_second: FloatArray
    total_tokens_per_second: FloatArray
    """Input and output together."""
    batch: FloatArray
    """Sequences decoded together."""
    ttft_seconds: FloatArray
    """Mean time to first token at this load."""
    tpot_seconds: FloatArray
    """Mean time per output token at this load, other requests' prefills included."""
    memory: ServingMemory
    refusal: NDArray[np.str_]
    """Empty, or the limit that a single sequence already breaks: memory, tpot or ttft."""

    def at(self, chosen: NDArray[np.int64]) -> "ReplicaCapacity":
        """The same at some positions of the last axis, which every field is given in full."""
        shape = self.requests_per_second.shape
        memory = {
            field.name: np.broadcast_to(getattr(self.memory, field.name), shape)[..., chosen]
            for field in fields(ServingMemory)
        }
        others = {
            field.name: np.broadcast_to(getattr(self, field.name), shape)[..., chosen]
            for field in fields(ReplicaCapacity)
            if field.name != "memory"
        }
        return ReplicaCapacity(memory=ServingMemory(**memory), **others)

    def slowed(self, requests_per_second: FloatArray, speed: FloatArray) -> "ReplicaCapacity":
        """The same where everything takes 1 / speed of its time, at a given rate before that."""
        rate = requests_per_second * speed
        return replace(
            self,
            requests_per_second=rate,
            output_tokens_per_second=self.output_tokens_per_second * speed,
            total_tokens_per_second=self.total_tokens_per_second * speed,
            ttft_seconds=self.ttft_seconds / speed,
            tpot_seconds=self.tpot_seconds / speed,
        )


def serving_memory(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    *,
    batch: ArrayLike,
    context_tokens: ArrayLike,
    adapters_bytes: ArrayLike = 0.0,
) -> ServingMemory:
    """Memory on each GPU while `batch` sequences of `context_tokens` tokens on average run.

    Workspace: the widest layer's MLP (its two inner tensors, split) and four hidden states for
    one prefill chunk in 16 bits, and fp32 logits for the batch.
    """
    batch = np.asarray(batch, dtype=np.float64)
    chunk_values = 2.0 * model.mlp_width / hardware.gpus + 4.0 * model.hidden_size
    workspace = stack.prefill_chunk_tokens * chunk_values * HALF_BYTES
    logits = batch * model.vocab_size * LOGIT_BYTES / hardware.gpus
    cache = batch * kv_cache_bytes(model, context_tokens) / cache_shards(model, hardware)
    return ServingMemory(
        weights_bytes=np.asarray(model.weights_bytes / hardware.gpus),
        adapters_bytes=np.asarray(np.asarray(adapters_bytes) / hardware.gpus),
        workspace_bytes=workspace + logits,
        kv_cache_bytes=cache,
        reserve_bytes=hardware.memory_bytes * (1.0 - stack.memory_share),
        capacity_bytes=hardware.memory_bytes,
    )


def steady_state(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    *,
    batch: ArrayLike,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    cached_share: ArrayLike = 0.0,
) -> Load:
    """Requests per second and latencies of a replica that always decodes `batch` sequences.

    batch / (output x step + batch x prefill) requests per second; a new prompt waits for the
    running step and for prompts before it as in an M/D/1 queue (Pollaczek-Khinchine) in which
    prefill takes its share of the GPU's time.
    """
    batch = np.asarray(batch, dtype=np.float64)
    output = np.maximum(np.asarray(output_tokens, dtype=np.float64), 1.0)
    context = mean_context_tokens(input_tokens, output)
    step = decode_step_seconds(model, hardware, stack, batch=batch, context_tokens=context)
    prefill = prefill_seconds(model, hardware, stack, input_tokens, cached_share=cached_share)
    cycle = output * step + batch * prefill
    prefill_share = batch * prefill / cycle
    waiting = kingman_wait_seconds(
        prefill_share, prefill, arrival_variation=1.0, service_variation=0.0
    )
    return Load(
        requests_per_second=batch / cycle,
        ttft_seconds=step + prefill + waiting,
        tpot_seconds=cycle / output,
    )


def replica_capacity(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    *,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
    ttft_seconds: ArrayLike = np.inf,
    tpot_seconds: ArrayLike = np.inf,
    adapters_bytes: ArrayLike = 0.0,
    cached_share: ArrayLike = 0.0,
) -> ReplicaCapacity:
    """The steady state at the largest batch within memory, TTFT and TPOT limits and `max_batch`.

    Requests per second, both latencies and memory all grow with the batch, so the largest
    feasible one is also the best. Arguments broadcast: candidates, draws or both.
    """
    load_at = partial(
        steady_state,
        model,
        hardware,
        stack,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cached_share=cached_share,
    )
    memory_at = partial(
        serving_memory,
        model,
        hardware,
        stack,
        context_tokens=mean_context_tokens(input_tokens, output_tokens),
        adapters_bytes=adapters_bytes,
    )

    def faults_at(batch: FloatArray) -> list[NDArray[np.bool_]]:
        load = load_at(batch=batch)
        return [
            memory_at(batch=batch).free_bytes < 0,
            load.tpot_seconds > np.asarray(tpot_seconds),
            load.ttft_seconds > np.asarray(ttft_seconds),
        ]

    inputs = (hardware.gpus, model.weights_bytes, input_tokens, output_tokens, ttft_seconds)
    shape = np.broadcast_shapes(*(np.shape(x) for x in (*inputs, tpot_seconds, adapters_bytes)))
    batch = _largest(lambda b: ~np.any(faults_at(b), axis=0), stack.max_batch, shape)
    at_least_one = np.maximum(batch, 1.0)
    load = load_at(batch=at_least_one)
    rate = np.where(batch > 0, load.requests_per_second, 0.0)
    tokens_out = np.asarray(output_tokens, dtype=np.float64)
    return ReplicaCapacity(
        requests_per_second=rate,
        output_tokens_per_second=rate * tokens_out,
        total_tokens_per_second=rate * (tokens_out + np.asarray(input_tokens)),
        batch=batch,
        ttft_seconds=load.ttft_seconds,
        tpot_seconds=load.tpot_seconds,
        memory=memory_at(batch=at_least_one),
        refusal=np.select(faults_at(np.ones(shape)), ["memory", "tpot", "ttft"], default=""),
    )


def _largest(
    allowed: Callable[[FloatArray], NDArray[np.bool_]], limit: FloatArray, shape: tuple[int, ...]
) -> FloatArray:
    """The largest whole number up to `limit` that is allowed (0: not even 1), bit by bit.

    Whatever is below an allowed number must be allowed too.
    """
    batch = np.zeros(shape)
    for bit in reversed(range(int(np.max(limit)).bit_length())):
        trial = batch + 2**bit
        batch = np.where((trial <= limit) & allowed(trial), trial, batch)
    return batch
