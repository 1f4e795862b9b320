"""Charts and tables of a serving plan: a day of the fleet, cost as volume grows, other ways."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from estimator.decision.wording import money, percent, significant
from estimator.report.charts import Chart
from estimator.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    Figure,
    axis,
    layout_of,
    legend_below,
    note,
)
from estimator.report.plan_charts import log_axis, log_ends, round_numbers
from estimator.report.serving import KINDS, POINTS_PER_DECADE, SHOWN_RIVALS, VOLUME_DECADES
from estimator.serving.curves import VolumeCurve, cost_by_volume, day_curve
from estimator.serving.plan import ServingOption, ServingPlan
from estimator.serving.rivals import Rival

PRICE_COLOURS = (ORANGE, PURPLE, GREEN)


def serving_sentence(plan: ServingPlan, beside: Rival | None) -> str:
    """The cheapest option in one sentence, beside another way."""
    if not plan.options:
        return f"None of the {len(plan.refused)} offers serves {plan.model.id} within these limits."
    best = plan.options[0]
    sentence = (
        f"Serving {plan.model.id} yourself costs about {money(best.usd_per_month.p50)} a month "
        f"on {_fleet_words(best)} from {best.offer.provider}"
    )
    if beside is None:
        return f"{sentence}."
    word = "more" if beside.usd_per_month.p50 > best.usd_per_month.p50 else "less"
    return (
        f"{sentence}; {beside.provider} {beside.name} would cost {word}: "
        f"{money(beside.usd_per_month.p50)}."
    )


def serving_sureness(plan: ServingPlan) -> str:
    """Range, cost of a request and use of the cheapest option; empty where there is none."""
    if not plan.options:
        return ""
    best = plan.options[0]
    usd = best.usd_per_month
    spread = f"{money(usd.p10)} to {money(usd.p90)} in 8 of 10 cases"
    return (
        f"{spread if usd.p10 < usd.p90 else 'Only one price was seen'}; "
        f"{money(best.usd_per_request.p50)} a request, {percent(best.utilisation)} of the "
        f"fleet in use on average. Cheapest of {len(plan.options)} offers that can serve it."
    )


def _fleet_words(option: ServingOption) -> str:
    copies = "replica" if option.replicas == 1 else "replicas"
    return f"{option.replicas:,} {copies} of {option.gpus} × {option.offer.gpu}"


OPTION_COLUMNS = ("Offer", "GPUs of a replica", "Replicas", "In use", "First token", "Each further",
                  "A month", "8 of 10 cases", "Per M tokens", "Per request")  # fmt: skip


def option_rows(plan: ServingPlan, most: int) -> Iterator[tuple[str, ...]]:
    """The cheapest options, each a row."""
    for option in plan.options[:most]:
        yield (
            option.offer.id,
            f"{option.gpus} × {option.offer.gpu}",
            f"{option.replicas:,}",
            percent(option.utilisation),
            f"{option.ttft_seconds:.2f} s",
            f"{option.tpot_seconds:.3f} s",
            *_costs(option),
        )


def few_of_each(others: Sequence[Rival], always: Sequence[Rival]) -> list[Rival]:
    """The cheapest few of each kind and those that are always shown, in their order."""
    kept = {id(rival) for rival in always}
    for kind, most in SHOWN_RIVALS.items():
        kept |= {id(rival) for rival in [r for r in others if r.kind == kind][:most]}
    return [rival for rival in others if id(rival) in kept]


RIVAL_COLUMNS = ("Way", "Kind", "A month", "8 of 10 cases", "Per M tokens", "Per request", "As of")


def rival_rows(plan: ServingPlan, others: Sequence[Rival]) -> Iterator[tuple[str, ...]]:
    """The cheapest option of one's own, then every other way, cheapest first."""
    if plan.options:
        best = plan.options[0]
        yield f"{best.offer.id} (your own)", "rented GPUs", *_costs(best), best.offer.as_of
    for rival in others:
        name = f"{rival.provider} {rival.name}"
        yield name, KINDS[rival.kind], *_costs(rival), rival.as_of


