"""Charts and tables of training plans: cost against time, memory of the card, a step's time."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil

import numpy as np

from estimator.decision.wording import money, significant
from estimator.report.charts import Chart
from estimator.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    Figure,
    axis,
    hidden_axis,
    layout_of,
    legend_below,
    note,
    row_layout,
    track,
)
from estimator.report.layout import GIB
from estimator.report.plan import step_split
from estimator.report.plan_tables import (
    PLAN_COLUMNS,
    capacity_gib,
    peak_gib,
    plan_name,
    plan_rows,
)
from estimator.report.training import duration, memory_parts
from estimator.training.memory import MemoryBreakdown
from estimator.training.planning.market import Plan
from estimator.training.planning.plan import Plans

MEMORY_GROUPS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "weights": (
        BLUE,
        ("weights", "master_weights", "autocast_copies", "gathered_weights"),
    ),
    "gradients": (VERMILLION, ("gradients", "gradient_buffers")),
    "optimizer": (PURPLE, ("optimizer_states", "optimizer_temporaries")),
    "activations": (
        ORANGE,
        ("activations", "attention", "routing", "adapter_inputs", "recomputed_layer"),
    ),
    "logits": (YELLOW, ("logits",)),
    "passing buffers": (GREEN, ("working", "dequantisation")),
    "allocator and CUDA": (SKY, ("allocator_reserve", "cuda_context")),
}
"""Colour and parts of each group that the memory is shown by; what is named nowhere is `other`."""
STEP_WORDS = {
    "compute": "computing",
    "memory_traffic": "moving data within the GPU",
    "communication": "exchanging data between GPUs",
    "bubble": "waiting for other pipeline stages",
    "launch": "starting kernels",
    "other": "other",
}
MINUTES, HOURS, DAYS = (1, 3, 10, 30), (2, 6), (1, 3, 10, 30, 100, 365)
DURATION_TICKS = (*(m / 60 for m in MINUTES), *map(float, HOURS), *(24.0 * d for d in DAYS))
ROOM = 0.31  # decades beside the outermost points: room for a tick on the shortest scale
CLOSE = 0.12  # decades within which two labels run into each other
MOST_DECADES = 3  # a longer scale has a tick a decade


def pareto_chart(plans: Plans) -> Chart | None:
    """Cost of every listed plan against its time, the Pareto front as a line; None without plans.

    Both scales are logarithmic. Beside the points of the front stand their places in the table.
    """
    if not plans.plans:
        return None
    rank = {id(plan): str(i) for i, plan in enumerate(plans.plans, 1)}
    front = plans.front
    others = [plan for plan in plans.plans if not plan.pareto]
    data = [
        _points(others) | {"mode": "markers", "marker": {"color": GREY, "size": 9}},
        _points(front)
        | {
            "mode": "lines+markers+text",
            "marker": {"color": BLUE, "size": 11},
            "line": {"color": BLUE, "width": 2},
            "text": _labels([rank[id(plan)] for plan in front], front),
            "textposition": "top right",
        },
    ]
    layout = layout_of(380, left=62, bottom=46, top=14)
    hours = [plan.cost.wall_clock_hours.p50 for plan in plans.plans]
    usd = [plan.cost.cost_usd.p50 for plan in plans.plans]
    limits = plans.wish.limits
    layout["xaxis"] = log_axis("from start to end", log_ends(hours), DURATION_TICKS, duration)
    layout["yaxis"] = log_axis("", log_ends(usd), round_numbers(log_ends(usd)), money)
    layout["shapes"], layout["annotations"] = [], []
    _limit(layout, "x", limits.deadline_hours, log_ends(hours), "deadline")
    _limit(layout, "y", limits.budget_usd, log_ends(usd), "budget")
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"Cost against time of {len(plans.plans)} plans; none is cheaper and faster than "
        "one of these: " + "; ".join(f"{plan_name(p)}: {p.takes}" for p in front) + ".",
        columns=PLAN_COLUMNS,
        rows=tuple(plan_rows(plans)),
    )


def _labels(ranks: Sequence[str], front: Sequence[Plan]) -> list[str]:
    """The ranks, blank where a label would run into the one before."""
    hours = np.log10([plan.cost.wall_clock_hours.p50 for plan in front])
    usd = np.log10([plan.cost.cost_usd.p50 for plan in front])
    shown: list[str] = []
    last: int | None = None
    for i, rank in enumerate(ranks):
        if last is None or max(hours[last] - hours[i], usd[i] - usd[last]) > CLOSE:
            shown.append(rank)
            last = i
        else:
            shown.append("")
    return shown


def _points(plans: Sequence[Plan]) -> Figure:
    return {
        "type": "scatter",
        "x": [plan.cost.wall_clock_hours.p50 for plan in plans],
        "y": [plan.cost.cost_usd.p50 for plan in plans],
        "hovertext": [f"{plan_name(plan)}: {plan.takes}" for plan in plans],
        "hoverinfo": "text",
    }


def log_ends(values: Sequence[float]) -> tuple[float, float]:
    """Decimal logarithms of the ends of a scale that holds these values."""
    return float(np.log10(min(values))) - ROOM, float(np.log10(max(values))) + ROOM


def round_numbers(ends: tuple[float, float]) -> list[float]:
    """1, 2 and 5 times the powers of ten of a scale, or these alone where it is long."""
    low, high = int(np.floor(ends[0])), int(np.ceil(ends[1]))
    steps = (1, 2, 5) if high - low <= MOST_DECADES else (1,)
    return [m * 10.0**decade for decade in range(low, high + 1) for m in steps]


def log_axis(
    title: str, ends: tuple[float, float], ticks: Sequence[float], show: Callable[[float], str]
) -> Figure:
    """A logarithmic axis between these ends, with those of the ticks that lie on it."""
    shown = [tick for tick in ticks if ends[0] <= np.log10(tick) <= ends[1]]
    return axis(title) | {
        "type": "log",
        "range": list(ends),
        "tickvals": shown,
        "ticktext": [show(tick) for tick in shown],
    }


def _limit(
    layout: Figure, side: str, limit: float | None, ends: tuple[float, float], name: str
) -> None:
    """A dotted line at a limit that lies within the scale, with its name."""
    if limit is None or not ends[0] <= np.log10(limit) <= ends[1]:
        return
    other = "y" if side == "x" else "x"
    ref = {f"{side}ref": side, f"{other}ref": "paper"}
    ends_of = {f"{side}0": limit, f"{side}1": limit, f"{other}0": 0, f"{other}1": 1}
    style = {"color": VERMILLION, "width": 2, "dash": "dot"}
    layout["shapes"].append({"type": "line", "line": style, **ref, **ends_of})
    at = float(np.log10(limit))
    x, y, above = (at, 1.0, "top") if side == "x" else (1.0, at, "bottom")
    text = note(f" {name} ", x=x, y=y) | ref | {"xanchor": "right", "yanchor": above}
    layout["annotations"].append(text)


def memory_chart(plan: Plan) -> Chart:
    """The median peak of the fullest GPU by group of parts, along the card's capacity."""
    groups = memory_groups(plan.cost.memory)
    capacity, (low, middle, high) = capacity_gib(plan), peak_gib(plan)
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": [gib],
            "y": [0],
            "width": 0.36,
            "marker": {"color": _colour(name)},
            "hovertext": f"{name} {gib:.1f} GiB",
            "hoverinfo": "text",
        }
        for name, gib in groups.items()
    ]
    layout = row_layout([f"peak {middle:.1f} GiB"], [f"card {capacity:.1f} GiB"])
    layout = legend_below(layout, ceil(len(groups) / 2), axis_pixels=8) | {"barmode": "stack"}
    layout["xaxis"] = hidden_axis() | {"range": [0, max(capacity, high)]}
    layout["shapes"] = [track(0), _whisker(low, high)]
    named = ", ".join(f"{name} {gib:.1f}" for name, gib in groups.items())
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"At its peak {middle:.1f} of {capacity:.1f} GiB are used ({low:.1f} to "
        f"{high:.1f} in 8 of 10 cases): {named}.",
        columns=("Part", "GiB"),
        rows=(
            *((name.replace("_", " "), f"{size / GIB:.2f}")
              for name, size in memory_parts(plan.cost.memory).items() if size),
            ("peak (median)", f"{middle:.2f}"),
            ("peak (P90)", f"{high:.2f}"),
            ("the card has", f"{capacity:.2f}"),
        ),
    )  # fmt: skip


