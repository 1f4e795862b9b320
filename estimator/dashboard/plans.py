"""What the page "Training plan" shows: one search per wish, run once and kept within bounds."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import streamlit as st

from estimator.cli.plan_options import calibrations_of
from estimator.dashboard.datasets import read_upload
from estimator.dashboard.reach import refuse_paths
from estimator.dashboard.results import _keep
from estimator.dataset import DatasetProfile, typed_profile
from estimator.decision.wording import capitalised
from estimator.errors import EstimatorError, InputError
from estimator.llm.architecture import Architecture
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.report.charts import Chart
from estimator.report.plan import plans_dict
from estimator.report.plan_charts import memory_chart, pareto_chart, step_chart
from estimator.report.plan_tables import (
    fates,
    plan_facts,
    plan_name,
    plan_sentence,
    plan_sureness,
    ways_out,
    without_flags,
)
from estimator.training.choose import METHOD_NAMES
from estimator.training.launch import job_of, launch
from estimator.training.planning.costs import Effort
from estimator.training.planning.forms import FormWish
from estimator.training.planning.front import Objective
from estimator.training.planning.market import Limits
from estimator.training.planning.offers import OfferWish
from estimator.training.planning.plan import Plans, PlanWish, plan
from estimator.training.recipe import Method, Stack
from pricing import dates
from pricing.offers import load_offers
from pricing.own import own_price_files

EVERY_METHOD: tuple[Method, ...] = ("full", "lora", "qlora")
MANY_GPUS = 512
COMMAND_FILE = "train.sh"
DATA = "data"  # what the launch configuration calls data of which only the size is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that the page asks for; an upload is named by its id, its content comes beside it."""

    model: str
    """Name of the model, or of the uploaded config.json."""
    config_id: str = ""
    data_name: str = ""
    """Name of the uploaded dataset; empty: numbers."""
    data_id: str = ""
    examples: int
    mean_tokens: float
    methods: tuple[Method, ...]
    epochs: float
    deadline_hours: float | None
    budget_usd: float | None
    objective: Objective
    spot: bool
    max_gpus: int
    sequence_length: int
    lora_rank: int
    stack: Stack
    currency: str
    """In which amounts are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploads:
    """Content of what was uploaded."""

    config: bytes = b""
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The answer in words, tables and a chart."""

    sentence: str
    sureness: str
    names: tuple[str, ...]
    """The plans in order, in few words."""
    pareto: Chart | None
    reasons: tuple[str, ...]
    ways_out: tuple[str, ...]
    """Where no plan is feasible: what would have to change."""
    fates: tuple[tuple[str, ...], ...]
    """Every other offer, and why it is not listed."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One plan: where its memory and time go, what it takes, what runs it."""

    memory: Chart
    step: Chart
    facts: tuple[tuple[str, str, str], ...]
    files: tuple[tuple[str, str], ...]
    """Name and text of each launch file, the command last."""
    notes: tuple[str, ...]


@_keep(st.cache_resource, 16)
def model_of(name: str, config_id: str, _content: bytes) -> Architecture:
    """The architecture of a named model, or of an uploaded config.json."""
    if not config_id:
        refuse_paths(name)
        return resolve_model(name).architecture
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).joinpath("config.json")
        place.write_bytes(_content)
        try:
            return replace(resolve_model(place, offline=True).architecture, id=name)
        except EstimatorError as error:
            said = str(error).replace(f"model file {place}", name).replace(str(place), name)
            said = said if name in said else f"{name}: {said}"
            raise InputError(f"{said}; upload the config.json of a language model") from None


@_keep(st.cache_resource, 8)
def _data_of(
    name: str, data_id: str, examples: int, mean_tokens: float, model: str, _content: bytes
) -> DatasetProfile:
    """The uploaded dataset, or the typed numbers."""
    if data_id:
        return read_upload(_content, name, model)
    return typed_profile(examples=examples, mean_tokens=mean_tokens)


@_keep(st.cache_resource, 8)
def _search(wanted: Wanted, _uploads: Uploads) -> Plans:
    """The plans themselves."""
    return _plans(wanted, _uploads, _wish(wanted))


