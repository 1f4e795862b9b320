"""The fastest recipe that fits, for every machine, number of GPUs and method at once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from estimator.dataset import DatasetProfile
from estimator.errors import InputError
from estimator.hardware.calibration import Calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.fits import GIB
from estimator.training.grid import Form, Grid, IntArray, evaluate
from estimator.training.job import Filling, fill
from estimator.training.planning.forms import FormWish, forms_of
from estimator.training.recipe import Method, Precision, TrainingRecipe

AS_FAST = 0.99
"""Of recipes within 1 % of the fastest, the plainest is taken, then that with most memory free."""
CalibrationOf = Callable[[str], Calibration | None]
"""The calibration of a GPU by its id; None: the shipped one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRange:
    """Sequences that an optimizer step may see."""

    least: int
    most: int
    exactly_least: bool = False
    """Whether `least` is aimed at, and `most` only allowed where many GPUs need it."""

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise InputError(
                f"global batch {self.least}:{self.most}: allowed is 1 or more, least first"
            )

    @property
    def targets(self) -> IntArray:
        """Batches to try: the least, and powers of two times it."""
        doublings = 0 if self.exactly_least else int(np.log2(self.most / self.least))
        return self.least * 2 ** np.arange(doublings + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The fastest recipe of a method that fits a machine with so many GPUs."""

    machine: Cluster
    gpus: int
    recipe: TrainingRecipe
    filling: Filling
    tokens_per_second_per_gpu: float
    """Processed, padding included."""
    forward_share: float

    @property
    def useful_tokens_per_second(self) -> float:
        """Of all GPUs together, padding left out."""
        useful = self.filling.useful_token_share
        return self.tokens_per_second_per_gpu * self.gpus * useful


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """Why nothing fits a machine with so many GPUs."""

    gpus: int
    needed_gib: float | None
    """Least memory per GPU with headroom; None: no batch in the range divides over the GPUs."""


Place = tuple[Cluster, int, Method]
"""A machine, a number of GPUs and a method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the search of all machines gave."""

    candidates: Mapping[Place, Candidate]
    misses: Mapping[Place, Miss]
    searched: int
    """Candidates whose step time and memory were worked out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchWish:
    """What is searched: recipes, batches, and how much memory stays free."""

    form: FormWish
    batch: BatchRange
    headroom: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.headroom < 1.0:
            raise InputError(f"headroom = {self.headroom:g}: a share of the memory, 0 to below 1")


def search(
    architecture: Architecture,
    dataset: DatasetProfile,
    wish: SearchWish,
    machines: Mapping[Cluster, frozenset[int]],
    calibration_of: CalibrationOf,
) -> Found:
    """The fastest fitting recipe of each method on each machine at each of its numbers of GPUs."""
    candidates: dict[Place, Candidate] = {}
    misses: dict[Place, Miss] = {}
    searched = 0
    fillings = tuple(_fillings(dataset, wish))
    for group in _groups(machines, wish.form, calibration_of):
        for trial in _trials(architecture, fillings, wish, group):
            searched += trial.grid.size
            for method in wish.form.methods:
                _keep_best(trial, method, wish, candidates, misses)
    left = {place: miss for place, miss in misses.items() if place not in candidates}
    return Found(candidates=candidates, misses=left, searched=searched)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Machines that are searched together: equal numbers of GPUs, formats and calibration."""

    machines: tuple[Cluster, ...]
    gpus: int
    precision: Precision
    fp8: bool
    """Whether products in FP8 are tried."""
    calibration: Calibration | None


_Kind = tuple[int, Precision, bool, int]


def _groups(
    machines: Mapping[Cluster, frozenset[int]], wish: FormWish, calibration_of: CalibrationOf
) -> Iterator[_Group]:
    by_kind: dict[_Kind, list[Cluster]] = defaultdict(list)
    calibrations: dict[int, Calibration | None] = {}
    for machine, counts in machines.items():
        has = machine.gpu.dense_tflops
        precision = wish.precision or ("bf16" if "bf16" in has else "fp16")
        if ("bf16" if precision == "amp" else precision) not in has:
            continue
        calibration = calibration_of(machine.gpu.id)
        calibrations[id(calibration)] = calibration
        for gpus in counts:
            by_kind[gpus, precision, wish.fp8 and "fp8" in has, id(calibration)].append(machine)
    for (gpus, precision, fp8, calibration_id), members in by_kind.items():
        yield _Group(
            machines=tuple(members),
            gpus=gpus,
            precision=precision,
            fp8=fp8,
            calibration=calibrations[calibration_id],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trial:
    """A grid of one group, and how the data fill the sequences of its micro-batches."""

    group: _Group
    grid: Grid
    forms: tuple[Form, ...]
    """As the user would run them: with the longest sequences."""
    filling: Filling


_Filled = tuple[Filling, IntArray]
"""How the data fill the sequences of some micro-batches."""


def _trials(
    architecture: Architecture, fillings: tuple[_Filled, ...], wish: SearchWish, group: _Group
) -> Iterator[_Trial]:
    forms = forms_of(
        architecture, wish.form, gpus=group.gpus, precision=group.precision, fp8=group.fp8
    )
    copies = np.array([form.data_parallel for form in forms])
    if not forms:
        return
    for filling, sizes in fillings:
        targets = wish.batch.targets
        at_once = sizes[None, :, None] * copies[:, None, None]
        usual = filling.positions_per_sequence
        grid = evaluate(
            architecture,
            [_with_length(form, usual) for form in forms],
            group.machines,
            micro_batches=sizes,
            accumulation=np.maximum(-(-targets // at_once), 1),
            longest=wish.form.sequence_length,
            calibration=group.calibration,
        )
        yield _Trial(group=group, grid=grid, forms=forms, filling=filling)


def _fillings(dataset: DatasetProfile, wish: SearchWish) -> Iterator[_Filled]:
    """Micro-batches with how the data fill them: all alike when packed, one by one when padded."""
    form = wish.form
    base = TrainingRecipe(sequence_length=form.sequence_length, packing=form.packing)
    batches = 2 ** np.arange(int(np.log2(wish.batch.most)) + 1)
    if form.packing:
        yield fill(dataset, base), batches
        return
    for batch in batches:
        changed = base.model_copy(update={"micro_batch": int(batch)})
        yield fill(dataset, changed), np.array([batch])


def _with_length(form: Form, length: int) -> Form:
    if form.recipe.sequence_length == length:
        return form
    changed = form.recipe.model_copy(update={"sequence_length": length})
    return replace(form, recipe=changed)


def _keep_best(
    trial: _Trial,
    method: Method,
    wish: SearchWish,
    candidates: dict[Place, Candidate],
    misses: dict[Place, Miss],
) -> None:
    """Puts the fastest that fits, or what is missing, under each machine of a trial."""
    group, grid = trial.group, trial.grid
    rows = np.array([i for i, form in enumerate(trial.forms) if form.recipe.method == method])
    if not rows.size:
        return
    allowed = _allowed(grid, wish.batch)[rows]
    needed = np.where(allowed, _needed_bytes(grid, wish.headroom)[rows], np.inf)
    plain = np.array([_moving_parts(trial.forms[i].recipe) for i in rows])[:, None, None]
    for j, machine in enumerate(group.machines):
        place = (machine, group.gpus, method)
        inside = _inside_node(trial.forms, rows, machine)[:, None, None]
        here = np.where(inside, needed, np.inf)
        rate = np.where(
            here <= machine.gpu.memory_gib * GIB, grid.tokens_per_second_per_gpu[rows, j], 0.0
        )
        if not rate.max() > 0.0:
            least = float(here.min()) / GIB
            misses[place] = Miss(gpus=group.gpus, needed_gib=least if np.isfinite(least) else None)
            continue
        as_fast = rate >= AS_FAST * rate.max()
        plainest = np.where(as_fast, plain, np.inf) == np.where(as_fast, plain, np.inf).min()
        chosen = np.where(plainest, here, np.inf).argmin()
        i, k, a = (int(x) for x in np.unravel_index(int(chosen), rate.shape))
        found = _candidate(trial, machine, (int(rows[i]), j, k, a))
        best = candidates.get(place)
        if best is None or found.useful_tokens_per_second > best.useful_tokens_per_second:
            candidates[place] = found


def _moving_parts(recipe: TrainingRecipe) -> int:
    """How many kinds of sharding and splitting a recipe needs: fewer are easier to run."""
    degrees = (
        recipe.tensor_parallel,
        recipe.pipeline_parallel,
        recipe.context_parallel,
        recipe.expert_parallel,
    )
    shared = recipe.sharding != "none"
    return shared + sum(degree > 1 for degree in degrees) + (recipe.offload != "none")


def _allowed(grid: Grid, batch: BatchRange) -> NDArray[np.bool_]:
    """Whether a step sees an allowed number of sequences: shape (F, M, A)."""
    copies = np.array([form.data_parallel for form in grid.forms])[:, None, None]
    sequences = grid.accumulation * grid.micro_batches[:, None] * copies
    return np.asarray((sequences >= batch.least) & (sequences <= batch.most))


def _needed_bytes(grid: Grid, headroom: float) -> FloatArray:
    """Memory that a card must have: its P90, and its median with headroom: shape (F, M, A)."""
    p50, p90 = grid.peak_bytes
    return np.asarray(np.maximum(p90, p50 / (1.0 - headroom)))


def _inside_node(
    forms: tuple[Form, ...], rows: NDArray[np.intp], machine: Cluster
) -> NDArray[np.bool_]:
    """Whether tensor parallelism stays behind the fast links of a node."""
    degrees = np.array([forms[i].recipe.tensor_parallel for i in rows])
    return np.asarray(degrees <= machine.gpus_per_node)


def _candidate(trial: _Trial, machine: Cluster, place: tuple[int, int, int, int]) -> Candidate:
    i, _, k, a = place
    grid = trial.grid
    recipe = trial.forms[i].recipe.model_copy(
        update={
            "micro_batch": int(grid.micro_batches[k]),
            "gradient_accumulation": int(grid.accumulation[i, k, a]),
        }
    )
    return Candidate(
        machine=machine,
        gpus=trial.group.gpus,
        recipe=recipe,
        filling=trial.filling,
        tokens_per_second_per_gpu=float(grid.tokens_per_second_per_gpu[place]),
        forward_share=float(grid.forward_share[place]),
    )
