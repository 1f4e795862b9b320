"""Step time and peak memory of very many candidates of one model at once.

A candidate is a form (a recipe but for its batch sizes, on a number of GPUs), a machine (a GPU, its
node and network), a micro-batch and a number of micro-batches per step. What a step does depends on
form and batch sizes alone, how fast it is on machine and software, and its memory on neither: each
is worked out once and broadcast against the others. The formulas are those of `throughput.py` and
`memory.py`, so that one candidate alone gives the same numbers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from estimator.hardware.calibration import Calibration, Values, shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.hardware.efficiency import Efficiency
from estimator.hardware.rates import NumberFormat, Rates, cluster_rates, peak_flops
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.memory import estimate_memory
from estimator.training.recipe import TrainingRecipe
from estimator.training.software import Software
from estimator.training.stacking import chosen, stacked
from estimator.training.throughput import step_time_of
from estimator.training.work import step_work

CANDIDATES_AT_ONCE = 2**16
"""Candidates worked on together: few enough that their arrays stay in the processor's cache."""
P50, P90 = 1, 2
IntArray = NDArray[np.int64]
A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A recipe on a number of GPUs; its micro-batch and accumulation are not read."""

    recipe: TrainingRecipe
    gpus: int

    @property
    def data_parallel(self) -> int:
        """Copies of the model that run side by side."""
        return self.recipe.data_parallel(self.gpus)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Candidates along four axes: forms, machines, micro-batches, batches per step."""

    forms: tuple[Form, ...]
    machines: tuple[Cluster, ...]
    """Of each only GPU, node and network count; the number of GPUs is the form's."""
    micro_batches: IntArray
    """Sequences of a micro-batch, shape (M,)."""
    accumulation: IntArray
    """Micro-batches per step, shape (F, M, A)."""
    step_seconds: FloatArray
    """Shape (F, G, M, A)."""
    tokens_per_second_per_gpu: FloatArray
    """Tokens processed, padding included: shape (F, G, M, A)."""
    forward_share: FloatArray
    """Forward GPU time over forward, backward and recomputation: shape (F, G, M, A)."""
    peak_bytes: FloatArray
    """P50 and P90 of the fullest GPU's memory, whatever the machine: shape (2, F, M, A)."""

    @property
    def size(self) -> int:
        """Number of candidates."""
        return self.step_seconds.size

    def recipe(self, form: int, micro_batch: int, batch: int) -> TrainingRecipe:
        """The whole recipe of the candidates at these places."""
        return self.forms[form].recipe.model_copy(
            update={
                "micro_batch": int(self.micro_batches[micro_batch]),
                "gradient_accumulation": int(self.accumulation[form, micro_batch, batch]),
            }
        )


def evaluate(
    architecture: Architecture,
    forms: Sequence[Form],
    machines: Sequence[Cluster],
    *,
    micro_batches: IntArray,
    accumulation: IntArray,
    longest: int | None = None,
    calibration: Calibration | None = None,
) -> Grid:
    """Step time and memory of every form on every machine at every batch size.

    `accumulation` has shape (F, M, A): a step of so many micro-batches, which may differ by form.
    `longest`: length of the sequences that decide the memory, where the usual ones are shorter.
    Every machine must have the number format of every form.
    """
    values = (calibration or shipped_calibration()).values
    shape = (len(forms), len(machines), *accumulation.shape[1:])
    seconds, speed, share = np.empty(shape), np.empty(shape), np.empty(shape)
    speeds = _speeds(forms, machines, values)
    for part in _parts(len(forms), int(np.prod(shape[1:]))):
        work = stacked(
            [
                step_work(
                    architecture,
                    form.recipe,
                    _of_size(machines[0], form.gpus),
                    micro_batch=micro_batches[:, None],
                    gradient_accumulation=steps,
                )
                for form, steps in zip(forms[part], accumulation[part], strict=True)
            ],
            inner=2,
        )
        machine = chosen(speeds.machines, speeds.machine_places[part])
        step = step_time_of(
            work,
            machine.rates,
            chosen(speeds.reached, speeds.reached_places[part]),
            peak_flops_per_second=machine.peak_flops_per_second,
        )
        seconds[part] = step.step_seconds
        speed[part] = step.tokens_per_step / seconds[part]
        share[part] = step.forward_share
    return Grid(
        forms=tuple(forms),
        machines=tuple(machines),
        micro_batches=micro_batches,
        accumulation=accumulation,
        step_seconds=seconds,
        tokens_per_second_per_gpu=speed,
        forward_share=share,
        peak_bytes=peak_memory(architecture, forms, micro_batches, accumulation, longest=longest),
    )


