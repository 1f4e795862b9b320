"""Training plans for people and for JSON: what fits, how long, how much, why this one, why not."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

from rich.console import RenderableType

import pricing
from estimator.decision.wording import money, significant
from estimator.report.layout import EIGHTHS, GIB, facts, heading, notes, table
from estimator.report.plan_tables import span
from estimator.report.training import duration, memory_dict
from estimator.training.choose import METHOD_NAMES
from estimator.training.launch import Launch
from estimator.training.planning.market import Plan
from estimator.training.planning.offers import price_of
from estimator.training.planning.plan import Plans
from estimator.training.run import TrainingRun

MEMORY_CELLS = 10
P50 = 1
SPLIT = {
    "compute": (
        "matmul_seconds",
        "attention_seconds",
        "adapter_seconds",
        "recompute_seconds",
    ),
    "memory_traffic": (
        "elementwise_seconds",
        "logits_seconds",
        "dequantisation_seconds",
        "optimizer_seconds",
    ),
    "communication": ("communication_seconds", "gradient_seconds", "offload_seconds"),
    "bubble": ("bubble_seconds",),
    "launch": ("launch_seconds",),
}
"""What a step's time is shown as, by the parts of `StepTime`; what is named nowhere is `other`."""
COLUMNS = (
    "", "GPUs", "Memory", "Step", "MFU", "Tokens/s/GPU", "GPU-hours", "Start to end", "Cost",
)  # fmt: skip
SPARE = ("Step", "Tokens/s/GPU", "MFU", "GPU-hours", "Memory")
"""Columns that a narrow terminal does without, the first of them first."""
RANGES = ("step_seconds", "tokens_per_second_per_gpu", "mfu", "gpu_hours")


def step_split(run: TrainingRun) -> dict[str, float]:
    """Shares of a step's time: compute, memory traffic, communication, bubble, launches."""
    parts = {name: float(part) for name, part in run.step.parts.items()}
    total = sum(parts.values())
    split = {
        kind: sum(parts.pop(name, 0.0) for name in names) / total for kind, names in SPLIT.items()
    }
    return split | ({"other": sum(parts.values()) / total} if any(parts.values()) else {})


def plans_dict(plans: Plans, model: str, today: date, why_not: str = "") -> dict[str, Any]:
    """The plans in the shape that `--json` promises."""
    limits = plans.wish.limits
    data: dict[str, Any] = {
        "model": model,
        "objective": limits.objective,
        "limits": {
            "deadline_hours": limits.deadline_hours,
            "budget_usd": limits.budget_usd,
            "judged_at": limits.level,
        },
        "plans": [_plan(plan, today) for plan in plans.plans],
        "reasons": list(plans.reasons),
        "refused": [{"offer": x.offer.id, "reason": x.reason} for x in plans.refused],
        "also_feasible": [{"offer": x.offer.id, "reason": x.reason} for x in plans.also_feasible],
        "searched": {"offers": plans.offers, "candidates": plans.searched},
        "notes": list(_notes(plans, today)),
    }
    return data | ({"why_not": plans.why_not(why_not)} if why_not else {})


def _plan(plan: Plan, today: date) -> dict[str, Any]:
    offer, cost, run = plan.offer, plan.cost, plan.cost.run
    return {
        "offer": offer.id,
        "provider": offer.provider,
        "instance": offer.instance,
        "tier": offer.tier,
        "region": offer.region,
        "gpu": offer.gpu,
        "gpus": plan.gpus,
        "nodes": plan.option.nodes,
        "recipe": plan.recipe.model_dump(mode="json"),
        "memory": memory_dict(cost.memory, plan.option.candidate.machine.gpu),
        **{name: asdict(getattr(run, name)) for name in RANGES},
        "step_split": step_split(run),
        "billed_gpu_hours": asdict(cost.billed_gpu_hours),
        "wall_clock_hours": asdict(cost.wall_clock_hours),
        "cost_usd": asdict(cost.cost_usd),
        "cost_parts_usd": {name: asdict(part) for name, part in cost.cost_parts_usd.items()},
        "pareto": plan.pareto,
        "steps": run.steps,
        "interruptions": {
            "expected": cost.stretch.interruptions,
            "checkpoint_every_hours": cost.stretch.checkpoint_every_hours,
            "paid_factor": cost.stretch.paid.mean(),
            "wall_clock_factor": cost.stretch.waited.mean(),
        },
        "energy": _energy(plan),
        "price": _price(plan, today),
        "calibration": {"name": run.calibration, "knowledge": run.knowledge},
        "notes": [*cost.memory.notes, *_plan_notes(plan, today)],
    }


