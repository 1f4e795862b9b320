"""Charts of what an alternative costs: step by step from doing nothing, and month by month."""

from math import ceil

import numpy as np

from estimator.alternatives.account import Account
from estimator.decision.simulate import Comparison
from estimator.decision.wording import capitalised, money
from estimator.quantity import FloatArray
from estimator.report.charts import WAY_COLOURS, Chart
from estimator.report.figures import (
    BLUE,
    GREEN,
    GREY,
    VERMILLION,
    axis,
    hidden_axis,
    layout_of,
    legend_below,
    money_axis,
    row_layout,
)
from estimator.report.text import category_sums
from estimator.scenario import AlternativeId


def waterfall_chart(comparison: Comparison, alternative: AlternativeId) -> Chart:
    """From what people cost without it to what is left with it, category by category.

    Mean present values over the horizon: all costs of doing nothing, then by category what the
    alternative saves or adds, then all its costs.
    """
    base = category_sums(comparison.outcomes["status_quo"].account)
    own = category_sums(comparison.outcomes[alternative].account)
    label = comparison.outcomes[alternative].account.label
    steps = {
        name: own.get(name, 0.0) - base.get(name, 0.0) for name in dict.fromkeys([*base, *own])
    }
    steps = {name: usd for name, usd in steps.items() if round(usd, 2)}
    start, end = sum(base.values()), sum(own.values())
    names = ["Doing nothing", *map(capitalised, steps), label]
    lows, sizes, colours, shown = [0.0], [start], [GREY], [money(start)]
    level = start
    for usd in steps.values():
        lows.append(min(level, level + usd))
        sizes.append(abs(usd))
        colours.append(GREEN if usd < 0 else VERMILLION)
        shown.append(("−" if usd < 0 else "+") + money(abs(usd)))
        level += usd
    lows, sizes = [*lows, 0.0], [*sizes, end]
    colours, shown = [*colours, BLUE], [*shown, money(end)]
    bars = {
        "type": "bar",
        "orientation": "h",
        "base": lows,
        "x": sizes,
        "y": list(range(len(names))),
        "width": 0.36,
        "marker": {"color": colours},
        "hoverinfo": "skip",
    }
    layout = row_layout(names, shown)
    top = max(low + size for low, size in zip(lows, sizes, strict=True))
    layout["xaxis"] = hidden_axis() | {"range": [0, top]}
    told = ", ".join(f"{name} {text}" for name, text in zip(names[1:-1], shown[1:-1], strict=True))
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"Doing nothing costs {money(start)}; {label} costs {money(end)}: {told}.",
        columns=("Step", "Mean, today's money"),
        rows=tuple(zip(names, shown, strict=True)),
    )


def monthly_chart(comparison: Comparison, alternative: AlternativeId) -> Chart | None:
    """Mean costs of the alternative itself in each month by category, as they are paid.

    People who still handle requests and errors are left out: doing nothing has them too. None if
    it costs nothing of its own.
    """
    account = comparison.outcomes[alternative].account
    months = comparison.scenario.horizon_months
    paid = _paid_by_month(account, months)
    if not paid:
        return None
    numbers = list(range(1, months + 1))
    data = [
        {
            "type": "bar",
            "name": category,
            "x": numbers,
            "y": usd.tolist(),
            "marker": {"color": WAY_COLOURS[category]},
            "hovertext": [f"{category} {money(x)}" for x in usd],
            "hoverinfo": "text",
        }
        for category, usd in paid.items()
    ]
    total = np.sum(list(paid.values()), axis=0)
    layout = layout_of(250, left=58, bottom=0, top=10)
    layout = legend_below(layout, ceil(len(paid) / 2)) | {"barmode": "stack"}
    layout["xaxis"] = axis("month") | {"showgrid": False}
    layout["yaxis"] = money_axis(0.0, float(total.max()))
    dearest = int(np.argmax(total))
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"{account.label} itself costs {money(float(total.mean()))} a month on average, "
        f"most in month {dearest + 1}: {money(float(total[dearest]))}.",
        columns=("Month", *map(capitalised, paid), "Total"),
        rows=tuple(
            (
                str(m),
                *(money(float(usd[m - 1])) for usd in paid.values()),
                money(float(total[m - 1])),
            )
            for m in numbers
        ),
    )


def _paid_by_month(account: Account, months: int) -> dict[str, FloatArray]:
    """Mean undiscounted cost per month of each category of the alternative's own."""
    paid = {category: np.zeros(months) for category in WAY_COLOURS}
    for item in account.items:
        if item.kind == "cost" and item.category in paid:
            paid[item.category] += np.mean(item.cash_usd(), axis=0)
    return {category: usd for category, usd in paid.items() if usd.any()}
