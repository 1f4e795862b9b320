"""Which GPUs, how many, from whom, with which recipe: every offer tried, the feasible ones ranked.

The fastest recipe that fits is found for every offer and number of GPUs (`search.py`), its
hours and dollars worked out (`costs.py`), what misses a limit refused with the reason
(`market.py`). What is listed is estimated by `estimate_run`, as one run alone is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from estimator.dataset import DatasetProfile
from estimator.errors import InputError, nearest
from estimator.hardware.calibration import Calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.training.choose import TOKENS_PER_STEP
from estimator.training.planning.costs import Effort, Option, outlook
from estimator.training.planning.forms import FormWish
from estimator.training.planning.market import (
    Limits,
    Market,
    Plan,
    listing,
    missed,
    reasons_for,
    would_do,
)
from estimator.training.planning.offers import (
    OfferWish,
    check_names,
    counts_of,
    machine_of,
    not_allowed,
)
from estimator.training.planning.search import BatchRange, CalibrationOf, Found, SearchWish, search
from pricing.offers import GpuOffer, gpu_offers

LISTED = 10
WIDEST_BATCH = 4
"""How many times the usual batch many GPUs may take where none is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWish:
    """What is to be run, within which limits, and what counts."""

    effort: Effort
    limits: Limits = field(default_factory=Limits)
    offers: OfferWish = field(default_factory=OfferWish)
    form: FormWish = field(default_factory=FormWish)
    batch: BatchRange | None = None
    """None: 65,536 tokens, and up to four times that where many GPUs need it."""
    headroom: float = 0.05
    """Share of the GPU's memory that the median peak must leave free; the P90 must fit too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An offer that is not listed, and why."""

    offer: GpuOffer
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plans:
    """The answer: plans in order of the objective, and what became of every other offer."""

    wish: PlanWish
    plans: tuple[Plan, ...]
    reasons: tuple[str, ...]
    """Why the first plan is the first."""
    refused: tuple[Refusal, ...]
    also_feasible: tuple[Refusal, ...]
    """Offers that would do but are not listed, and what they would take."""
    searched: int
    """Candidates whose step time and memory were worked out."""
    offers: int
    """Offers looked at."""

    def __repr__(self) -> str:
        from estimator.training.notebook import plans_line

        return f"<{plans_line(self)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from estimator.training.notebook import plans_html

        return plans_html(self)

    @property
    def best(self) -> Plan | None:
        """The first plan; None where nothing is feasible."""
        return self.plans[0] if self.plans else None

    @property
    def front(self) -> tuple[Plan, ...]:
        """The Pareto front of cost against time, cheapest first."""
        found = (plan for plan in self.plans if plan.pareto)
        return tuple(sorted(found, key=lambda plan: plan.cost.cost_usd.p50))

    def why_not(self, offer_id: str) -> str:
        """What became of one offer."""
        listed = {plan.offer.id: plan.takes for plan in reversed(self.plans)}
        if offer_id in listed:
            return f"it is listed: {listed[offer_id]}"
        others = {x.offer.id: x.reason for x in (*self.refused, *self.also_feasible)}
        if offer_id not in others:
            close = ", ".join(nearest(offer_id, [*listed, *others])) or "none is similar"
            raise InputError(f"unknown offer {offer_id!r}; nearest: {close}")
        return others[offer_id]


def plan(
    architecture: Architecture,
    dataset: DatasetProfile,
    wish: PlanWish,
    *,
    offers: tuple[GpuOffer, ...] | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    listed: int = LISTED,
) -> Plans:
    """Every offer tried with every recipe worth it; the feasible ones ranked, the others refused.

    `offers`: in place of the shipped ones. `calibrations`: by GPU, in place of the shipped one.
    `listed`: offers to list beside the Pareto front. An offer is listed once, with the number of
    GPUs that suits the objective best, and once more for each other point on the front.
    Left out: quotas and whether the GPUs can be had today; billing by more than the second.
    """
    every = gpu_offers() if offers is None else offers
    check_names(wish.offers, every)
    barred = {offer.id: not_allowed(offer, wish.offers) for offer in every}
    allowed = [offer for offer in every if barred[offer.id] is None]
    calibration_of: CalibrationOf = (calibrations or {}).get
    machines = _machines(allowed, wish.offers.max_gpus)
    found = search(architecture, dataset, _search_wish(wish, dataset), machines, calibration_of)
    options = list(_options(allowed, found, wish))
    market = Market(
        architecture=architecture,
        limits=wish.limits,
        effort=wish.effort,
        options=options,
        expected=outlook(architecture, options, wish.effort, wish.limits.sure, calibration_of),
        calibration_of=calibration_of,
    )
    done = listing(market, listed)
    plans, others = done.plans, would_do(market, done)
    named = {plan.offer.id for plan in plans} | set(others)
    return Plans(
        wish=wish,
        plans=plans,
        reasons=tuple(reasons_for(market, plans)),
        refused=tuple(
            Refusal(offer=offer, reason=barred[offer.id] or missed(market, offer, found))
            for offer in every
            if offer.id not in named
        ),
        also_feasible=tuple(
            Refusal(offer=offer, reason=others[offer.id]) for offer in every if offer.id in others
        ),
        searched=found.searched,
        offers=len(every),
    )


def _search_wish(wish: PlanWish, dataset: DatasetProfile) -> SearchWish:
    """What is searched; without packing no sequence is longer than the longest example."""
    form = wish.form
    if dataset.lengths is not None and not form.packing:
        longest = min(form.sequence_length, dataset.lengths.longest)
        form = replace(form, sequence_length=longest)
    least = max(TOKENS_PER_STEP // form.sequence_length, 1)
    usual = BatchRange(least=least, most=WIDEST_BATCH * least, exactly_least=True)
    return SearchWish(form=form, batch=wish.batch or usual, headroom=wish.headroom)


def _machines(offers: Sequence[GpuOffer], max_gpus: int) -> dict[Cluster, frozenset[int]]:
    """The distinct machines of the offers, with the numbers of GPUs that they are rented by."""
    found: dict[Cluster, frozenset[int]] = {}
    for offer in offers:
        machine = machine_of(offer)
        counts = frozenset(counts_of(offer, max_gpus))
        found[machine] = found.get(machine, frozenset()) | counts
    return found


def _options(offers: Sequence[GpuOffer], found: Found, wish: PlanWish) -> Iterator[Option]:
    """Every offer with the recipe found for each of its numbers of GPUs and each method."""
    for offer in offers:
        machine = machine_of(offer)
        for gpus in counts_of(offer, wish.offers.max_gpus):
            for method in wish.form.methods:
                candidate = found.candidates.get((machine, gpus, method))
                if candidate is not None:
                    yield Option(offer=offer, candidate=candidate)
