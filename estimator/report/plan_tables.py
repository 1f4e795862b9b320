"""Training plans in words and tables: sentences, rows, facts, and what became of every offer."""

import math
import re
from collections.abc import Callable, Iterator

from estimator.decision.wording import money, significant
from estimator.hardware.energy import Spread
from estimator.report.layout import GIB
from estimator.report.training import duration
from estimator.training.choose import METHOD_NAMES
from estimator.training.planning.costs import level_of
from estimator.training.planning.market import Limits, Plan
from estimator.training.planning.offers import price_of
from estimator.training.planning.plan import Plans
from estimator.training.run import Range

GOALS = {"cost": "cheapest", "time": "fastest", "both": "best in cost times time"}
P50 = 1
FLAG = re.compile(r"(?: \(|: )(?:allow (?:it|them) with|widen) --[^)]*\)?")


def plan_name(plan: Plan) -> str:
    """A plan in few words: "2 × h100-sxm5-80gb, hyperstack, spot"."""
    tier = plan.offer.tier.replace("_", " ")
    return f"{plan.gpus} × {plan.offer.gpu}, {plan.offer.provider}, {tier}"


def plan_sentence(plans: Plans, model: str) -> str:
    """The first plan in one sentence; what is wrong where there is none."""
    best = plans.best
    if best is None:
        return f"None of the {plans.offers} offers trains {model} within these limits."
    usd, hours = best.cost.cost_usd, best.cost.wall_clock_hours
    return (
        f"{METHOD_NAMES[best.recipe.method]} of {model} costs about {money(usd.p50)} and takes "
        f"{duration(hours.p50)} on {best.gpus} × {best.offer.gpu} rented from "
        f"{best.offer.provider}."
    )


def plan_sureness(plans: Plans) -> str:
    """The range of the first plan, and what it is the best of; empty where there is none."""
    best = plans.best
    if best is None:
        return ""
    usd, hours = best.cost.cost_usd, best.cost.wall_clock_hours
    return (
        f"{money(usd.p10)} to {money(usd.p90)} and {duration(hours.p10)} to {duration(hours.p90)} "
        f"in 8 of 10 cases; the {GOALS[plans.wish.limits.objective]} of {plans.offers} offers and "
        f"{plans.searched:,} settings."
    )


PLAN_COLUMNS = (
    "Plan",
    "Cost",
    "8 of 10 cases",
    "Start to end",
    "8 of 10 cases",
    "Memory of the card",
    "MFU",
    "On the front",
)


def plan_rows(plans: Plans) -> Iterator[tuple[str, ...]]:
    """Every listed plan in order of the objective."""
    several = len(plans.wish.form.methods) > 1
    for rank, plan in enumerate(plans.plans, 1):
        usd, hours = plan.cost.cost_usd, plan.cost.wall_clock_hours
        method = f" · {METHOD_NAMES[plan.recipe.method]}" if several else ""
        yield (
            f"{rank}. {plan_name(plan)}{method}",
            money(usd.p50),
            f"{money(usd.p10)} to {money(usd.p90)}",
            duration(hours.p50),
            f"{duration(hours.p10)} to {duration(hours.p90)}",
            f"{peak_gib(plan)[P50]:.0f} of {capacity_gib(plan):.0f} GiB",
            f"{plan.cost.run.mfu.p50:.0%}",
            "yes" if plan.pareto else "",
        )


def peak_gib(plan: Plan) -> list[float]:
    """P10, P50 and P90 of the fullest GPU's peak memory in GiB."""
    return [float(size) / GIB for size in plan.cost.memory.peak_bytes]


def capacity_gib(plan: Plan) -> float:
    """Memory of the plan's card in GiB."""
    return float(plan.option.candidate.machine.gpu.memory_gib)


FACT_COLUMNS = ("What", "Median", "8 of 10 cases, or note")


