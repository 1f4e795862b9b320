"""Buy a SaaS assistant: the vendor's model, the vendor's price list."""

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labour import (
    SMALL_WORK_NOTE,
    project,
    project_people,
    running_people,
)
from estimator.alternatives.outcome import VOLUME, in_scope, outcome
from estimator.alternatives.quality import resolution_rate
from estimator.alternatives.world import Timeline, World
from estimator.quantity import FloatArray

CHANGE = "saas.price_change_per_year"


def account(world: World) -> Account:
    """A short project, then fees that follow use and that the vendor may change."""
    done = project(world, "saas")
    timeline = Timeline(world, done.go_live_months)
    plan = pricing.saas_plan(world.scenario.saas.plan)
    d = world.draws
    platform = LineItem(
        name="Platform fee",
        category="fees",
        amount_usd=d["saas.platform_usd_per_month"],
        profile=world.profile(timeline.live, _list_price(world)),
        formula="fixed fee per month, at prices that change with every contract",
        inputs=("saas.platform_usd_per_month", CHANGE),
    )
    usage = _usage_fee(timeline, plan)
    return Account(
        id="saas",
        items=(
            project_people(timeline, done, "saas"),
            running_people(timeline, "saas"),
            LineItem(
                name="Onboarding fee",
                category="fees",
                amount_usd=d["saas.onboarding_usd"],
                profile=timeline.at_start,
                formula="one-off fee",
                inputs=("saas.onboarding_usd",),
            ),
            platform,
            usage,
            *_minimum(timeline, platform, usage),
            *outcome(timeline, "saas"),
        ),
        go_live_months=timeline.go_live_months,
        project=done,
        notes=(
            f"{plan.vendor}, {plan.product}: billed per {plan.billing_unit}",
            SMALL_WORK_NOTE,
        ),
    )


def _list_price(world: World) -> FloatArray:
    """Prices of each month over those of now: fixed within a contract, shape (n, T) or (1, T)."""
    contract = world.scenario.saas.contract_months
    signed = np.arange(world.months) // contract * contract
    return np.asarray(world.compound(CHANGE)[:, signed])


def _minimum(timeline: Timeline, *fees: LineItem) -> tuple[LineItem, ...]:
    """What a contract's minimum asks beyond the other fees, month by month; none, no line."""
    world = timeline.world
    least = world.draws["saas.minimum_usd_per_month"]
    if not np.any(least):
        return ()
    due = np.atleast_1d(least)[:, None] * timeline.live * _list_price(world)
    paid = sum(fee.cash_usd() for fee in fees)
    return (
        LineItem(
            name="Up to the contract's minimum",
            category="fees",
            amount_usd=np.asarray(1.0),
            profile=world.profile(np.maximum(due - paid, 0.0)),
            formula="least that is due in a month, less the other fees",
            inputs=("saas.minimum_usd_per_month", "saas.price_usd_per_unit", *VOLUME, CHANGE),
        ),
    )


def _usage_fee(timeline: Timeline, plan: pricing.SaasPlan) -> LineItem:
    """Fee by what the plan bills: resolutions, conversations, messages or seats.

    Units included in the platform fee are not billed again.
    """
    world = timeline.world
    d = world.draws
    price = d["saas.price_usd_per_unit"]
    if plan.billing_unit == "seat":
        return LineItem(
            name="Seats",
            category="fees",
            amount_usd=np.asarray(d["saas.seats"] * price),
            profile=world.profile(timeline.live, _list_price(world)),
            formula="seats x price of a seat per month",
            inputs=("saas.seats", "saas.price_usd_per_unit", CHANGE),
        )
    per_request = {
        "resolution": resolution_rate(d, "saas"),
        "conversation": np.asarray(1.0),
        "session": np.asarray(1.0),
        "message": d["saas.messages_per_request"],
        "action": d["saas.messages_per_request"],
    }[plan.billing_unit]
    units = np.atleast_1d(in_scope(world) * per_request)[:, None] * timeline.volume
    billed = np.maximum(units - plan.included_units_per_month, 0.0) * _list_price(world)
    return LineItem(
        name=f"Fee per {plan.billing_unit}",
        category="fees",
        amount_usd=price,
        profile=world.profile(billed),
        formula=f"{plan.billing_unit}s beyond those included x price, which changes by contract",
        inputs=(*VOLUME, "demand.in_scope_share", "saas.price_usd_per_unit", CHANGE),
    )