def memory_groups(memory: MemoryBreakdown) -> dict[str, float]:
    """GiB of the median peak by group; groups without any are left out."""
    parts = {name: size / GIB for name, size in memory_parts(memory).items()}
    groups = {
        group: sum(parts.pop(name, 0.0) for name in names)
        for group, (_, names) in MEMORY_GROUPS.items()
    }
    groups["other"] = sum(parts.values())
    return {group: gib for group, gib in groups.items() if gib > 0.0}


def _colour(group: str) -> str:
    return MEMORY_GROUPS[group][0] if group in MEMORY_GROUPS else GREY


def _whisker(low: float, high: float) -> Figure:
    """A thin line along the range of the peak, under the bar."""
    where = {"xref": "x", "x0": low, "x1": high, "yref": "y", "y0": 0.25, "y1": 0.25}
    return {"type": "line", "line": {"color": GREY, "width": 4}, **where}


def step_chart(plan: Plan) -> Chart:
    """Where the time of an optimizer step goes, as shares."""
    split = sorted(step_split(plan.cost.run).items(), key=lambda pair: -pair[1])
    shown = [(STEP_WORDS[kind], share) for kind, share in split if share >= 0.005]
    labels, shares = [word for word, _ in shown], [share for _, share in shown]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": shares,
        "y": list(range(len(labels))),
        "width": 0.36,
        "marker": {"color": BLUE},
        "hoverinfo": "skip",
    }
    layout = row_layout(labels, [f"{share:.0%}" for share in shares])
    layout["xaxis"] = hidden_axis() | {"range": [0, 1]}
    layout["shapes"] = [track(row) for row in range(len(labels))]
    seconds = plan.cost.run.step_seconds
    named = ", ".join(f"{word} {share:.0%}" for word, share in shown)
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"A step of {significant(seconds.p50)} s: {named}.",
        columns=("Part of a step", "Share", "Seconds"),
        rows=tuple(
            (word, f"{share:.1%}", significant(share * seconds.p50)) for word, share in shown
        ),
    )
