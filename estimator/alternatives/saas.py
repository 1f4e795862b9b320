"""Buy a SaaS assistant: the vendor's model, the vendor's price list."""

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labour import project, project_people, running_people
from estimator.alternatives.outcome import VOLUME, in_scope, outcome
from estimator.alternatives.quality import resolution_rate
from estimator.alternatives.world import Timeline, World


def account(world: World) -> Account:
    """A short project, then fees that follow use and that the vendor may change."""
    done = project(world, "saas")
    timeline = Timeline(world, done.go_live_months)
    plan = pricing.saas_plan(world.scenario.saas.plan)
    d = world.draws
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
            LineItem(
                name="Platform fee",
                category="fees",
                amount_usd=d["saas.platform_usd_per_month"],
                profile=timeline.operating_at_price("saas.price_change_per_year"),
                formula="fixed fee per month, at prices that change",
                inputs=("saas.platform_usd_per_month", "saas.price_change_per_year"),
            ),
            _usage_fee(timeline, plan),
            *outcome(timeline, "saas"),
        ),
        go_live_months=done.go_live_months,
        project=done,
        notes=(f"{plan.vendor}, {plan.product}: billed per {plan.billing_unit}",),
    )


def _usage_fee(timeline: Timeline, plan: pricing.SaasPlan) -> LineItem:
    """Fee by what the plan bills: resolutions, conversations, messages or seats.

    Units included in the platform fee are not billed again.
    """
    world = timeline.world
    d = world.draws
    change = "saas.price_change_per_year"
    price = d["saas.price_usd_per_unit"]
    if plan.billing_unit == "seat":
        return LineItem(
            name="Seats",
            category="fees",
            amount_usd=np.asarray(d["saas.seats"] * price),
            profile=timeline.operating_at_price(change),
            formula="seats x price of a seat per month",
            inputs=("saas.seats", "saas.price_usd_per_unit", change),
        )
    per_request = {
        "resolution": resolution_rate(d, "saas"),
        "conversation": np.asarray(1.0),
        "session": np.asarray(1.0),
        "message": d["saas.messages_per_request"],
        "action": d["saas.messages_per_request"],
    }[plan.billing_unit]
    units = np.atleast_1d(in_scope(world) * per_request)[:, None] * timeline.volume
    billed = np.maximum(units - plan.included_units_per_month, 0.0) * world.compound(change)
    return LineItem(
        name=f"Fee per {plan.billing_unit}",
        category="fees",
        amount_usd=price,
        profile=world.profile(billed),
        formula=f"{plan.billing_unit}s beyond those included x price, at prices that change",
        inputs=(*VOLUME, "demand.in_scope_share", "saas.price_usd_per_unit", change),
    )