def _costs(way: ServingOption | Rival) -> tuple[str, str, str, str]:
    usd = way.usd_per_month
    return (
        money(usd.p50),
        "" if usd.p10 == usd.p90 else f"{money(usd.p10)} to {money(usd.p90)}",
        money(way.usd_per_million_tokens.p50),
        money(way.usd_per_request.p50),
    )


def refusal_rows(plan: ServingPlan) -> Iterator[tuple[str, str]]:
    """Each reason of refusal with the number of offers, the most frequent first."""
    for reason, offers in Counter(refusal.reason for refusal in plan.refused).most_common():
        yield reason, f"{offers}"


def serving_way_out(plan: ServingPlan) -> str:
    """What would have to change where no offer can serve the load."""
    limits = Counter(refusal.limit for refusal in plan.refused)
    if not limits:
        return "No offer has these kinds of price."
    changes = {
        "memory": "store the weights in fp8 or int4, or take a smaller model",
        "ttft": "allow more time to the first token, or shorten the input",
        "tpot": "allow more time per further token, or store the weights in fp8 or int4",
    }
    nearest = plan.refused[0]
    limit, _ = limits.most_common(1)[0]
    return f"The way out: {changes[limit]}. {nearest.offer.id} {nearest.reason}."


def day_chart(plan: ServingPlan) -> Chart | None:
    """Replicas and their use in each hour of a day of the cheapest option; None without options."""
    if not plan.options:
        return None
    best = plan.options[0]
    day = day_curve(best, plan.need)
    hours = list(range(len(day.replicas)))
    replicas, use = day.replicas.tolist(), day.utilisation.tolist()
    data = [
        _bars(hours, replicas, GREY, [f"{n:.3g} replicas" for n in replicas]) | {"yaxis": "y2"},
        _bars(hours, use, BLUE, [f"{percent(share)} in use" for share in use]),
    ]
    layout = layout_of(380, left=48, bottom=44, top=26)
    layout["xaxis"] = axis("hours after the busiest") | {"dtick": 6, "showgrid": False}
    layout["yaxis"] = axis("") | {
        "domain": [0, 0.52],
        "range": [0, 1.15 * max(use)],
        "tickformat": ".2~p",
        "nticks": 4,
    }
    layout["yaxis2"] = axis("") | {
        "domain": [0.68, 1],
        "range": [0, 1.1 * max(replicas)],
        "nticks": 4,
        "tickformat": "d",
    }
    layout["bargap"] = 0.15
    layout["annotations"] = [
        note("replicas, spares included", x=0, y=1, xanchor="left", yanchor="bottom"),
        note("in use", x=0, y=0.53, xanchor="left", yanchor="bottom"),
    ]
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"{best.offer.id}: {_over_the_day(replicas)}, {percent(use[0])} in use in the "
        f"busiest hour, {percent(use[-1])} in the quietest.",
        columns=("Hours after the busiest", "Requests a second", "Replicas", "They could serve",
                 "In use"),
        rows=tuple(
            (str(hour), significant(load), f"{n:.3g}", significant(most), percent(share))
            for hour, load, n, most, share in zip(
                hours, day.load_per_second.tolist(), replicas, day.capacity_per_second.tolist(),
                use, strict=True)
        ),
    )  # fmt: skip


def _over_the_day(replicas: Sequence[float]) -> str:
    fewest, most = min(replicas), max(replicas)
    words = "replica" if most == 1.0 else "replicas"
    return (
        f"{most:.3g} {words} all day"
        if fewest == most
        else f"{fewest:.3g} to {most:.3g} {words} over the day"
    )


def _bars(x: Sequence[float], y: Sequence[float], colour: str, hover: Sequence[str]) -> Figure:
    return {
        "type": "bar",
        "x": list(x),
        "y": list(y),
        "marker": {"color": colour},
        "hovertext": list(hover),
        "hoverinfo": "text",
    }