def _plans(wanted: Wanted, uploads: Uploads, wish: PlanWish) -> Plans:
    architecture = model_of(wanted.model, wanted.config_id, uploads.config)
    tokenizer = "" if wanted.config_id else wanted.model  # no path where it is shared: see above
    data = _data_of(
        wanted.data_name,
        wanted.data_id,
        wanted.examples,
        wanted.mean_tokens,
        tokenizer,
        uploads.data,
    )
    offers = load_offers(own_price_files())
    own = calibrations_of(offers, "")
    return plan(architecture, data, wish, offers=offers, calibrations=own)


def _wish(wanted: Wanted) -> PlanWish:
    return PlanWish(
        effort=Effort(epochs=Quantity(value=wanted.epochs, unit="epochs")),
        limits=Limits(
            objective=wanted.objective,
            deadline_hours=wanted.deadline_hours,
            budget_usd=wanted.budget_usd,
        ),
        offers=OfferWish(
            tiers=("on_demand",),
            spot=wanted.spot,
            max_gpus=wanted.max_gpus,
        ),
        form=FormWish(
            methods=wanted.methods,
            stacks=(wanted.stack,),
            sequence_length=wanted.sequence_length,
            lora_rank=wanted.lora_rank,
        ),
    )


@_keep(st.cache_data, 32)
def planned(wanted: Wanted, _uploads: Uploads) -> Planned:
    """All that the page shows of a search but the details of single plans."""
    found = _search(wanted, _uploads)
    notes = plans_dict(found, wanted.model, _today())["notes"]
    return Planned(
        sentence=plan_sentence(found, wanted.model),
        sureness=plan_sureness(found),
        names=tuple(map(plan_name, found.plans)),
        pareto=pareto_chart(found),
        reasons=tuple(capitalised(reason) for reason in found.reasons),
        ways_out=() if found.plans else tuple(_ways_out(wanted, _uploads)),
        fates=tuple(fates(found)),
        notes=tuple(capitalised(without_flags(note)) for note in notes),
    )


def _ways_out(wanted: Wanted, uploads: Uploads) -> Iterator[str]:
    """What would have to change for a plan to be feasible: limits, else method, else GPUs."""
    wish = _wish(wanted)
    free = replace(wish, limits=Limits(objective="both"))
    found = list(ways_out(wish.limits, _plans(wanted, uploads, free)))
    if found:
        yield from found
        return
    methods = replace(wish.form, methods=EVERY_METHOD)
    offers = replace(wish.offers, max_gpus=MANY_GPUS, spot=True)
    for change, loosened in (
        ("another method", replace(wish, form=methods)),
        (f"up to {MANY_GPUS} GPUs and spot", replace(wish, offers=offers)),
        ("all of these", replace(wish, form=methods, offers=offers)),
        ("all of these and no limits", replace(free, form=methods, offers=offers)),
    ):
        best = _plans(wanted, uploads, loosened).best
        if best is not None:
            method = METHOD_NAMES[best.recipe.method]
            yield f"Allow {change}: {method} on {plan_name(best)} would do, {best.takes}."
            return
    yield "Nothing on the market trains it: take a smaller model or shorter sequences."


@_keep(st.cache_data, 64)
def detail(wanted: Wanted, _uploads: Uploads, place: int) -> Detail:
    """One of the plans, with what runs it."""
    chosen = _search(wanted, _uploads).plans[place]
    architecture = model_of(wanted.model, wanted.config_id, _uploads.config)
    made = launch(
        chosen,
        job_of(
            architecture,
            chosen,
            model=wanted.model,
            dataset=wanted.data_name or DATA,
            epochs=wanted.epochs,
        ),
    )
    return Detail(
        memory=memory_chart(chosen),
        step=step_chart(chosen),
        facts=tuple(plan_facts(chosen)),
        files=(*made.files.items(), (COMMAND_FILE, f"{made.command}\n")),
        notes=tuple(capitalised(note) for note in (*chosen.cost.memory.notes, *made.notes)),
    )


def _today() -> date:
    return dates.today()
