"""Seconds of one optimizer step, part by part.

GPU time of a micro-batch is the sum of its kernels: matrix products at a share of the achievable
rate that falls with narrow matrices and few rows, attention, element-wise memory traffic, logits,
adapters, dequantisation, and what checkpointing repeats. CPU launches and gathered weights run
beside it, so that the longer of them counts; other collectives are exposed in part. A step is its
micro-batches, the pipeline's bubble, the gradient exchange and the optimizer.
The form follows the roofline of Williams et al. (CACM 52(4), 2009); its parameters are in
`estimator/hardware/data/calibration.json`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.hardware.efficiency import Efficiency
from estimator.hardware.rates import (
    Group,
    Numbers,
    Rates,
    all_gather_seconds,
    all_reduce_seconds,
    all_to_all_seconds,
    cluster_rates,
    peak_flops,
    place,
)
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.passes import PassWork
from estimator.training.recipe import TrainingRecipe
from estimator.training.software import Software
from estimator.training.work import Collectives, Launches, Shapes, StepWork, step_work

GATHER_NORM = 2.0  # how sharply the longer of computing and gathering decides
HOST_NORM = 2.0  # the same for GPU and CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTime:
    """GPU seconds of some passes over one micro-batch; the parts sum to `total`."""

    matmul_seconds: FloatArray
    """Matrix products, head included, and the memory traffic that they do not hide."""
    attention_seconds: FloatArray
    elementwise_seconds: FloatArray
    logits_seconds: FloatArray
    """Softmax over the vocabulary, loss and its gradient: memory traffic."""
    adapter_seconds: FloatArray
    dequantisation_seconds: FloatArray

    @property
    def total(self) -> FloatArray:
        """GPU seconds of the passes."""
        compute = self.matmul_seconds + self.attention_seconds
        traffic = self.elementwise_seconds + self.logits_seconds
        return compute + traffic + self.adapter_seconds + self.dequantisation_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """One optimizer step: seconds by part, which sum to `step_seconds`; numbers or arrays."""

    matmul_seconds: FloatArray
    attention_seconds: FloatArray
    elementwise_seconds: FloatArray
    logits_seconds: FloatArray
    adapter_seconds: FloatArray
    dequantisation_seconds: FloatArray
    recompute_seconds: FloatArray
    """All of the above once more, as far as activation checkpointing repeats it."""
    launch_seconds: FloatArray
    """Time that the GPU waits for the CPU."""
    communication_seconds: FloatArray
    """Gathers, all-reduces and all-to-alls that computing does not hide."""
    bubble_seconds: FloatArray
    """Idle time of the pipeline."""
    optimizer_seconds: FloatArray
    offload_seconds: FloatArray
    """Transfers to and from CPU memory, and the update of states that live there."""
    gradient_seconds: FloatArray
    """Exposed part of the sum of gradients over data-parallel ranks."""
    tokens_per_step: FloatArray
    """Tokens of the step, padding included, divided by all GPUs."""
    model_flops: FloatArray
    """FLOPs that MFU counts, per step and GPU."""
    hardware_flops: FloatArray
    """FLOPs that HFU counts, per step and GPU."""
    peak_flops_per_second: FloatArray
    """Dense peak of one GPU in the number format of the products."""
    forward_share: FloatArray
    """Forward GPU time over forward, backward and recomputation."""

    @property
    def parts(self) -> dict[str, FloatArray]:
        """The parts by name, in the order in which they are shown."""
        names = [n for n in self.__slots__ if n.endswith("_seconds")]
        return {name: getattr(self, name) for name in names}

    @property
    def step_seconds(self) -> FloatArray:
        """Seconds of one optimizer step."""
        return np.asarray(sum(self.parts.values()))

    @property
    def tokens_per_second_per_gpu(self) -> FloatArray:
        """Tokens processed per second and GPU, padding included."""
        return self.tokens_per_step / self.step_seconds

    @property
    def mfu(self) -> FloatArray:
        """Model FLOP/s over dense peak."""
        return self.model_flops / (self.step_seconds * self.peak_flops_per_second)

    @property
    def hfu(self) -> FloatArray:
        """FLOP/s with recomputation over dense peak."""
        return self.hardware_flops / (self.step_seconds * self.peak_flops_per_second)


def step_time(
    architecture: Architecture,
    recipe: TrainingRecipe,
    cluster: Cluster,
    calibration: Calibration | None = None,
    *,
    micro_batch: ArrayLike | None = None,
    gradient_accumulation: ArrayLike | None = None,
    virtual_stages: int = 1,
) -> StepTime:
    """Seconds of one optimizer step, by part.

    `micro_batch` and `gradient_accumulation` may be arrays in place of the recipe's numbers.
    """
    values = (calibration or shipped_calibration()).values
    number_format = recipe.number_format
    work = step_work(
        architecture,
        recipe,
        cluster,
        micro_batch=micro_batch,
        gradient_accumulation=gradient_accumulation,
        virtual_stages=virtual_stages,
    )
    reached = Software.of(recipe).reached(values, cluster.gpu.generation)
    rates = cluster_rates(cluster, number_format, values)
    peak = np.asarray(peak_flops(cluster.gpu, number_format))
    return step_time_of(work, rates, reached, peak_flops_per_second=peak)


def step_time_of(
    work: StepWork, rates: Rates, reached: Efficiency, *, peak_flops_per_second: FloatArray
) -> StepTime:
    """Seconds of one optimizer step from plain numbers or arrays: the formula itself."""
    forward = pass_time(work.passes.forward, work.shapes, rates, reached)
    training = pass_time(work.passes.training, work.shapes, rates, reached)
    recompute = pass_time(work.passes.recompute, work.shapes, rates, reached)
    busy = training.total + recompute.total
    gathered = soft_max(busy, _gather_seconds(work, rates, reached), GATHER_NORM)
    launched = soft_max(gathered, host_seconds(work.launches, reached), HOST_NORM)
    exposed = gathered - busy + _exposed_seconds(work, rates, reached)
    micro_batch_seconds = launched + exposed - (gathered - busy)
    per_step = work.micro_batches * reached.stack
    memory = rates.memory_bytes_per_second
    gradient = (
        reached.exposed_data
        * work.gradients.count
        * all_reduce_seconds(_group(work.gradients, rates, reached), work.gradients.bytes)
    )
    micro_batches = work.micro_batches
    return StepTime(
        matmul_seconds=training.matmul_seconds * per_step,
        attention_seconds=training.attention_seconds * per_step,
        elementwise_seconds=training.elementwise_seconds * per_step,
        logits_seconds=training.logits_seconds * per_step,
        adapter_seconds=training.adapter_seconds * per_step,
        dequantisation_seconds=training.dequantisation_seconds * per_step,
        recompute_seconds=recompute.total * per_step,
        launch_seconds=(launched - gathered) * per_step,
        communication_seconds=exposed * per_step,
        bubble_seconds=micro_batch_seconds * per_step * work.bubble_share,
        optimizer_seconds=reached.optimizer_bytes * work.optimizer_parameters / memory,
        offload_seconds=_offload_seconds(work, rates, reached),
        gradient_seconds=gradient,
        tokens_per_step=np.asarray(work.tokens_per_step),
        model_flops=work.passes.model_flops * micro_batches,
        hardware_flops=work.passes.hardware_flops * micro_batches,
        peak_flops_per_second=peak_flops_per_second,
        forward_share=forward.total / busy,
    )


def pass_time(work: PassWork, shapes: Shapes, rates: Rates, reached: Efficiency) -> PassTime:
    """GPU seconds of some passes over one micro-batch."""
    memory = rates.memory_bytes_per_second
    attention = rates.attention_flops_per_second * reached.attention
    wide = rates.wide_matmul_flops_per_second * reached.matmul
    return PassTime(
        matmul_seconds=matmul_seconds(work, shapes, rates, reached),
        attention_seconds=work.attention_flops / attention + work.score_bytes / memory,
        elementwise_seconds=(
            work.elementwise_bytes * reached.elementwise_passes
            + work.scan_bytes * reached.scan_passes
        )
        / memory,
        logits_seconds=work.logits * reached.logits_bytes / memory,
        adapter_seconds=work.adapter_flops / wide
        + work.adapter_values * reached.adapter_bytes / memory,
        dequantisation_seconds=work.dequantised_weights * reached.dequantisation_bytes / memory,
    )


def matmul_seconds(work: PassWork, shapes: Shapes, rates: Rates, reached: Efficiency) -> FloatArray:
    """Seconds of the matrix products: FLOPs over the reached rate, plus memory traffic.

    Time grows by 1 + w/width + r/rows: tiles fill badly where a matrix is narrow or has few rows.
    Experts are grouped products on few rows each. The head stays in 16 bits.
    """
    wide = rates.wide_matmul_flops_per_second * reached.matmul
    rate = rates.matmul_flops_per_second * reached.matmul * reached.matmul_format

    def slowed(inverse_width: Numbers, rows: Numbers) -> FloatArray:
        return 1.0 + reached.narrow_width * inverse_width + reached.few_tokens / rows

    layers = work.matmul_flops * slowed(shapes.inverse_width, shapes.tokens)
    experts = work.expert_flops * slowed(shapes.expert_inverse_width, shapes.expert_tokens)
    traffic = work.matmul_bytes / rates.memory_bytes_per_second
    return (layers + experts / reached.grouped_matmul) / rate + work.head_flops / wide + traffic


def host_seconds(launches: Launches, reached: Efficiency) -> FloatArray:
    """CPU seconds to launch the kernels of one micro-batch; GPU work hides them while longer."""
    return (
        reached.host_seconds_per_layer * launches.layers
        + reached.host_seconds_per_adapter * launches.adapters
        + reached.host_seconds_per_expert * launches.experts
        + reached.host_seconds_per_sharded_layer * launches.sharded_layers
        + reached.host_seconds_per_sharded_adapter * launches.sharded_adapters
    )


def soft_max(a: Numbers, b: Numbers, norm: float) -> FloatArray:
    """(a^p + b^p)^(1/p): the larger of two times that overlap, rounded where they are close."""
    high = np.maximum(a, b)
    low = np.minimum(a, b)
    return np.asarray(high * (1.0 + (low / high) ** norm) ** (1.0 / norm))


def _offload_seconds(work: StepWork, rates: Rates, reached: Efficiency) -> FloatArray:
    """Seconds per step of transfers over the host link and of the CPUs' update.

    The GPUs of a node share its CPUs. Nothing is counted as hidden.
    """
    sent = work.offload.bytes_per_micro_batch * work.micro_batches + work.offload.bytes_per_step
    sharing = np.minimum(rates.gpus_per_node, work.gradients.ranks)
    updated = work.offload.parameters * reached.optimizer_bytes * sharing
    transfer = sent / (rates.host_bytes_per_second * reached.link)
    return np.asarray(transfer + updated / reached.host_update_bytes_per_second)


def _gather_seconds(work: StepWork, rates: Rates, reached: Efficiency) -> FloatArray:
    """Seconds of ZeRO-3's gathers and scatters; they run beside the computing."""
    group = _group(work.gather, rates, reached)
    return work.gather.count * all_gather_seconds(group, work.gather.bytes)


def _exposed_seconds(work: StepWork, rates: Rates, reached: Efficiency) -> FloatArray:
    """Seconds of the collectives inside a micro-batch that computing does not hide."""
    tensor = all_reduce_seconds(_group(work.tensor, rates, reached), work.tensor.bytes)
    expert = all_to_all_seconds(_group(work.expert, rates, reached), work.expert.bytes)
    context = all_gather_seconds(_group(work.context, rates, reached), work.context.bytes)
    return np.asarray(
        reached.exposed_tensor * work.tensor.count * tensor
        + reached.exposed_expert * work.expert.count * expert
        + reached.exposed_context * work.context.count * context
    )


def _group(collectives: Collectives, rates: Rates, reached: Efficiency) -> Group:
    return place(
        rates,
        collectives.ranks,
        collectives.inner,
        link_efficiency=reached.link,
        network_efficiency=reached.network,
        link_latency_seconds=reached.link_latency_seconds,
        network_latency_seconds=reached.network_latency_seconds,
    )
