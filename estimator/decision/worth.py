"""What is worth finding out before deciding: inputs, groups of inputs, and studies with a price."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from estimator.alternatives.world import World
from estimator.decision.evaluate import THREADS, knowable, world_of
from estimator.decision.information import evppi_group
from estimator.decision.signals import counted, evsi, judged, measured
from estimator.decision.simulate import Comparison
from estimator.decision.studies import Study, cost_usd, studies, truth
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray

WEEKS_PER_MONTH = 365.25 / 7 / 12
GROUPS: Mapping[str, tuple[str, ...]] = {
    "training cost": (
        "training.",
        "data.",
        "owning.",
        "pretrain.",
        "managed.training_usd_per_mtok",
        "managed.search_runs",
    ),
    "quality": ("quality.",),
    "people": ("team.", "project."),
    "prices": ("api.", "managed.", "saas.", "serving."),
    "demand": ("demand.",),
    "value of answers": ("value.",),
    "documents": ("knowledge.",),
}
"""Inputs by the beginning of their path; the first group that fits takes an input."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWorth:
    """One way to find something out, at its best size."""

    study: Study
    size: int | None
    """Requests to judge; None for a measurement."""
    evsi_usd: float
    """Expected gain from deciding after the study instead of now, before its cost."""
    cost_usd: float
    delay_usd: float
    """Expected worth of the weeks that the answer takes, if everything waits for it."""

    @property
    def enbs_usd(self) -> float:
        """Expected net benefit of sampling: worth less cost; waiting is not in it."""
        return self.evsi_usd - self.cost_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """The value of information of a comparison, in USD, for this one decision."""

    evpi_usd: float
    evppi_usd: Mapping[str, float]
    """By input, largest first."""
    groups_usd: Mapping[str, float]
    """By group of inputs known together, largest first."""
    studies: tuple[StudyWorth, ...]
    """Highest net benefit first; only those that measure something uncertain."""

    @property
    def worthwhile(self) -> tuple[StudyWorth, ...]:
        """Studies worth more than they cost, best first."""
        return tuple(one for one in self.studies if one.enbs_usd > 0)


def value_of_information(
    comparison: Comparison, *, seed: int = 0, calibration: Calibration | None = None
) -> Worth:
    """Worth of knowing each input and group, and of every study at its best sample size.

    By regression on the comparison's own draws; no other run of the model. The worths of two
    studies do not add up. The information is taken to serve this decision only.
    """
    payoffs, inputs = comparison.payoffs(), knowable(comparison.draws)
    world = world_of(comparison.scenario, comparison.draws, calibration)
    groups = {
        name: evppi_group(payoffs, inputs, members, seed=seed)
        for name, members in group_inputs(inputs).items()
    }
    weekly = max(float(u.mean()) for u in payoffs.values()) / (world.months * WEEKS_PER_MONTH)

    def best(study: Study) -> StudyWorth | None:
        return _best_size(study, comparison, world, inputs, weekly, seed)

    with ThreadPoolExecutor(THREADS) as threads:
        found = list(threads.map(best, studies()))
    return Worth(
        evpi_usd=comparison.evpi_usd,
        evppi_usd=comparison.evppi_usd,
        groups_usd=dict(sorted(groups.items(), key=lambda pair: (-pair[1], pair[0]))),
        studies=tuple(
            sorted((one for one in found if one), key=lambda one: (-one.enbs_usd, one.study.id))
        ),
    )


def group_inputs(inputs: Mapping[str, FloatArray]) -> dict[str, tuple[str, ...]]:
    """Names of the inputs of each group; groups without any are left out."""
    members: dict[str, list[str]] = {}
    for name in inputs:
        group = next((g for g, starts in GROUPS.items() if name.startswith(starts)), None)
        if group is not None:
            members.setdefault(group, []).append(name)
    return {group: tuple(names) for group, names in members.items()}


def _best_size(
    study: Study,
    comparison: Comparison,
    world: World,
    inputs: Mapping[str, FloatArray],
    weekly_usd: float,
    seed: int,
) -> StudyWorth | None:
    """The study at the size of highest net benefit; None if there is nothing for it to find."""
    values = truth(study, world, inputs)
    if all(x.min() == x.max() for x in values.values()):
        return None
    rng, payoffs = np.random.default_rng(seed), comparison.payoffs()
    most = evppi_group(payoffs, values, tuple(values), seed=seed)
    options = [
        StudyWorth(
            study=study,
            size=size,
            evsi_usd=evsi(payoffs, values, _shown(study, values, size, rng), seed=seed, most=most),
            cost_usd=cost_usd(study, world, size),
            delay_usd=max(weekly_usd, 0.0) * study.wait_days / 7,
        )
        for size in study.sizes or (None,)
    ]
    return max(options, key=lambda option: option.enbs_usd)


def _shown(
    study: Study, values: Mapping[str, FloatArray], size: int | None, rng: np.random.Generator
) -> Mapping[str, FloatArray]:
    """What the study would show in each draw."""
    if size is None:
        spread = study.relative_spread or 0.0
        return {name: measured(x, spread, rng) for name, x in values.items()}
    if study.ways:
        shown: dict[str, FloatArray] = {}
        for way in study.ways:
            resolved, wrong = values[f"resolved by {way}"], values[f"wrong by {way}"]
            found = judged(resolved, wrong, size, rng)
            shown |= {f"{what} by {way}": share for what, share in found.items()}
        return shown
    return {name: counted(x, size, rng) for name, x in values.items()}