def peak_memory(
    architecture: Architecture,
    forms: Sequence[Form],
    micro_batches: IntArray,
    accumulation: IntArray,
    *,
    longest: int | None = None,
) -> FloatArray:
    """P50 and P90 of the peak bytes of each form and batch size: shape (2, F, M, A).

    Accumulation counts as far as gradients add up and a pipeline fills.
    """
    peaks = np.empty((2, *accumulation.shape))
    for place, form in enumerate(forms):
        most = max(2, form.recipe.pipeline_parallel)
        kinds = np.minimum(accumulation[place], most)
        for kind in np.unique(kinds):
            recipe = form.recipe.model_copy(update={"gradient_accumulation": int(kind)})
            memory = estimate_memory(
                architecture,
                recipe,
                gpus=form.gpus,
                micro_batch=micro_batches,
                sequence_length=longest,
            )
            found = memory.peak_bytes[[P50, P90], :, None]
            peaks[:, place] = np.where(kinds == kind, found, peaks[:, place])
    return peaks


def _parts(forms: int, each: int) -> Iterator[slice]:
    """The forms in parts of about `CANDIDATES_AT_ONCE` candidates."""
    step = max(CANDIDATES_AT_ONCE // each, 1)
    return (slice(start, min(start + step, forms)) for start in range(0, forms, step))


def _of_size(machine: Cluster, gpus: int) -> Cluster:
    return Cluster(
        gpu=machine.gpu,
        gpus=gpus,
        gpus_per_node=machine.gpus_per_node,
        network_gb_per_second=machine.network_gb_per_second,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Machine:
    """What a machine does at best in one number format."""

    rates: Rates
    peak_flops_per_second: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speeds:
    """What each machine reaches with each form: tables, and places in them of shape (F, G)."""

    machines: _Machine
    machine_places: NDArray[np.intp]
    reached: Efficiency
    reached_places: NDArray[np.intp]


def _speeds(
    forms: Sequence[Form],
    machines: Sequence[Cluster],
    values: Values,
) -> _Speeds:
    software = [Software.of(form.recipe) for form in forms]
    generations = [machine.gpu.generation for machine in machines]
    formats = [x.number_format for x in software]
    machine_keys, machine_places = _numbered(formats, range(len(machines)))
    reached_keys, reached_places = _numbered(software, generations)
    return _Speeds(
        machines=stacked([_machine(machines[j], x, values) for x, j in machine_keys], inner=2),
        machine_places=machine_places,
        reached=stacked([x.reached(values, y) for x, y in reached_keys], inner=2),
        reached_places=reached_places,
    )


def _numbered(rows: Sequence[A], columns: Sequence[B]) -> tuple[list[tuple[A, B]], IntArray]:
    """The distinct pairs of rows and columns, and the number of each pair's in their table."""
    row_kinds, column_kinds = list(dict.fromkeys(rows)), list(dict.fromkeys(columns))
    row_places = np.array([row_kinds.index(row) for row in rows])
    column_places = np.array([column_kinds.index(column) for column in columns])
    pairs = [(row, column) for row in row_kinds for column in column_kinds]
    return pairs, row_places[:, None] * len(column_kinds) + column_places


def _machine(machine: Cluster, number_format: NumberFormat, values: Values) -> _Machine:
    return _Machine(
        rates=cluster_rates(machine, number_format, values),
        peak_flops_per_second=np.asarray(peak_flops(machine.gpu, number_format)),
    )