def plan_facts(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """What one plan takes and how it trains, one fact a row."""
    cost, run, offer, recipe = plan.cost, plan.cost.run, plan.offer, plan.recipe
    yield from _cost_facts(plan)
    speed, mfu, step = run.tokens_per_second_per_gpu, run.mfu, run.step_seconds
    yield "Tokens a second and GPU", significant(speed.p50, 3), span(speed, significant)
    yield (
        "Share of the GPU's peak (MFU)",
        f"{mfu.p50:.0%}",
        span(mfu, lambda share: f"{share:.0%}"),
    )
    yield "Seconds of an optimizer step", significant(step.p50), span(step, significant)
    yield "Optimizer steps", f"{run.steps:,}", ""
    if cost.energy is not None:
        kwh, carbon = cost.energy.kwh, cost.energy.kg_co2e
        yield "Electricity", f"{significant(kwh.p50)} kWh", span(kwh, significant)
        yield (
            "Carbon",
            f"{significant(carbon.p50)} kg CO2e",
            span(carbon, significant),
        )
    batch = f"{recipe.micro_batch} × {recipe.gradient_accumulation}"
    yield "Micro-batch × accumulation", batch, f"sequences of {recipe.sequence_length:,} tokens"
    yield "Checkpointing of activations", recipe.checkpointing, "kept or computed again"
    yield "Sharding over the GPUs", recipe.sharding, f"software: {recipe.stack}"
    yield "Numbers", recipe.precision, f"optimizer: {recipe.optimizer}"
    yield (
        "Price",
        f"{money(price_of(offer).median())} per GPU-hour",
        f"as of {offer.as_of}",
    )


def _cost_facts(plan: Plan) -> Iterator[tuple[str, str, str]]:
    cost = plan.cost
    yield "Cost", money(cost.cost_usd.p50), span(cost.cost_usd, money)
    for name, part in sorted(cost.cost_parts_usd.items(), key=lambda pair: -pair[1].mean):
        if part.mean >= 0.005:
            yield f"· {name.replace('_', ' ')}", money(part.p50), span(part, money)
    hours = cost.wall_clock_hours
    yield "From start to end", duration(hours.p50), span(hours, duration)
    billed = cost.billed_gpu_hours
    yield "GPU-hours paid", significant(billed.p50), span(billed, significant)
    often = f"a checkpoint every {duration(cost.stretch.checkpoint_every_hours)}"
    yield (
        "Machines lost on the way",
        f"{significant(cost.stretch.interruptions, 1)} expected",
        often,
    )


def span(found: Range | Spread, show: Callable[[float], str]) -> str:
    """P10 to P90 in words, the unit once where both have the same: "35 to 55 min"; or nothing."""
    low, high = show(found.p10), show(found.p90)
    number, gap, unit = low.rpartition(" ")
    if low == high:
        return ""
    return f"{number if gap and high.endswith(gap + unit) else low} to {high}"


FATE_COLUMNS = ("Offer", "GPU", "Kind of price", "What became of it")


def fates(plans: Plans) -> Iterator[tuple[str, ...]]:
    """Every offer that is not listed: those that would do, then the refused, with the reason."""
    for refusal in (*plans.also_feasible, *plans.refused):
        offer = refusal.offer
        yield offer.id, offer.gpu, offer.tier.replace("_", " "), without_flags(refusal.reason)


def ways_out(limits: Limits, relaxed: Plans) -> Iterator[str]:
    """What limits would have to be, one sentence a way; `relaxed`: plans found without limits.

    The cheapest plan in time and the fastest within the budget; where there is neither, the
    fastest of all. Limits are rounded up to two digits, judged at the level asked for.
    """
    hours = [level_of(plan.cost.wall_clock_hours, limits.sure) for plan in relaxed.plans]
    usd = [level_of(plan.cost.cost_usd, limits.sure) for plan in relaxed.plans]
    needs = list(zip(hours, usd, relaxed.plans, strict=True))
    deadline, budget = limits.deadline_hours or math.inf, limits.budget_usd or math.inf
    in_time = [need for need in needs if need[0] <= deadline]
    affordable = [need for need in needs if need[1] <= budget]
    if in_time:
        _, need_usd, plan = min(in_time, key=lambda need: need[1])
        yield f"Raise the budget to ${_up(need_usd)}: {plan_name(plan)} would do."
    if affordable:
        need_hours, _, plan = min(affordable, key=lambda need: need[0])
        yield f"Extend the deadline to {_up(need_hours)} hours: {plan_name(plan)} would do."
    if needs and not in_time and not affordable:
        need_hours, need_usd, plan = min(needs, key=lambda need: need[0])
        more = f"Extend the deadline to {_up(need_hours)} hours and the budget to ${_up(need_usd)}"
        yield f"{more}: {plan_name(plan)} would do, the fastest there is."


def _up(x: float) -> str:
    """The number, rounded up to two significant digits."""
    step = 10.0 ** (math.floor(math.log10(x)) - 1)
    return significant(math.ceil(x / step) * step)


def without_flags(reason: str) -> str:
    """A reason without the command's options, which a page has other names for."""
    return FLAG.sub("", reason)
