"""From options with central figures to the plans worth listing, and the reasons of the others."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.choose import METHOD_NAMES
from estimator.training.planning.costs import (
    Effort,
    Option,
    Outlook,
    PlanCost,
    check_level,
    level_of,
    plan_cost,
)
from estimator.training.planning.front import Objective, pareto, scores
from estimator.training.planning.offers import machine_of
from estimator.training.planning.search import CalibrationOf, Found
from estimator.training.recipe import TrainingRecipe
from pricing.offers import GpuOffer

DEFAULT_LEVEL = 0.8
WORTH_PAYING_FOR = 0.03
"""Share of the time that a dearer plan must save to be listed for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What counts, and within which limits."""

    objective: Objective = "cost"
    deadline_hours: float | None = None
    """Hours from renting the GPUs to the end of one run."""
    budget_usd: float | None = None
    sure: float = DEFAULT_LEVEL
    """The chance with which deadline and budget must hold: 0.8 judges them at the P80."""

    def __post_init__(self) -> None:
        check_level(self.sure)
        for name in ("deadline_hours", "budget_usd"):
            limit = getattr(self, name)
            if limit is not None and not limit > 0.0:
                raise InputError(f"{name} = {limit:g}: must be above 0")

    @property
    def level(self) -> str:
        """The level in words: P80."""
        return f"P{100 * self.sure:.0f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An offer, a number of its GPUs and a recipe, with what they take."""

    option: Option
    cost: PlanCost
    pareto: bool = False
    """Whether no other plan is cheaper and as fast, or faster and as cheap."""

    @property
    def offer(self) -> GpuOffer:
        """Whose GPUs."""
        return self.option.offer

    @property
    def gpus(self) -> int:
        """Number of GPUs."""
        return self.option.gpus

    @property
    def recipe(self) -> TrainingRecipe:
        """How they train."""
        return self.option.candidate.recipe

    @property
    def takes(self) -> str:
        """Its cost and time in words."""
        return _takes(self.gpus, self.cost.cost_usd.p50, self.cost.wall_clock_hours.p50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """All options, what each would take, and how to estimate one of them exactly."""

    architecture: Architecture
    limits: Limits
    effort: Effort
    options: Sequence[Option]
    expected: Outlook
    calibration_of: CalibrationOf

    @property
    def within(self) -> NDArray[np.bool_]:
        """Whether an option keeps deadline and budget at the level asked for."""
        kept = np.ones(len(self.options), dtype=bool)
        if self.limits.deadline_hours is not None:
            kept &= self.expected.sure_hours <= self.limits.deadline_hours
        if self.limits.budget_usd is not None:
            kept &= self.expected.sure_usd <= self.limits.budget_usd
        return kept

    def estimated(self, place: int) -> Plan:
        """The plan of one option, with its ranges."""
        option = self.options[place]
        cost = plan_cost(self.architecture, option, self.effort, self.calibration_of)
        return Plan(option=option, cost=cost)

    def keeps(self, cost: PlanCost) -> bool:
        """Whether a plan keeps deadline and budget by its own ranges."""
        deadline, budget = self.limits.deadline_hours, self.limits.budget_usd
        hours = level_of(cost.wall_clock_hours, self.limits.sure)
        usd = level_of(cost.cost_usd, self.limits.sure)
        return (deadline is None or hours <= deadline) and (budget is None or usd <= budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The plans to list, and what turned out not to keep the limits."""

    plans: tuple[Plan, ...]
    beyond: frozenset[int]
    """Places of options that seemed to keep the limits, but not by their own ranges."""


def listing(market: Market, listed: int) -> Listing:
    """The Pareto front and the best plan of each of the first offers, in order of the objective.

    What its own ranges put beyond a limit is left out, and the front drawn again without it.
    """
    seemed = frozenset(np.flatnonzero(market.within).tolist())
    open_places = set(seemed)
    done: dict[int, Plan] = {}
    while True:
        wanted = _wanted(market, sorted(open_places), listed)
        for place in wanted:
            if place not in done:
                done[place] = market.estimated(place)
        beyond = {place for place in wanted if not market.keeps(done[place].cost)}
        if not beyond:
            break
        open_places -= beyond
    plans = [done[place] for place in wanted]
    cost = np.array([plan.cost.cost_usd.p50 for plan in plans])
    hours = np.array([plan.cost.wall_clock_hours.p50 for plan in plans])
    front = pareto(cost, hours)
    order = np.lexsort((hours, cost, scores(cost, hours, market.limits.objective)))
    return Listing(
        plans=tuple(replace(plans[i], pareto=bool(front[i])) for i in order),
        beyond=seemed - open_places,
    )


def _wanted(market: Market, places: Sequence[int], listed: int) -> list[int]:
    """The places to list: the front's, and the best one of each of the first `listed` offers."""
    cost = market.expected.cost_usd[places]
    hours = market.expected.wall_clock_hours[places]
    chosen = {places[i]: None for i in _worth_a_line(cost, hours)}
    offers: set[str] = set()
    for i in np.lexsort((hours, cost, scores(cost, hours, market.limits.objective))):
        name = market.options[places[i]].offer.id
        if len(offers) < listed and name not in offers:
            chosen[places[i]] = None
            offers.add(name)
    return list(chosen)


def _worth_a_line(cost: FloatArray, hours: FloatArray) -> list[int]:
    """The front, cheapest first, less what is hardly faster than a cheaper one."""
    front = np.flatnonzero(pareto(cost, hours))
    found: list[int] = []
    for i in front[np.lexsort((hours[front], cost[front]))]:
        if not found or hours[i] <= (1.0 - WORTH_PAYING_FOR) * hours[found[-1]]:
            found.append(int(i))
    return found


def would_do(market: Market, done: Listing) -> dict[str, str]:
    """What offers would take that keep the limits but are not listed, by the offer's id."""
    found: dict[str, str] = {}
    named = {plan.offer.id for plan in done.plans}
    order = np.argsort(
        scores(market.expected.cost_usd, market.expected.wall_clock_hours, market.limits.objective)
    )
    within = market.within
    for place in order:
        option = market.options[place]
        kept = within[place] and int(place) not in done.beyond
        if not kept or option.offer.id in named or option.offer.id in found:
            continue
        usd, hours = market.expected.cost_usd[place], market.expected.wall_clock_hours[place]
        found[option.offer.id] = f"it would do, others do better: {_takes(option.gpus, usd, hours)}"
    return found


def missed(market: Market, offer: GpuOffer, found: Found) -> str:
    """Why an allowed offer gives no plan: its memory, the batch, the deadline or the budget."""
    places = [i for i, option in enumerate(market.options) if option.offer.id == offer.id]
    if not places:
        return _does_not_fit(offer, found)
    limits, expected = market.limits, market.expected
    hours, usd = expected.sure_hours[places], expected.sure_usd[places]
    fastest, cheapest = places[int(hours.argmin())], places[int(usd.argmin())]
    late = None if limits.deadline_hours is None else hours.min() - limits.deadline_hours
    dear = None if limits.budget_usd is None else usd.min() - limits.budget_usd
    reasons = []
    if late is not None and late > 0.0:
        gpus = market.options[fastest].gpus
        reasons.append(
            f"misses the deadline by {_hours(late)}: {_hours(hours.min())} ({limits.level}) on "
            f"{gpus} GPUs, its fastest"
        )
    if dear is not None and dear > 0.0:
        gpus = market.options[cheapest].gpus
        reasons.append(
            f"over budget by {_usd(dear)}: {_usd(usd.min())} ({limits.level}) on {gpus} GPUs, its "
            "cheapest"
        )
    if not reasons and market.within[places].any():
        reasons.append(f"too close to a limit: its own range goes beyond it ({limits.level})")
    if not reasons:
        reasons.append(
            f"keeps deadline or budget, not both: its cheapest ({market.options[cheapest].gpus} "
            f"GPUs) takes {_hours(hours[usd.argmin()])}, its fastest "
            f"({market.options[fastest].gpus} GPUs) costs {_usd(usd[hours.argmin()])} "
            f"({limits.level})"
        )
    return "; ".join(reasons)


def _does_not_fit(offer: GpuOffer, found: Found) -> str:
    machine = machine_of(offer)
    misses = [(place, miss) for place, miss in found.misses.items() if place[0] == machine]
    sized = [(miss.needed_gib, place) for place, miss in misses if miss.needed_gib is not None]
    if not misses:
        return f"not usable: no number of GPUs up to the limit, or {offer.gpu} lacks the precision"
    if not sized:
        return "no split of the global batch suits its numbers of GPUs (widen --global-batch)"
    needed, (_, gpus, method) = min(sized, key=lambda pair: pair[0])
    return (
        f"does not fit: {METHOD_NAMES[method]} on {gpus} GPU{'s' * (gpus > 1)} needs "
        f"{needed:.1f} GiB on each with headroom, {offer.gpu} has {machine.gpu.memory_gib:.1f} GiB"
    )


def reasons_for(market: Market, plans: Sequence[Plan]) -> Iterator[str]:
    """Why the first plan is the first: against the limits, the others, and other recipes."""
    if not plans:
        return
    best, limits = plans[0], market.limits
    usd, hours = best.cost.cost_usd, best.cost.wall_clock_hours
    what = {"cost": "the cheapest", "time": "the fastest", "both": "the least cost x time"}
    count = len({o.offer.id for o, kept in zip(market.options, market.within, strict=True) if kept})
    yield f"{what[limits.objective]} of {count} offers that keep every limit: {best.takes}"
    if limits.deadline_hours is not None:
        sure = level_of(hours, limits.sure)
        spare = _hours(limits.deadline_hours - sure)
        yield f"ends after {_hours(sure)} at the {limits.level}, {spare} before the deadline"
    if limits.budget_usd is not None:
        sure = level_of(usd, limits.sure)
        yield f"costs {_usd(sure)} at the {limits.level}, of a budget of {_usd(limits.budget_usd)}"
    other = {"cost": "time", "time": "cost", "both": "time"}[limits.objective]
    fastest = min(
        plans, key=lambda p: (p.cost.wall_clock_hours if other == "time" else p.cost.cost_usd).p50
    )
    if fastest is not best:
        word = "fastest" if other == "time" else "cheapest"
        yield f"the {word} listed is {fastest.offer.id}: {fastest.takes}"
    yield _of_recipe(best)


def _of_recipe(best: Plan) -> str:
    recipe = best.recipe
    need = best.cost.memory.peak_bytes
    capacity = best.option.candidate.machine.gpu.memory_gib
    return (
        f"its fastest recipe that fits: micro-batch {recipe.micro_batch} x "
        f"{recipe.gradient_accumulation} steps, checkpointing {recipe.checkpointing}, sharding "
        f"{recipe.sharding}; {float(need[1]) / 2**30:.1f} of {capacity:.1f} GiB at the peak "
        f"(P90 {float(need[2]) / 2**30:.1f})"
    )


def _takes(gpus: int, usd: float, hours: float) -> str:
    return f"{_usd(usd)} and {_hours(hours)} on {gpus} GPU{'s' * (gpus > 1)}"


def _usd(usd: float) -> str:
    return f"${usd:,.2f}" if usd < 100 else f"${usd:,.0f}"


def _hours(hours: float) -> str:
    if hours < 1.0:
        return f"{60 * hours:.0f} min"
    return f"{hours:.1f} h" if hours < 48.0 else f"{hours / 24:.1f} days"
