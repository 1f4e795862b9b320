"""What the page "Serving" shows: one plan per load, made once and kept within bounds."""

from dataclasses import dataclass

import streamlit as st

import pricing
from estimator.dashboard.plans import model_of
from estimator.dashboard.results import _keep
from estimator.errors import CatalogError
from estimator.report.charts import Chart
from estimator.report.serving import cheapest_token_price, serving_dict
from estimator.report.serving_charts import (
    day_chart,
    few_of_each,
    option_rows,
    refusal_rows,
    rival_rows,
    serving_sentence,
    serving_sureness,
    serving_way_out,
    volume_chart,
)
from estimator.serving.constants import serving_constants
from estimator.serving.need import ServingNeed
from estimator.serving.plan import plan_serving
from estimator.serving.rivals import Rival, rivals
from pricing import dates
from pricing.offers import load_offers, matching_offers
from pricing.own import PriceFiles, own_price_files

SHOWN_OPTIONS = 15
Api = tuple[str, str]
"""Provider and model of a token price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """All that the page asks for."""

    model: str
    weights: str
    need: ServingNeed
    tiers: tuple[str, ...]
    """Kinds of price."""
    api: Api
    """The scenario's API model, to compare with."""
    currency: str
    """In which amounts are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The answer in words, tables and charts."""

    sentence: str
    sureness: str
    way_out: str
    """What would have to change; empty where an offer can serve the load."""
    options: tuple[tuple[str, ...], ...]
    day: Chart | None
    volume: Chart | None
    rivals: tuple[tuple[str, ...], ...]
    """The cheapest few of each kind."""
    all_rivals: tuple[tuple[str, ...], ...]
    refused: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def weight_formats() -> tuple[str, ...]:
    """How weights can be stored."""
    return tuple(serving_constants().weight_formats)


@_keep(st.cache_data, 32)
def served(load: Load) -> Served:
    """Every offer for the load, the cheapest first, beside hosted ways."""
    architecture = model_of(load.model, "", b"")
    today, files = dates.today(), own_price_files()
    offers = matching_offers(tiers=list(load.tiers), offers=load_offers(files))
    found = plan_serving(architecture, load.need, offers, weights=load.weights)
    others = rivals(found, architecture, files=files, on=today, also=_priced(load.api, files))
    prices = _prices(others, load.api)
    data = serving_dict(found, others, architecture.notes, today)
    return Served(
        sentence=serving_sentence(found, prices[0] if prices else None),
        sureness=serving_sureness(found),
        way_out="" if found.options else serving_way_out(found),
        options=tuple(option_rows(found, SHOWN_OPTIONS)),
        day=day_chart(found),
        volume=volume_chart(found, prices),
        rivals=tuple(rival_rows(found, few_of_each(others, prices))),
        all_rivals=tuple(rival_rows(found, others)),
        refused=tuple(refusal_rows(found)),
        notes=tuple(data["notes"]),
    )


def _priced(api: Api, files: PriceFiles) -> tuple[Api, ...]:
    """The API model, if its tokens have a price in the book; a scenario may bring its own."""
    try:
        pricing.token_price(*api, book=files.tokens)
    except CatalogError:
        return ()
    return (api,)


def _prices(others: tuple[Rival, ...], api: Api) -> tuple[Rival, ...]:
    """The token prices to draw: the scenario's API model and the cheapest one."""
    named = [rival for rival in others if (rival.provider, rival.name) == api]
    cheapest = cheapest_token_price(others)
    return (*named, *([cheapest] if cheapest and cheapest not in named else []))
