"""Charts of a project: when each activity runs, and who works on it in which month."""

from collections.abc import Sequence
from math import ceil

import numpy as np

from estimator.alternatives.account import Account
from estimator.decision.wording import money, percent
from estimator.project.plan import GanttBar, ProjectDraws, StageDraws
from estimator.project.staffing import DAYS_PER_MONTH
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
    layout_of,
    legend_below,
    live_line,
    note,
    row_layout,
)

ROLE_COLOURS = (BLUE, ORANGE, GREEN, SKY, VERMILLION, PURPLE, YELLOW, GREY)
OFTEN_CRITICAL = 0.5  # from here on an activity is drawn as one that decides the date
SHOWN_ROLES = len(ROLE_COLOURS)
SHORT_WORDS = {"ai": "AI", "ml": "ML", "mlops": "MLOps", "qa": "QA"}


def gantt_chart(account: Account) -> Chart | None:
    """Every activity from its median start to its P50 and P80 end; None without a project."""
    project = account.project
    if project is None or not project.activities:
        return None
    bars = project.gantt()
    months = {
        "start": [bar.start_days_p50 / DAYS_PER_MONTH for bar in bars],
        "p50": [bar.finish_days_p50 / DAYS_PER_MONTH for bar in bars],
        "p80": [bar.finish_days_p80 / DAYS_PER_MONTH for bar in bars],
    }
    colours = [VERMILLION if bar.criticality >= OFTEN_CRITICAL else BLUE for bar in bars]
    data = [
        _bars(months["start"], months["p50"], colours, 0.34, 1.0),
        _bars(months["p50"], months["p80"], colours, 0.14, 0.6),
    ]
    live50, live80 = np.quantile(project.go_live_months, [0.5, 0.8])
    end = 1.04 * max(float(live80), *months["p80"])
    shown = [percent(bar.criticality) for bar in bars]
    layout = row_layout([bar.name for bar in bars], shown, top=44, bottom=36)
    layout["barmode"] = "overlay"
    layout["xaxis"] = axis("months from the start") | {"range": [0, end], "showgrid": True}
    layout["shapes"] = [live_line(float(live50))]
    side = "right" if live50 > end / 2 else "left"
    layout["annotations"] += [
        note(" live (P50) ", x=float(live50), y=1, xref="x", xanchor=side, yanchor="bottom"),
        note("decides the date in", x=1, y=1, xanchor="right", yanchor="bottom", yshift=18),
    ]
    return Chart(
        figure={"data": data, "layout": layout},
        finding=_gantt_finding(account, bars, float(live50), float(live80)),
        columns=("Activity", "Stage", "Starts", "Ends (P50)", "Ends (P80)", "Decides the date in"),
        rows=tuple(
            (bar.name, bar.stage, f"{a:.1f}", f"{b:.1f}", f"{c:.1f}", share)
            for bar, a, b, c, share in zip(
                bars, months["start"], months["p50"], months["p80"], shown, strict=True
            )
        ),
    )


def _bars(
    start: Sequence[float], end: Sequence[float], colours: list[str], width: float, opacity: float
) -> Figure:
    return {
        "type": "bar",
        "orientation": "h",
        "base": list(start),
        "x": [b - a for a, b in zip(start, end, strict=True)],
        "y": list(range(len(start))),
        "width": width,
        "opacity": opacity,
        "marker": {"color": colours},
        "hoverinfo": "skip",
    }


def _gantt_finding(account: Account, bars: Sequence[GanttBar], live50: float, live80: float) -> str:
    decisive = sorted(bars, key=lambda bar: -bar.criticality)[:3]
    named = ", ".join(f"{bar.name} ({percent(bar.criticality)})" for bar in decisive)
    return (
        f"{account.label}: live after {live50:.1f} months at the median, after {live80:.1f} in 4 "
        f"of 5 futures at the latest. Most often on the critical path: {named}."
    )


def stage_rows(project: ProjectDraws) -> tuple[tuple[str, ...], ...]:
    """Stage, start, P50 and P80 of its end in months, person-days and cost (medians)."""
    return tuple(_stage_row(stage) for stage in project.stages())


STAGE_COLUMNS = ("Stage", "Starts", "Ends (P50)", "Ends (P80)", "Person-days", "Cost of people")


def _stage_row(stage: StageDraws) -> tuple[str, ...]:
    start = float(np.median(stage.start_days)) / DAYS_PER_MONTH
    p50, p80 = np.quantile(stage.finish_days, [0.5, 0.8]) / DAYS_PER_MONTH
    days, usd = float(np.median(stage.person_days)), float(np.median(stage.cost_usd))
    return (
        stage.stage.replace("_", " "),
        f"{start:.1f}",
        f"{p50:.1f}",
        f"{p80:.1f}",
        f"{days:,.0f}",
        money(usd),
    )


def people_chart(account: Account) -> Chart | None:
    """Full-time people of each role in each month until it is live; None without a project."""
    project = account.project
    if project is None or not project.activities:
        return None
    months = max(ceil(float(np.quantile(project.go_live_months, 0.9))), 1)
    people = project.people_by_month(months)
    roles = sorted(people, key=lambda role: -float(people[role].sum()))
    numbers = list(range(1, months + 1))
    data = [
        {
            "type": "bar",
            "name": role_words(role),
            "x": numbers,
            "y": people[role].tolist(),
            "marker": {"color": ROLE_COLOURS[i % SHOWN_ROLES]},
            "hovertext": [f"{role_words(role)}: {x:.1f}" for x in people[role]],
            "hoverinfo": "text",
        }
        for i, role in enumerate(roles)
    ]
    totals = np.sum([people[role] for role in roles], axis=0)
    layout = layout_of(250, left=44, bottom=0, top=16)
    layout = legend_below(layout, len(roles)) | {"barmode": "stack"}
    layout["xaxis"] = axis("month") | {"dtick": max(1, months // 12), "showgrid": False}
    layout["yaxis"] = axis("people")
    peak = int(np.argmax(totals))
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"{account.label}: at most {totals[peak]:.1f} full-time people, in month "
        f"{peak + 1}; most work falls to {role_words(roles[0])}.",
        columns=("Role", *(f"Month {m}" for m in numbers)),
        rows=(
            *((role_words(r), *(f"{x:.1f}" for x in people[r])) for r in roles),
            ("all", *(f"{x:.1f}" for x in totals)),
        ),
    )


def role_words(name: str) -> str:
    """A role in words: "ML engineer"."""
    return " ".join(SHORT_WORDS.get(word, word) for word in name.split("_"))
