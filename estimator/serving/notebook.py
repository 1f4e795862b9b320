"""What a notebook shows of a serving plan."""

from typing import TYPE_CHECKING

from estimator.markup import for_notebook, html_table, paragraph, range_cells, short

if TYPE_CHECKING:
    from estimator.serving.plan import ServingOption, ServingPlan

SHOWN = 10
COLUMNS = (
    "Offer",
    "GPUs",
    "Replicas",
    "In use",
    "TTFT s",
    "TPOT s",
    "USD a month",
    "P10 to P90",
    "USD per M tokens",
)


def serving_line(plan: "ServingPlan") -> str:
    """The cheapest option in one line."""
    served = f"Serving {plan.model.id} in {plan.weights} by {plan.program}"
    if not plan.options:
        return f"{served}: no offer can ({len(plan.refused)} looked at)"
    best = plan.options[0]
    return (
        f"{served}: {best.replicas} x {best.gpus} x {best.offer.gpu} of {best.offer.id}, "
        f"{short(best.usd_per_month.p50)} USD a month"
    )


def serving_html(plan: "ServingPlan") -> str:
    """The offers that serve the load, cheapest first, and how many cannot."""
    more = len(plan.options) - SHOWN
    return for_notebook(
        paragraph(serving_line(plan), bold=True),
        html_table(COLUMNS, [_row(option) for option in plan.options[:SHOWN]])
        if plan.options
        else "",
        paragraph(f"{more} dearer offers are not shown.") if more > 0 else "",
        *(paragraph(f"{refusal.offer.id}: {refusal.reason}") for refusal in plan.refused[:SHOWN]),
    )


def _row(option: "ServingOption") -> tuple[str, ...]:
    return (
        option.offer.id,
        f"{option.gpus} x {option.offer.gpu}",
        f"{option.replicas:,}",
        f"{option.utilisation:.0%}",
        short(option.ttft_seconds),
        short(option.tpot_seconds),
        *range_cells(option.usd_per_month),
        short(option.usd_per_million_tokens.p50),
    )
