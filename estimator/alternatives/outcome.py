"""What every way's answers lead to: work left for people, hand-overs, errors, incidents, gains."""

from dataclasses import replace

import numpy as np

from estimator.alternatives.items import LineItem, Profile
from estimator.alternatives.quality import (
    INCIDENT_CHANCE,
    Way,
    incident_count,
    incident_rate,
    resolution_rate,
    reviewed_share,
)
from estimator.alternatives.world import Timeline, World
from estimator.quantity import FloatArray

VOLUME = (
    "demand.requests_per_month",
    "demand.growth_per_year",
    "demand.seasonal_swing_share",
)
WAGES = "team.wage_growth_per_year"
REVIEW = ("quality.reviewed_answers_per_month", "quality.review_finds_share")
INDEX = ("quality.retrieval_recall", "knowledge.tolerated_stale_share")
TUNING = (
    "quality.tuning_gain",
    "quality.tuning_gain_kept",
    "data.examples",
    "data.reference_examples",
    "data.curve_exponent",
    "data.irreducible_error_share",
)


def avoided(world: World) -> tuple[LineItem, ...]:
    """What doing nothing would cost, as a benefit: every way is valued against it."""
    return tuple(
        replace(item, name=f"Avoided: {item.name.lower()}", category="avoided", kind="benefit")
        for item in people_handle_everything(world)
    )


def people_handle_everything(world: World) -> tuple[LineItem, ...]:
    """The costs of doing nothing: people handle every request, and err as people do."""
    return _people(world, world.all_staffed, world.all_requests)


def outcome(timeline: Timeline, way: Way) -> tuple[LineItem, ...]:
    """Line items that follow from how well `way` answers once it is live."""
    world = timeline.world
    d = world.draws
    resolved = resolution_rate(d, way)
    handled = d["demand.in_scope_share"] * resolved
    share_left = world.growth - np.atleast_1d(handled)[:, None] * timeline.volume
    return (
        *_people(world, world.profile(share_left, world.wages), world.profile(share_left)),
        _handovers(timeline, way, resolved),
        *_errors(timeline, way, resolved),
        *_review(timeline, way, resolved),
        _incidents(timeline, way, resolved),
        *_gain(timeline, way, resolved),
        *avoided(world),
    )


def _people(world: World, staffed: Profile, requests: Profile) -> tuple[LineItem, ...]:
    """What people do and get wrong; `requests`: those left to them, `staffed`: at their wages."""
    d = world.draws
    return (
        LineItem(
            name="People handle what is left",
            category="people handling requests",
            amount_usd=np.asarray(
                d["demand.requests_per_month"] * d["value.human_cost_usd_per_request"]
            ),
            profile=staffed,
            formula="requests not resolved by the assistant x human cost, at wages that grow",
            inputs=(*VOLUME, "demand.in_scope_share", "value.human_cost_usd_per_request", WAGES),
        ),
        LineItem(
            name="People's wrong answers",
            category="errors",
            amount_usd=np.asarray(
                d["demand.requests_per_month"]
                * d["quality.error_rate.people"]
                * d["value.error_cost_usd"]
            ),
            profile=requests,
            formula="requests handled by people x their error rate x cost of an error",
            inputs=(*VOLUME, "quality.error_rate.people", "value.error_cost_usd"),
        ),
    )


def in_scope(world: World) -> FloatArray:
    """Requests an assistant may try in a mean month of now, shape (n,) or ()."""
    d = world.draws
    return np.asarray(d["demand.requests_per_month"] * d["demand.in_scope_share"])


def _handovers(timeline: Timeline, way: Way, resolved: FloatArray) -> LineItem:
    d = timeline.world.draws
    return LineItem(
        name="Failed attempts handed to people",
        category="people handling requests",
        amount_usd=in_scope(timeline.world)
        * (1 - resolved)
        * d["value.handover_cost_usd_per_request"],
        profile=timeline.requests,
        formula="requests in scope x (1 - resolution rate) x cost of a hand-over",
        inputs=(*VOLUME, *_quality_inputs(way), "value.handover_cost_usd_per_request"),
    )


