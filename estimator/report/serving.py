"""A serving plan for people and for JSON: offers, hosted ways beside them, refusals, curves."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import numpy as np
from rich.console import RenderableType

import pricing
from estimator.decision.wording import listed, money, significant
from estimator.hardware.energy import NOT_KNOWN, EnergyUse
from estimator.report.facts import AGED, FOOTNOTE
from estimator.report.layout import GIB, heading, notes, table
from estimator.serving.constants import serving_constants
from estimator.serving.curves import cost_by_volume, day_curve
from estimator.serving.plan import Range, ServingOption, ServingPlan
from estimator.serving.rivals import Rival

SHOWN_OPTIONS = 12
SHOWN_RIVALS = {"token_price": 5, "hosted_tuned": 4, "hosted_by_the_hour": 3}
SHOWN_LATE = 3
COSTS = ("USD a month", "per M tokens", "per request")
OPTION_COLUMNS = ("Offer", "Batch", "TTFT s", "TPOT s", "Replicas", "In use", *COSTS)
RIVAL_COLUMNS = ("Way", "Kind", *COSTS)
SPARE = ("Batch", "per request", "per M tokens", "In use")
"""Columns that a narrow terminal does without, the first of them first."""
VOLUME_DECADES = 2
POINTS_PER_DECADE = 20
KINDS = {
    "token_price": "token price",
    "hosted_tuned": "hosted, tuned",
    "hosted_by_the_hour": "hosted by the hour",
}


def serving_dict(
    plan: ServingPlan, others: Sequence[Rival], remarks: Sequence[str], today: date
) -> dict[str, Any]:
    """The plan in the shape that `--json` promises."""
    need = plan.need
    return {
        "model": plan.model.id,
        "weights": plan.weights,
        "program": plan.program,
        "weights_gib": float(plan.model.weights_bytes) / GIB,
        "adapters_gib": plan.adapters_bytes / GIB,
        "need": asdict(need) | {"load_per_second_by_hour": need.load_by_hour.tolist()},
        "options": [_option_dict(option, today) for option in plan.options],
        "refused": [
            {"offer": r.offer.id, "gpu": r.offer.gpu, "limit": r.limit, "reason": r.reason}
            for r in plan.refused
        ],
        "compared": [_rival_dict(rival, today) for rival in others],
        "cost_by_volume": _volume_dict(plan, others),
        "day": _day_dict(plan),
        "notes": list(_notes(plan, others, remarks, today)),
    }


def _option_dict(option: ServingOption, today: date) -> dict[str, Any]:
    offer = option.offer
    own = asdict(replace(option, offer=None, energy=None))  # type: ignore[arg-type]
    return own | {
        "energy": _energy_dict(option.energy),
        "offer": offer.id,
        "provider": offer.provider,
        "instance": offer.instance,
        "gpu": offer.gpu,
        "tier": offer.tier,
        "region": offer.region,
        "usd_per_gpu_hour": offer.price_usd_per_gpu_hour,
        "source": offer.source,
        "as_of": offer.as_of,
        "evidence": offer.evidence,
        "stale": pricing.stale(offer.as_of, today),
    }


def _energy_dict(energy: EnergyUse | None) -> dict[str, Any] | None:
    if energy is None:
        return None
    return {
        "kwh_per_month": asdict(energy.kwh),
        "kg_co2e_per_month": asdict(energy.kg_co2e),
        "grid": energy.grid.place,
        "grams_co2e_per_kwh": energy.grid.grams_co2e_per_kwh,
        "grid_source": energy.grid.source,
        "grid_as_of": energy.grid.as_of,
    }


def _rival_dict(rival: Rival, today: date) -> dict[str, Any]:
    return asdict(rival) | {"stale": pricing.stale(rival.as_of, today)}


def cheapest_token_price(others: Sequence[Rival]) -> Rival | None:
    """The cheapest way that is billed by the request alone."""
    return next((rival for rival in others if rival.kind == "token_price"), None)


def _volume_dict(plan: ServingPlan, others: Sequence[Rival]) -> dict[str, Any] | None:
    """Cost per request of the cheapest option from a hundredth to a hundred times the volume."""
    if not plan.options:
        return None
    api, best = cheapest_token_price(others), plan.options[0]
    points = 2 * VOLUME_DECADES * POINTS_PER_DECADE + 1
    volumes = plan.need.requests_per_month * np.logspace(-VOLUME_DECADES, VOLUME_DECADES, points)
    curve = cost_by_volume(
        best,
        plan.need,
        volumes,
        api_usd_per_request=api.usd_per_request.p50 if api else None,
    )
    return {
        "offer": best.offer.id,
        "requests_per_month": curve.requests_per_month.tolist(),
        "usd_per_request": curve.usd_per_request.tolist(),
        "replicas": curve.replicas.tolist(),
        "utilisation": curve.utilisation.tolist(),
        "api": f"{api.provider} {api.name}" if api else None,
        "api_usd_per_request": curve.api_usd_per_request,
        "crossing_requests_per_month": curve.crossing_requests_per_month,
    }


def _day_dict(plan: ServingPlan) -> dict[str, Any] | None:
    if not plan.options:
        return None
    found = day_curve(plan.options[0], plan.need)
    return {
        "offer": plan.options[0].offer.id,
        "load_per_second": found.load_per_second.tolist(),
        "replicas": found.replicas.tolist(),
        "capacity_per_second": found.capacity_per_second.tolist(),
        "utilisation": found.utilisation.tolist(),
    }


def serving_parts(
    plan: ServingPlan, others: Sequence[Rival], remarks: Sequence[str], today: date
) -> Iterator[RenderableType]:
    """The plan as parts to print, the cheapest offers first."""
    need = plan.need
    yield heading(
        f"Serving {plan.model.id} in {plan.weights} by {plan.program}",
        f"{need.requests_per_month:,.0f} requests a month of {need.input_tokens:,.0f} + "
        f"{need.output_tokens:,.0f} tokens, {need.load_by_hour.max():.3g} a second at the peak",
    )
    if plan.options:
        shown = [_option_cells(option, today) for option in plan.options[:SHOWN_OPTIONS]]
        title = "Rented GPUs, cheapest first (USD a month: P50, and P10 to P90)"
        yield table(title, OPTION_COLUMNS, shown, spare=_places(OPTION_COLUMNS))
    if others:
        beside = [_rival_cells(rival, today) for rival in _shown(others)]
        if plan.options:
            best = plan.options[0]
            own = (f"{best.offer.id}{_aged(best.offer.as_of, today)}", "rented GPUs")
            beside = [(*own, *_costs(best)), *beside]
        title, spare = "Beside it, hosted by others", _places(RIVAL_COLUMNS)
        yield table(title, RIVAL_COLUMNS, beside, left=(0, 1), spare=spare)
    if plan.refused:
        yield notes(f"Refused: {len(plan.refused)} offers", _refusals(plan))
    yield notes("To know", _notes(plan, others, remarks, today))


def _places(columns: tuple[str, ...]) -> list[int]:
    return [columns.index(name) for name in SPARE if name in columns]


def _shown(others: Sequence[Rival]) -> list[Rival]:
    """The cheapest few of each kind, in their order."""
    kept = {
        id(rival)
        for kind, most in SHOWN_RIVALS.items()
        for rival in [r for r in others if r.kind == kind][:most]
    }
    return [rival for rival in others if id(rival) in kept]


def _aged(as_of: str, today: date) -> str:
    return AGED if pricing.stale(as_of, today) else ""


def _option_cells(option: ServingOption, today: date) -> tuple[str, ...]:
    return (
        f"{option.offer.id}{_aged(option.offer.as_of, today)}\n{option.gpus} x {option.offer.gpu}",
        f"{option.batch:,}",
        f"{option.ttft_seconds:.2f}",
        f"{option.tpot_seconds:.3f}",
        f"{option.replicas:,}",
        f"{option.utilisation:.0%}",
        *_costs(option),
    )


def _rival_cells(rival: Rival, today: date) -> tuple[str, ...]:
    named = f"{rival.provider} {rival.name}{_aged(rival.as_of, today)}"
    return (named, KINDS[rival.kind], *_costs(rival))


def _costs(way: ServingOption | Rival) -> tuple[str, str, str]:
    return (
        _money_range(way.usd_per_month),
        money(way.usd_per_million_tokens.p50),
        f"${significant(way.usd_per_request.p50)}",
    )


def _money_range(usd: Range) -> str:
    if usd.p10 == usd.p90:
        return money(usd.p50)
    return f"{money(usd.p50)}\n{money(usd.p10)} to {money(usd.p90)}"


def _refusals(plan: ServingPlan) -> Iterator[str]:
    """Each reason once, with the number of offers; equal GPUs are refused alike."""
    counted = Counter(refusal.reason for refusal in plan.refused)
    for reason, offers in counted.most_common():
        yield f"{offers} x {reason}" if offers > 1 else reason


def _notes(
    plan: ServingPlan, others: Sequence[Rival], remarks: Sequence[str], today: date
) -> Iterator[str]:
    need, constants = plan.need, serving_constants()
    yield from remarks
    peak = float(need.load_by_hour.max() / need.load_by_hour.mean())
    follow = "follow the hours of the day" if need.autoscale else "stand for the peak all day"
    yield (
        f"busiest hour {peak:.2g} times the mean; replicas {follow}, {need.redundancy} of them "
        f"spare; at most {need.wait_probability:.0%} of requests at the peak wait for a place"
    )
    yield "TTFT and TPOT are means in a full replica, the wait for a place at the peak included"
    program = constants.programs[plan.program]
    if program.note:
        yield f"{plan.program}: {program.note}"
    if not any(key.startswith(f"{plan.program} ") for key in constants.seen):
        yield f"no measurement of {plan.program} was fitted: its figures are less certain"
    late = [option for option in plan.options[:SHOWN_OPTIONS] if option.late_share > 0]
    if late:
        named = listed([option.offer.id for option in late[:SHOWN_LATE]])
        more = len(late) - SHOWN_LATE
        others_too = f" and {more} more of those shown" if more > 0 else ""
        yield f"where they are slower than expected, {named}{others_too} may miss the limits"
    yield from _crossing_note(plan, others)
    if plan.options and plan.options[0].energy is not None:
        yield _energy_note(plan.options[0].offer.id, plan.options[0].energy)
    tuned = any(rival.kind == "hosted_tuned" for rival in others)
    if tuned:
        yield "hosted tuned models are those that the provider tunes, most of them other models"
    yield "whole instances are rented; people, network and storage are not in it"
    old = [o.offer for o in plan.options if pricing.stale(o.offer.as_of, today)]
    if old or any(pricing.stale(rival.as_of, today) for rival in others):
        yield FOOTNOTE


def _energy_note(offer: str, energy: EnergyUse) -> str:
    kwh, carbon, place = energy.kwh, energy.kg_co2e, energy.grid.place
    known = f"on the grid of {place}" if place != NOT_KNOWN else "at the mean of the United States"
    return (
        f"{offer}: {significant(kwh.p50)} kWh a month ({significant(kwh.p10)} to "
        f"{significant(kwh.p90)}), {significant(carbon.p50)} kg CO2e ({significant(carbon.p10)} "
        f"to {significant(carbon.p90)}) {known}"
    )


def _crossing_note(plan: ServingPlan, others: Sequence[Rival]) -> Iterator[str]:
    found = _volume_dict(plan, others)
    if found is None or found["api"] is None:
        return
    crossing = found["crossing_requests_per_month"]
    if crossing is None:
        yield (
            f"{found['offer']} stays dearer than {found['api']} up to "
            f"{found['requests_per_month'][-1]:,.0f} requests a month"
        )
    elif crossing == found["requests_per_month"][0]:
        yield f"{found['offer']} is cheaper than {found['api']} from {crossing:,.0f} requests on"
    else:
        yield (
            f"{found['offer']} is cheaper than {found['api']} from about "
            f"{significant(crossing)} requests a month on"
        )