def _energy(plan: Plan) -> dict[str, Any] | None:
    energy = plan.cost.energy
    if energy is None:
        return None
    return {
        "kwh": asdict(energy.kwh),
        "kg_co2e": asdict(energy.kg_co2e),
        "grid": energy.grid.place,
        "grams_co2e_per_kwh": energy.grid.grams_co2e_per_kwh,
        "grid_source": energy.grid.source,
        "pue": energy.pue.median(),
    }


def _price(plan: Plan, today: date) -> dict[str, Any]:
    offer, price = plan.offer, price_of(plan.offer)
    p10, p50, p90 = price.p10_p50_p90()
    return {
        "usd_per_gpu_hour": {"p10": p10, "p50": p50, "p90": p90},
        "source": offer.source,
        "as_of": offer.as_of,
        "evidence": offer.evidence,
        "origin": offer.origin,
        "stale": pricing.stale(offer.as_of, today),
    }


def plans_parts(
    plans: Plans, model: str, today: date, why_not: str = ""
) -> Iterator[RenderableType]:
    """The plans as parts to print, the best first."""
    yield heading(f"Training {model}: {_wanted(plans)}", _looked_at(plans))
    if why_not:
        yield notes(f"Why not {why_not}", [plans.why_not(why_not)])
    if plans.best is None:
        yield notes("Why the offers were refused (nearest first)", nearest_misses(plans))
        return
    yield table(
        "Plans (P50, and P10 to P90; * on the Pareto front of cost against time; step: percent of "
        "compute/memory traffic/communication/bubble)",
        COLUMNS,
        [_row(plan) for plan in plans.plans],
        left=(0, 2, 3),
        spare=[COLUMNS.index(name) for name in SPARE],
    )
    yield notes("Why the first", plans.reasons)
    yield facts(f"The first: {plans.best.offer.id}", _details(plans.best))
    yield notes("To know", _notes(plans, today))


def nearest_misses(plans: Plans, shown: int = 8) -> list[str]:
    """Reasons of refusal, each with an example and how many offers share its kind."""
    kinds: dict[str, list[str]] = {}
    for refusal in plans.refused:
        kind = refusal.reason.split(":")[0].split(" by ")[0]
        kinds.setdefault(kind, []).append(f"{refusal.offer.id}: {refusal.reason}")
    order = sorted(kinds, key=lambda kind: kind.startswith("not allowed"))
    lines = [
        line + (f" (and {len(kinds[kind]) - 1} more like it)" if len(kinds[kind]) > 1 else "")
        for kind in order
        for line in kinds[kind][:1]
    ]
    return lines[:shown]


def _wanted(plans: Plans) -> str:
    limits = plans.wish.limits
    goal = {"cost": "the cheapest", "time": "the fastest", "both": "the least cost x time"}
    words = [goal[limits.objective]]
    if limits.deadline_hours is not None:
        words.append(f"within {duration(limits.deadline_hours)}")
    if limits.budget_usd is not None:
        words.append(f"for at most {money(limits.budget_usd)}")
    return ", ".join(words)


def _looked_at(plans: Plans) -> str:
    methods = " or ".join(METHOD_NAMES[method] for method in plans.wish.form.methods)
    judged = plans.wish.limits.level
    return (
        f"{methods}; {plans.offers} offers, {plans.searched:,} candidates; "
        f"{len(plans.refused)} offers refused; limits judged at the {judged}"
    )


def _row(plan: Plan) -> tuple[str, ...]:
    offer, cost, run = plan.offer, plan.cost, plan.cost.run
    split = step_split(run)
    kinds = ("compute", "memory_traffic", "communication", "bubble")
    recipe = plan.recipe
    return (
        f"{offer.id}{' *' if plan.pareto else ''}\n"
        f"{offer.tier.replace('_', ' ')}, {_recipe_words(plan)}",
        f"{plan.gpus}",
        f"{memory_bar(plan)}",
        "/".join(f"{100 * split[kind]:.0f}" for kind in kinds) + f"\n{recipe.stack}",
        f"{run.mfu.p50:.0%}",
        significant(run.tokens_per_second_per_gpu.p50, 3),
        f"{significant(run.gpu_hours.p50)}\n{span(run.gpu_hours, significant)}",
        f"{duration(cost.wall_clock_hours.p50)}\n{span(cost.wall_clock_hours, duration)}",
        f"{money(cost.cost_usd.p50)}\n{span(cost.cost_usd, money)}",
    )


