"""Pilot first, then go, stop, or take the next best: a real option.

A pilot tries one way on n labelled requests. Whoever decides then knows the share answered
rightly in the pilot, and nothing else of the draw's truth: every way is valued by its expected net
present value given that signal, and the best is taken, doing nothing among them. That plan is made
once, by regression over the draws of the scenario, and then kept in every world. What follows the
pilot is delayed by it. Sources: Howard and Abbas, "Foundations of Decision Analysis", 2015, on
imperfect information; regression as in Strong, Oakley and Brennan, Med. Decis. Making 34:311,
2014. Left out: learning that goes on after the pilot.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import get_args

import numpy as np
from numpy.typing import NDArray

import pricing
from estimator.alternatives.account import PHRASES, Account
from estimator.alternatives.items import Category, Kind, LineItem, present_value_usd
from estimator.alternatives.labour import SMALL_WORK_NOTE, project, project_people
from estimator.alternatives.managed_finetune import run_usd
from estimator.alternatives.policy import PilotPolicy, plan_policy
from estimator.alternatives.quality import PILOT_CHANCE, Way, right_share
from estimator.alternatives.training_gpus import run_gpu_hours
from estimator.alternatives.world import Timeline, World
from estimator.normal import normal_ppf
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId
from estimator.scenario.ways import Candidate

Build = Callable[[AlternativeId, World], Account]
WAY_OF: dict[Candidate, Way] = {
    "prompting": "prompting",
    "rag": "rag",
    "managed_finetune": "finetune",
    "self_hosted_finetune": "finetune",
    "finetune_rag": "finetune_rag",
    "saas": "saas",
}
NEVER_FOLLOWS = ("staged", "pretrain")
SIGNAL_INPUTS = ("staged.pilot_requests", "staged.transfer_error")


def account(world: World, build: Build) -> Account:
    """The pilot, then in every draw what its signal recommends; `build` makes the others."""
    policy = world.policy or pilot_policy(world, build)
    n = world.draws.n
    pilot = project(world, "staged")
    delay = np.broadcast_to(pilot.go_live_months, (n,))
    taken = policy.choose(np.broadcast_to(signal(world, policy.candidate), (n,)))
    followers = {
        name: rows
        for place, name in enumerate(policy.names)
        if (rows := np.flatnonzero(taken == place)).size
    }
    later = {
        name: build(name, world.of_draws(rows, delay[rows])) for name, rows in followers.items()
    }
    timeline = Timeline(world, delay)
    people = project_people(timeline, pilot, "staged")
    went_ahead = taken == policy.names.index(policy.candidate)
    reused = np.where(went_ahead, world.draws["staged.reused_share"], 0.0)
    return Account(
        id="staged",
        items=(
            _named(people, "People of the pilot", 1 - reused),
            _pilot_runs(timeline, policy.candidate),
            *_followed(world, followers, later),
        ),
        go_live_months=_go_live(world, followers, later),
        project=pilot,
        notes=_notes(policy, {name: rows.size / n for name, rows in followers.items()}),
    )


def pilot_policy(world: World, build: Build) -> PilotPolicy:
    """What to try and what to take at each signal, planned on the draws of this world.

    The candidate is the one that the user names, or the one whose pilot is worth most; if none is
    worth its run, the best way itself.
    """
    names = tuple(name for name in world.scenario.alternatives if name not in NEVER_FOLLOWS)
    delay = project(world, "staged").go_live_months
    worth = np.stack([delayed_npv_usd(world, build(name, world), delay) for name in names])
    chosen = world.scenario.staged.candidate
    candidates = [chosen] if chosen else [name for name in get_args(Candidate) if name in names]
    best_first = sorted(candidates, key=lambda name: -float(worth[names.index(name)].mean()))
    policies = [_policy(world, name, names, worth) for name in best_first]
    committed_usd = float(worth.mean(axis=1).max())
    gains = [p.expected_usd - committed_usd - _run_mean_usd(world, p) for p in policies]
    return policies[int(np.argmax(gains))] if max(gains) > 0 else policies[0]


def _policy(
    world: World, candidate: Candidate, names: tuple[AlternativeId, ...], worth_usd: FloatArray
) -> PilotPolicy:
    seen = np.broadcast_to(signal(world, candidate), (world.draws.n,))
    return plan_policy(candidate, names, seen, worth_usd)


def signal(world: World, candidate: Candidate) -> FloatArray:
    """Share answered rightly in the pilot, shape (n,): truth + transfer error + sampling error.

    The sampling error is that of a binomial share over n requests, sqrt(p (1 - p) / n) x normal.
    """
    d = world.draws
    truth = np.clip(right_share(d, WAY_OF[candidate]) + d["staged.transfer_error"], 0.0, 1.0)
    spread = np.sqrt(truth * (1 - truth) / d["staged.pilot_requests"])
    return np.asarray(truth + spread * normal_ppf(d[PILOT_CHANCE]))


def delayed_npv_usd(world: World, other: Account, delay_months: FloatArray) -> FloatArray:
    """Net present value if everything starts later, near enough to decide by, shape (n,).

    The project is paid in full; what comes after it shrinks with the months left to earn it in.
    """
    n = world.draws.n
    net = present_value_usd(other.items, "benefit", n) - present_value_usd(other.items, "cost", n)
    project_usd = present_value_usd(
        [item for item in other.items if item.category == "project people"], "cost", n
    )
    live_months = np.maximum(world.months - other.go_live_months, 0.0)
    kept = np.maximum(live_months - delay_months, 0.0) / np.maximum(live_months, 1e-9)
    return np.asarray((net + project_usd) * kept - project_usd)


def pilot_run_usd(world: World, candidate: Candidate) -> FloatArray:
    """Price of the one training run of a pilot, shape (n,) or (); none where nothing is tuned."""
    d = world.draws
    if candidate == "managed_finetune":
        return run_usd(world)
    if WAY_OF[candidate].startswith("finetune"):
        rented = run_gpu_hours(world) * d["training.failed_run_factor"]
        return np.asarray(rented * d["training.gpu_usd_per_hour"])
    return np.asarray(0.0)


def _run_mean_usd(world: World, policy: PilotPolicy) -> float:
    return float(np.mean(pilot_run_usd(world, policy.candidate)))


def _pilot_runs(timeline: Timeline, candidate: Candidate) -> LineItem:
    return LineItem(
        name="Training run of the pilot",
        category="GPUs for training",
        amount_usd=pilot_run_usd(timeline.world, candidate),
        profile=timeline.building,
        formula="one run of the way that is tried; nothing where nothing is tuned",
        inputs=("data.examples", "training.epochs", *SIGNAL_INPUTS),
    )


def _named(item: LineItem, name: str, share: FloatArray) -> LineItem:
    return LineItem(
        name=name,
        category=item.category,
        amount_usd=np.asarray(item.amount_usd * share),
        profile=item.profile,
        formula=f"{item.formula}; less what the project reuses if it goes ahead",
        inputs=(*item.inputs, "staged.reused_share"),
    )


def _followed(
    world: World,
    followers: Mapping[AlternativeId, NDArray[np.intp]],
    later: Mapping[AlternativeId, Account],
) -> Iterator[LineItem]:
    """What follows the pilot, one line for each category: every draw has the way it takes."""
    grouped: dict[tuple[Category, Kind], dict[AlternativeId, list[LineItem]]] = {}
    for name, follower in later.items():
        for item in follower.items:
            group = grouped.setdefault((item.category, item.kind), {})
            group.setdefault(name, []).append(item)
    for (category, kind), by_way in grouped.items():
        monthly = np.zeros((world.draws.n, world.months))
        for name, items in by_way.items():
            monthly[followers[name]] = sum(item.cash_usd() for item in items)
        behind = dict.fromkeys(
            path for items in by_way.values() for i in items for path in i.inputs
        )
        yield LineItem(
            name=f"What follows: {category}",
            category=category,
            kind=kind,
            amount_usd=np.asarray(1.0),
            profile=world.profile(monthly),
            formula="that of the way which is taken, started after the pilot: see its own lines",
            inputs=(*behind, *SIGNAL_INPUTS),
        )


def _go_live(
    world: World,
    followers: Mapping[AlternativeId, NDArray[np.intp]],
    later: Mapping[AlternativeId, Account],
) -> FloatArray:
    months = np.full(world.draws.n, np.nan)
    for name, follower in later.items():
        if name != "status_quo":
            months[followers[name]] = follower.go_live_months
    return months


def _notes(policy: PilotPolicy, shares: Mapping[AlternativeId, float]) -> tuple[str, ...]:
    """What is tried, what follows how often, and what became of others' pilots."""
    common = sorted(shares, key=lambda name: -shares[name])
    follows = ", ".join(f"{PHRASES[n]} in {shares[n]:.0%}" for n in common if shares[n] >= 0.005)
    low, _, high = pricing.assumption("project.abandoned_share").p10_p50_p90()
    return (
        f"the pilot tries {PHRASES[policy.candidate]}; what follows it: {follows} of draws",
        f"of pilots elsewhere {low:.0%} to {high:.0%} never reached production",
        "person-days are those of the pilot alone",
        SMALL_WORK_NOTE,
    )
