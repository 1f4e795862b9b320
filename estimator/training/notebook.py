"""What a notebook shows of a training run and of training plans."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from estimator.markup import for_notebook, html_table, paragraph, range_cells, short
from estimator.training.choose import METHOD_NAMES

if TYPE_CHECKING:
    from estimator.training.planning.market import Plan
    from estimator.training.planning.plan import Plans
    from estimator.training.run import TrainingRun

REFUSED_SHOWN = 5


def run_line(run: "TrainingRun") -> str:
    """The run in one line."""
    return (
        f"{METHOD_NAMES[run.recipe.method]} on {run.cluster.gpus} x {run.cluster.gpu.id}: "
        f"{short(run.wall_clock_hours.p50)} hours, {short(run.cost_usd.p50)} USD"
        f"{'' if run.fits else ', but it does not fit'}"
    )


def plans_line(plans: "Plans") -> str:
    """The first of the plans in one line."""
    searched = f"{plans.offers} offers, {plans.searched:,} candidates"
    if plans.best is None:
        return f"Nothing is feasible: {searched}"
    return f"{plans.best.offer.id}: {plans.best.takes}; the first of {searched}"


def run_html(run: "TrainingRun") -> str:
    """What one run takes, with its ranges."""
    rows = (
        ("Cost, USD", *range_cells(run.cost_usd)),
        ("From start to end, hours", *range_cells(run.wall_clock_hours)),
        ("GPU hours of the steps", *range_cells(run.gpu_hours)),
        ("GPU hours paid", *range_cells(run.billed_gpu_hours)),
        ("Tokens per second and GPU", *range_cells(run.tokens_per_second_per_gpu)),
        ("Seconds per optimizer step", *range_cells(run.step_seconds)),
        ("Share of the GPU's peak (MFU)", *range_cells(run.mfu)),
    )
    return for_notebook(
        paragraph(run_line(run), bold=True),
        html_table(("", "Median", "P10 to P90"), rows),
        paragraph(f"Efficiency: {run.calibration} ({run.knowledge})."),
    )


def plans_html(plans: "Plans") -> str:
    """The plans in order, why the first is the first, and what was refused."""
    columns = ("Offer", "GPUs", "Recipe", "USD", "P10 to P90", "Hours", "P10 to P90", "GPU hours")
    table = html_table(columns, [_row(plan) for plan in plans.plans], left=(0, 2))
    return for_notebook(
        paragraph(plans_line(plans), bold=True),
        *map(paragraph, plans.reasons),
        table if plans.plans else "",
        paragraph("* no other plan is both cheaper and faster") if plans.plans else "",
        *map(paragraph, _refused(plans)),
    )


def _row(plan: "Plan") -> tuple[str, ...]:
    recipe, cost = plan.recipe, plan.cost
    return (
        f"{plan.offer.id}{' *' if plan.pareto else ''}",
        str(plan.gpus),
        f"{METHOD_NAMES[recipe.method]}, {recipe.micro_batch} x {recipe.gradient_accumulation}",
        *range_cells(cost.cost_usd),
        *range_cells(cost.wall_clock_hours),
        range_cells(cost.run.gpu_hours)[0],
    )


def _refused(plans: "Plans") -> Iterator[str]:
    if plans.refused:
        yield f"{len(plans.refused)} of {plans.offers} offers refused, among them:"
        yield from (f"{x.offer.id}: {x.reason}" for x in plans.refused[:REFUSED_SHOWN])