def volume_chart(plan: ServingPlan, prices: Sequence[Rival]) -> Chart | None:
    """Cost of a request on the cheapest option as volume grows, against token prices.

    From a hundredth to a hundred times the volume; a dotted line where the option becomes the
    cheaper way for good. None without options.
    """
    if not plan.options:
        return None
    best, now = plan.options[0], plan.need.requests_per_month
    curves = [_curve(plan, rival.usd_per_request.p50) for rival in prices]
    own = _curve(plan, None)
    volumes, usd = own.requests_per_month.tolist(), own.usd_per_request.tolist()
    asked = [rival.usd_per_request.p50 for rival in prices]
    data = [_line(volumes, usd, BLUE, f"your own: {best.offer.id}")]
    layout = legend_below(layout_of(292, left=62, bottom=0, top=14), 1 + len(prices))
    layout["legend"]["orientation"] = "v"
    across, up = log_ends(volumes), log_ends([*usd, *asked])
    layout["xaxis"] = log_axis("requests a month", across, round_numbers(across), short)
    layout["yaxis"] = log_axis("", up, round_numbers(up), lambda x: money(x, 1))
    layout["shapes"] = [_upright(now, GREY, "solid")]
    layout["annotations"] = [
        note(" now ", x=float(np.log10(now)), y=1, xref="x", xanchor="left", yanchor="top"),
    ]
    for rival, curve, colour in zip(prices, curves, PRICE_COLOURS, strict=False):
        price, crossing = rival.usd_per_request.p50, curve.crossing_requests_per_month
        name = f"{rival.provider} {rival.name}"
        data.append(_line([volumes[0], volumes[-1]], [price, price], colour, name))
        if crossing is not None:
            layout["shapes"].append(_upright(crossing, VERMILLION, "dot"))
            side = "right" if crossing > now else "left"
            mark = note(f" {short(crossing)} ", x=float(np.log10(crossing)), y=1, xref="x")
            mark |= {"xanchor": side, "yanchor": "top", "yshift": -18}
            layout["annotations"].append(mark)
    return Chart(
        figure={"data": data, "layout": layout},
        finding=_crossings(best, prices, curves),
        columns=("Requests a month", best.offer.id, "Replicas", "In use"),
        rows=tuple(
            (short(v), money(usd), f"{n:,.0f}", percent(share))
            for v, usd, n, share in list(
                zip(volumes, usd, own.replicas.tolist(), own.utilisation.tolist(), strict=True)
            )[:: POINTS_PER_DECADE // 4]
        ),
    )


def _curve(plan: ServingPlan, price: float | None) -> VolumeCurve:
    points = 2 * VOLUME_DECADES * POINTS_PER_DECADE + 1
    volumes = plan.need.requests_per_month * np.logspace(-VOLUME_DECADES, VOLUME_DECADES, points)
    return cost_by_volume(plan.options[0], plan.need, volumes, api_usd_per_request=price)


def _crossings(best: ServingOption, prices: Sequence[Rival], curves: Sequence[VolumeCurve]) -> str:
    if not prices:
        return f"Cost of a request on {best.offer.id} as volume grows; no token price beside it."
    said = []
    for rival, curve in zip(prices, curves, strict=True):
        name = f"{rival.provider} {rival.name}"
        crossing, last = curve.crossing_requests_per_month, curve.requests_per_month[-1]
        if crossing is None:
            said.append(f"{name} stays cheaper up to {short(last)} requests a month")
        else:
            said.append(
                f"your own is cheaper than {name} from {short(crossing)} requests a month on"
            )
    return f"On {best.offer.id}: {'; '.join(said)}."


def short(x: float) -> str:
    """A count to two digits with its scale: "1.2M", "350k", "900"."""
    for scale, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if x >= scale:
            return f"{float(f'{x / scale:.2g}'):g}{letter}"
    return f"{float(f'{x:.2g}'):g}"


def _line(x: Sequence[float], y: Sequence[float], colour: str, name: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "line": {"color": colour, "width": 3},
        "hovertext": [f"{name}: {money(usd)} a request" for usd in y],
        "hoverinfo": "text",
    }


def _upright(x: float, colour: str, dash: str) -> Figure:
    where = {"xref": "x", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", "line": {"color": colour, "width": 2, "dash": dash}, **where}
