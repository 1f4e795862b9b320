"""Hours and dollars of whole plans: central figures for many at once, ranges for one.

The ranges are those of `estimate_run`, as one run alone has them; interruptions stretch them and
egress is added. A level such as P80 lies on the lognormal curve through P50 and P90.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.energy import EnergyUse, energy_use
from estimator.llm.architecture import Architecture
from estimator.normal import normal_ppf
from estimator.quantity import FloatArray, Quantity
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.planning.offers import cluster_of, price_of
from estimator.training.planning.search import CalibrationOf, Candidate
from estimator.training.run import (
    Range,
    TrainingRun,
    estimate_run,
    median_start_up_hours,
    run_assumptions,
)
from estimator.training.spot import (
    Stretch,
    StretchRange,
    checkpoint_hours,
    egress_prices,
    interruption_figures,
    interruptions_per_hour,
    stretch,
    stretch_range,
    trained_gb,
)
from pricing.offers import GpuOffer

SPOT = "spot"
SECONDS_PER_HOUR = 3600.0
NONE, ONCE = Quantity(value=0.0), Quantity(value=1.0)
Z90 = float(normal_ppf(0.9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is to be run: the data so often, and what comes beside the final run."""

    epochs: Quantity
    search_runs: Quantity = NONE
    """Further runs of the same length before the final one; they cost, the deadline is without."""
    failed_run_factor: Quantity = ONCE
    """GPU hours paid over those of runs that finished; interruptions come on top."""
    evaluation_tokens: Quantity = NONE
    """Tokens put through a forward pass in each run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An offer with the recipe that is fastest on so many of its GPUs."""

    offer: GpuOffer
    candidate: Candidate

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return self.candidate.gpus

    @property
    def nodes(self) -> int:
        """Machines rented, whole or in part."""
        return -(-self.gpus // self.offer.gpus_per_node)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Central hours and dollars of some options, and at the level asked for; shape (options,)."""

    wall_clock_hours: FloatArray
    cost_usd: FloatArray
    sure_hours: FloatArray
    sure_usd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCost:
    """Time and cost of one option, as ranges."""

    run: TrainingRun
    """The run alone, as `tuneroi train` gives it: without interruptions and egress."""
    wall_clock_hours: Range
    billed_gpu_hours: Range
    """GPU hours paid for, those lost to interruptions too."""
    cost_usd: Range
    cost_parts_usd: Mapping[str, Range]
    stretch: StretchRange
    memory: MemoryBreakdown
    energy: EnergyUse | None
    """None: the power of the GPU is not known."""
    egress_known: bool


def level_of(found: Range, level: float) -> float:
    """A quantile of a range from P50 up, on the lognormal curve through its P50 and P90."""
    if found.p50 <= 0.0:
        return found.p50
    share = float(normal_ppf(level)) / Z90
    return float(found.p50 * (found.p90 / found.p50) ** share)


def check_level(level: float) -> None:
    """Refuse a level that the ranges do not reach."""
    if not 0.5 <= level <= 0.9:
        raise InputError(f"sure = {level:g}: allowed is 0.5 to 0.9")


def outlook(
    architecture: Architecture,
    options: Sequence[Option],
    effort: Effort,
    level: float,
    calibration_of: CalibrationOf,
) -> Outlook:
    """Central time and cost of every option at once; at the level by the spread of the factors."""
    if not options:
        none = np.zeros(0)
        return Outlook(wall_clock_hours=none, cost_usd=none, sure_hours=none, sure_usd=none)
    start_up = median_start_up_hours(architecture)
    work = _central_work_hours(options, effort)
    lost = _central_stretch(architecture, options, work + start_up, start_up)
    gpus = np.array([option.gpus for option in options])
    paid = (work + start_up) * lost.paid * gpus
    paid = paid * (1.0 + effort.search_runs.median()) * effort.failed_run_factor.median()
    market = {option.offer.id: price_of(option.offer) for option in options}
    prices = {name: price.median() for name, price in market.items()}
    beside = {_bill(x): _storage_and_egress(architecture, x) for x in options}
    unsure = _log_spreads(architecture, options, effort, market, calibration_of)
    price = np.array([prices[option.offer.id] for option in options])
    wall = (work + start_up) * lost.waited
    cost = paid * price + np.array([beside[_bill(x)] for x in options])
    of_time, of_cost = np.exp(float(normal_ppf(level)) * unsure)
    return Outlook(
        wall_clock_hours=wall, cost_usd=cost, sure_hours=wall * of_time, sure_usd=cost * of_cost
    )


def plan_cost(
    architecture: Architecture, option: Option, effort: Effort, calibration_of: CalibrationOf
) -> PlanCost:
    """The ranges of one option: those of `estimate_run`, stretched by interruptions, and egress."""
    found, offer = option.candidate, option.offer
    cluster, price = cluster_of(offer, option.gpus), price_of(offer)
    usual = found.recipe.model_copy(
        update={"sequence_length": found.filling.positions_per_sequence}
    )
    lost = _stretch_of(architecture, option, float(_central_work_hours([option], effort)[0]))
    run = estimate_run(
        architecture,
        usual,
        cluster,
        tokens=found.filling.tokens,
        epochs=effort.epochs,
        price_usd_per_gpu_hour=price,
        useful_token_share=found.filling.useful_token_share,
        search_runs=effort.search_runs,
        failed_run_factor=effort.failed_run_factor,
        evaluation_tokens=effort.evaluation_tokens,
        calibration=calibration_of(offer.gpu),
    )
    egress = _egress_usd(architecture, option)
    rent = run.cost_usd.mean - run.cost_parts_usd["checkpoint_storage"].mean
    lost_rent = _partly(lost.paid, rent / run.cost_usd.mean if rent > 0.0 else 0.0)
    billed = _stretched(run.billed_gpu_hours, lost.paid)
    return PlanCost(
        run=replace(run, recipe=found.recipe),
        wall_clock_hours=_stretched(run.wall_clock_hours, lost.waited),
        billed_gpu_hours=billed,
        cost_usd=_shifted(_stretched(run.cost_usd, lost_rent), egress.mean),
        cost_parts_usd={
            **run.cost_parts_usd,
            "interruptions": _interruptions(run, lost),
            "egress": egress,
        },
        stretch=lost,
        memory=estimate_memory(architecture, found.recipe, gpus=option.gpus),
        energy=_energy(option, run, billed),
        egress_known=offer.provider in egress_prices(),
    )


def _central_work_hours(options: Sequence[Option], effort: Effort) -> FloatArray:
    """Hours of one run's steps and evaluation, at central figures."""
    found = [option.candidate for option in options]
    gpus = np.array([option.gpus for option in options], dtype=np.float64)
    per_hour = np.array([x.tokens_per_second_per_gpu for x in found]) * gpus * SECONDS_PER_HOUR
    fillings = {id(x.filling): x.filling for x in found}
    processed = {i: f.tokens.median() / f.useful_token_share for i, f in fillings.items()}
    tokens = np.array([processed[id(x.filling)] for x in found]) * effort.epochs.median()
    forward = np.array([x.forward_share for x in found])
    return np.asarray((tokens + effort.evaluation_tokens.median() * forward) / per_hour)


def _central_stretch(
    architecture: Architecture, options: Sequence[Option], work: FloatArray, start_up: float
) -> Stretch:
    spot = np.array([option.offer.tier == SPOT for option in options])
    nodes = np.array([option.nodes for option in options])
    rates = interruptions_per_hour(
        gpus=np.array([option.gpus for option in options]), nodes=nodes, spot=spot
    )
    writing = {x.candidate.recipe.method: x.candidate.recipe for x in options}
    hours = {name: checkpoint_hours(architecture, recipe) for name, recipe in writing.items()}
    wait = interruption_figures().replacement_wait_hours.median()
    return stretch(
        work,
        mtbf_hours=1.0 / rates,
        checkpoint_hours=np.array([hours[x.candidate.recipe.method] for x in options]) / nodes,
        restart_hours=start_up,
        wait_hours=np.where(spot, wait, 0.0),
    )


def _stretch_of(architecture: Architecture, option: Option, work_hours: float) -> StretchRange:
    start_up = median_start_up_hours(architecture)
    return stretch_range(
        work_hours + start_up,
        gpus=option.gpus,
        nodes=option.nodes,
        spot=option.offer.tier == SPOT,
        checkpoint_hours=checkpoint_hours(architecture, option.candidate.recipe),
        restart_hours=start_up,
    )


def _storage_and_egress(architecture: Architecture, option: Option) -> float:
    """Central dollars for keeping and fetching the result."""
    assumed = run_assumptions()
    months = assumed.checkpoints_kept.median() * assumed.storage_months.median()
    kept = months * assumed.storage_usd_per_gb_month.median()
    size = trained_gb(architecture, option.candidate.recipe)
    return size * kept + _egress_usd(architecture, option).mean


def _egress_usd(architecture: Architecture, option: Option) -> Range:
    """Dollars for fetching the trained weights once; 0 where the provider's price is not known."""
    price = egress_prices().get(option.offer.provider)
    size = trained_gb(architecture, option.candidate.recipe)
    if price is None:
        return Range(p10=0.0, p50=0.0, p90=0.0, mean=0.0)
    p10, p50, p90 = (size * x for x in price.p10_p50_p90())
    return Range(p10=p10, p50=p50, p90=p90, mean=size * price.mean())


def _bill(option: Option) -> tuple[str, str]:
    """What decides the bill beside the GPUs'."""
    return option.offer.provider, option.candidate.recipe.method


def _log_spreads(
    architecture: Architecture,
    options: Sequence[Option],
    effort: Effort,
    market: Mapping[str, Quantity],
    calibration_of: CalibrationOf,
) -> FloatArray:
    """Standard deviations of the logarithms of time and of cost: shape (2, options).

    The factors are taken as independent.
    """
    always = [options[0].candidate.filling.tokens, effort.epochs]
    if architecture.typical:
        always.append(run_assumptions().bare_size_factor)
    base = sum(_log_sd(quantity) ** 2 for quantity in always)
    runs = _log_sd(effort.failed_run_factor) ** 2
    of_price = {name: _log_sd(price) ** 2 for name, price in market.items()}
    kinds = [(x.offer.gpu, x.candidate.machine.gpu.generation, x.candidate.recipe.stack)
             for x in options]  # fmt: skip
    of_speed = {
        (gpu, generation, stack): _log_sd(
            (calibration_of(gpu) or shipped_calibration()).efficiency_factor(generation, stack)
        )
        ** 2
        for gpu, generation, stack in set(kinds)
    }
    time = np.array([base + of_speed[kind] for kind in kinds])
    price = np.array([of_price[option.offer.id] for option in options])
    return np.asarray(np.sqrt(np.stack([time, time + price + runs])))


def _log_sd(quantity: Quantity) -> float:
    if quantity.is_fixed:
        return 0.0
    p10, _, p90 = quantity.p10_p50_p90()
    return float(np.log(p90 / p10) / (2.0 * Z90)) if p10 > 0.0 else 0.0


def _partly(factor: Quantity, share: float) -> Quantity:
    """A factor that works on a share of something only: 1 + share x (factor - 1)."""
    low, mode, high = (1.0 + share * (x - 1.0) for x in factor.numbers)
    return Quantity.model_validate({"min": low, "mode": mode, "max": high, "unit": "factor"})


def _stretched(found: Range, by: Quantity) -> Range:
    """A range times an independent factor: their spreads add up in squares of logarithms."""
    low, middle, high = by.p10_p50_p90()
    return Range(
        p10=found.p50 * middle * _joined(found.p10 / found.p50, low / middle),
        p50=found.p50 * middle,
        p90=found.p50 * middle * _joined(found.p90 / found.p50, high / middle),
        mean=found.mean * by.mean(),
    )


def _joined(a: float, b: float) -> float:
    """The ratio to the median of a product, from those of its factors on the same side."""
    return float(np.exp(np.sign(np.log(a) + np.log(b)) * np.hypot(np.log(a), np.log(b))))


def _shifted(found: Range, usd: float) -> Range:
    return Range(
        p10=found.p10 + usd, p50=found.p50 + usd, p90=found.p90 + usd, mean=found.mean + usd
    )


def _interruptions(run: TrainingRun, lost: StretchRange) -> Range:
    """Dollars for hours lost to interruptions and checkpoints: rent x (stretch - 1)."""
    rented = [part for name, part in run.cost_parts_usd.items() if name != "checkpoint_storage"]
    p10, p50, p90 = (x - 1.0 for x in lost.paid.p10_p50_p90())
    usual = sum(part.p50 for part in rented)
    mean = sum(part.mean for part in rented) * (lost.paid.mean() - 1.0)
    return Range(p10=usual * p10, p50=usual * p50, p90=usual * p90, mean=mean)


def _energy(option: Option, run: TrainingRun, paid: Range) -> EnergyUse | None:
    """Electricity of the hours paid; what the GPU waits for, it waits for idle."""
    spec = option.candidate.machine.gpu
    if spec.tdp_watts is None:
        return None
    parts = run.step.parts
    waiting = ("launch_seconds", "communication_seconds", "bubble_seconds", "offload_seconds",
               "gradient_seconds")  # fmt: skip
    waited = sum(float(parts[name]) for name in waiting if name in parts)
    form = (
        {"value": paid.p50}
        if not paid.p10 < paid.p50 < paid.p90
        else {"p10": paid.p10, "p50": paid.p50, "p90": paid.p90}
    )
    return energy_use(
        spec,
        Quantity.model_validate({**form, "unit": "GPU-hours"}),
        utilisation=1.0 - waited / float(run.step.step_seconds),
        provider=option.offer.provider,
        region=option.offer.region,
    )