def memory_bar(plan: Plan) -> str:
    """The median peak against the card as a bar, with both in GiB under it."""
    capacity = plan.option.candidate.machine.gpu.memory_gib
    peak = float(plan.cost.memory.peak_bytes[P50]) / GIB
    cells = MEMORY_CELLS * peak / capacity
    bar = "█" * int(cells) + EIGHTHS[int(cells % 1 * 8)].rstrip()
    return f"{bar:·<{MEMORY_CELLS}}▕\n{peak:.1f} of {capacity:.1f} GiB"


def _recipe_words(plan: Plan) -> str:
    recipe = plan.recipe
    degrees = {
        "tp": recipe.tensor_parallel,
        "pp": recipe.pipeline_parallel,
        "cp": recipe.context_parallel,
        "ep": recipe.expert_parallel,
    }
    words = [
        recipe.method,
        f"{recipe.micro_batch}x{recipe.gradient_accumulation}",
        "recompute" if recipe.checkpointing == "full" else recipe.checkpointing + " recomputed",
        *([recipe.sharding] if recipe.sharding != "none" else []),
        *(f"{name}{degree}" for name, degree in degrees.items() if degree > 1),
    ]
    return ", ".join(words)


def _details(plan: Plan) -> Iterator[tuple[str, str, str]]:
    cost, offer = plan.cost, plan.offer
    price = price_of(offer).median()
    yield "price", f"${price:.2f} per GPU-hour", f"{offer.source}, {offer.as_of}"
    for name, part in sorted(cost.cost_parts_usd.items(), key=lambda pair: -pair[1].mean):
        if part.mean >= 0.005:
            yield name.replace("_", " "), money(part.p50), span(part, money)
    often = f"a checkpoint every {duration(cost.stretch.checkpoint_every_hours)}"
    yield "machines lost", f"{cost.stretch.interruptions:.2g} expected", often
    if cost.energy is not None:
        kwh, co2 = cost.energy.kwh, cost.energy.kg_co2e
        grid = f"grid: {cost.energy.grid.place}, {cost.energy.grid.grams_co2e_per_kwh:.0f} g/kWh"
        yield "electricity", f"{significant(kwh.p50)} kWh", f"({span(kwh, significant)})"
        yield "carbon", f"{significant(co2.p50)} kg CO2e", f"({span(co2, significant)}); {grid}"
    yield "optimizer steps", f"{cost.run.steps:,}", ""


def _plan_notes(plan: Plan, today: date) -> Iterator[str]:
    offer, cost = plan.offer, plan.cost
    if pricing.stale(offer.as_of, today):
        yield f"the price of {offer.id} is over 90 days old: look again before you rely on it"
    if not cost.egress_known:
        yield f"what {offer.provider} charges for egress is not known: counted as nothing"
    if plan.option.nodes > 1 and offer.network_gbit_per_second is None:
        yield f"{offer.id} states no bandwidth between machines: the usual one is assumed"
    if cost.energy is None:
        yield f"the power of {offer.gpu} is not known: no energy is given"


def _notes(plans: Plans, today: date) -> Iterator[str]:
    if plans.best is not None:
        yield from _plan_notes(plans.best, today)
        if plans.best.cost.run.steps < 50:
            yield f"only {plans.best.cost.run.steps} optimizer steps: a smaller --global-batch "\
                  "gives more"  # fmt: skip
    left_out = sum("--spot" in refusal.reason for refusal in plans.refused)
    if left_out:
        yield f"{left_out} spot offers were left out: allow them with --spot"
    yield "one run; people and data work are not in it, nor whether the GPUs can be had today"


def launch_lines(made: Launch) -> Iterator[str]:
    """The files and the command of a plan as they are, each after a line with its name."""
    for name, text in made.files.items():
        yield from ("", f"# {name}", *text.splitlines())
    yield from ("", "# command, on each machine", *made.command.splitlines())
    yield from ("", *(f"# {note}" for note in made.notes))


def launch_dict(made: Launch) -> dict[str, Any]:
    """The files and the command of a plan."""
    return {"files": made.files, "command": made.command, "notes": list(made.notes)}