def _errors(timeline: Timeline, way: Way, resolved: FloatArray) -> tuple[LineItem, LineItem]:
    """Wrong answers that nobody finds, and those that review finds and puts right."""
    d = timeline.world.draws
    answers = in_scope(timeline.world) * resolved
    wrong = answers * d[f"quality.error_rate.{way}"]
    caught = reviewed_share(d, answers) * d["quality.review_finds_share"]
    inputs = (*VOLUME, *_quality_inputs(way), f"quality.error_rate.{way}", *REVIEW)
    return (
        LineItem(
            name="Wrong answers given",
            category="errors",
            amount_usd=wrong * (1 - caught) * d["value.error_cost_usd"],
            profile=timeline.requests,
            formula="requests resolved x error rate x (1 - share review finds) x cost of an error",
            inputs=(*inputs, "value.error_cost_usd"),
        ),
        LineItem(
            name="Wrong answers found by review",
            category="errors",
            amount_usd=wrong * caught * d["value.found_error_share"] * d["value.error_cost_usd"],
            profile=timeline.requests,
            formula="requests resolved x error rate x share found x share of an error's cost",
            inputs=(*inputs, "value.found_error_share", "value.error_cost_usd"),
        ),
    )


def _review(timeline: Timeline, way: Way, resolved: FloatArray) -> tuple[LineItem, ...]:
    """People who review a sample of the answers, and the tools that watch them.

    A vendor's tools are in the vendor's fee.
    """
    d = timeline.world.draws
    answers = in_scope(timeline.world) * resolved
    reviewed = answers * reviewed_share(d, answers)
    review = LineItem(
        name="Review of answers by people",
        category="running people",
        amount_usd=reviewed * d["value.review_share"] * d["value.human_cost_usd_per_request"],
        profile=timeline.requests_staffed,
        formula="answers reviewed x share of a person's cost, at wages that grow",
        inputs=(*VOLUME, REVIEW[0], "value.review_share", "value.human_cost_usd_per_request"),
    )
    if way == "saas":
        return (review,)
    tools = LineItem(
        name="Monitoring tools",
        category="fees",
        amount_usd=d["quality.monitoring_usd_per_month"],
        profile=timeline.operating,
        formula="fee per month in operation",
        inputs=("quality.monitoring_usd_per_month",),
    )
    return (review, tools)


def _incidents(timeline: Timeline, way: Way, resolved: FloatArray) -> LineItem:
    world = timeline.world
    d = world.draws
    answers_per_unit = in_scope(world) * resolved
    answers = answers_per_unit * timeline.volume.sum(axis=1)
    count = incident_count(answers * incident_rate(d, way), d[INCIDENT_CHANCE])
    per_answer = np.divide(count, answers, out=np.zeros(d.n), where=answers > 0)
    tuned = ("quality.tuning_incident_multiplier",) if way.startswith("finetune") else ()
    return LineItem(
        name="Public or regulated incidents",
        category="errors",
        amount_usd=per_answer * answers_per_unit * d["value.incident_cost_usd"],
        profile=timeline.requests,
        formula="Poisson(answers x incident rate) x cost of an incident, spread over the answers",
        inputs=(
            "quality.incidents_per_million_answers",
            *tuned,
            "quality.moderated_share",
            "value.incident_cost_usd",
        ),
    )


def _gain(timeline: Timeline, way: Way, resolved: FloatArray) -> tuple[LineItem, ...]:
    d = timeline.world.draws
    worth = d["value.gain_usd_per_resolved_request"]
    if not np.any(worth):
        return ()
    return (
        LineItem(
            name="Extra worth of requests resolved at once",
            category="gain",
            kind="benefit",
            amount_usd=in_scope(timeline.world)
            * resolved
            * (1 - d[f"quality.error_rate.{way}"])
            * worth,
            profile=timeline.requests,
            formula="requests resolved rightly x extra worth of one",
            inputs=(*VOLUME, *_quality_inputs(way), "value.gain_usd_per_resolved_request"),
        ),
    )


def _quality_inputs(way: Way) -> tuple[str, ...]:
    shared = ("demand.in_scope_share", "quality.skill", "quality.knowledge_share")
    own: dict[Way, tuple[str, ...]] = {
        "prompting": ("quality.prompt_knowledge_share",),
        "rag": INDEX,
        "finetune": (*TUNING, "quality.memorised_share", "training.retrain_months"),
        "finetune_rag": (*TUNING, *INDEX),
        "saas": (*INDEX, "quality.saas_skill_ratio"),
    }
    return (*shared, *own[way])
