"""What the sidebar offers: one widget per input, made from the scenario's own declarations."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import floor, log10
from typing import Any, get_args

from estimator.dashboard.adjust import moved_to
from estimator.dashboard.declared import bounds, docstring, label, plain, quantity_help
from estimator.decision.wording import value_with_unit
from estimator.errors import CatalogError
from estimator.llm.catalogue import catalogue
from estimator.quantity import Quantity
from estimator.scenario import ALTERNATIVES, Scenario
from estimator.scenario.inputs import In
from estimator.training.recipe import Method
from pricing import token_price

GROUPS: dict[str, tuple[str, ...]] = {
    "What is at stake": (
        "demand.requests_per_month",
        "demand.in_scope_share",
        "value.human_cost_usd_per_request",
        "value.error_cost_usd",
        "value.incident_cost_usd",
    ),
    "How well it answers": (
        "quality.skill",
        "quality.knowledge_share",
        "quality.error_rate.rag",
        "quality.error_rate.saas",
        "quality.error_rate.finetune_rag",
    ),
    "What tuning takes": (
        "quality.tuning_gain_kept",
        "data.label_usd_per_example",
        "training.retrain_months",
        "project.overrun_factor",
    ),
}
"""The inputs that moved the alternatives' worth most, on average over the packaged templates."""

HORIZONS = (6, 12, 18, 24, 36, 48, 60, 84, 120)
RATES = (0.0, 0.02, 0.04, 0.05, 0.06, 0.08, 0.10, 0.12, 0.15, 0.20, 0.25, 0.30)
PERCENTS = (*range(20), *range(20, 100, 2), 100)
FINE_PERCENTS = (0.1, 0.2, 0.5, 1.5, 2.5, 3.5)
ROUND_NUMBERS = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
REACH = 20  # a slider without an upper bound goes from a twentieth to twenty times its start
STEPS_EACH_WAY = 15
API_PROVIDERS = ("anthropic", "cohere", "deepseek", "google", "mistral", "openai", "x-ai")


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One widget: what it is called, what it explains, its values and the one it starts from."""

    path: str
    """Its place in the scenario; also its name in a link."""
    label: str
    help: str
    options: tuple[Any, ...]
    default: Any
    show: Callable[[Any], str]
    """An option as the widget, the link and the list of changes write it."""
    change: Callable[[Any], Mapping[str, Any]]
    """What an option changes in the scenario, by path."""
    closed: bool = True
    """Whether only its options are allowed, and nothing typed."""


def sliders(scenario: Scenario, paths: tuple[str, ...]) -> Iterator[Input]:
    """A slider for each of these quantities of the scenario."""
    quantities = scenario.inputs()
    for path in paths:
        yield slider(path, quantities[path])


def slider(path: str, quantity: Quantity) -> Input:
    """A slider over the median of one quantity."""
    limits, median = bounds(path), quantity.median()

    def show(value: float) -> str:
        what = limits.unit.partition("/")[0]
        return value_with_unit(value, what if what in ("USD", "share") else None)

    return Input(
        path=path,
        label=plain(f"{label(path)}{_unit_in_label(path, limits.unit)}"),
        help=quantity_help(path, quantity),
        options=_distinct((median, *_scale(quantity, median, limits)), show),
        default=median,
        show=show,
        change=lambda value: {path: moved_to(quantity, value, limits)},
    )


def _unit_in_label(path: str, unit: str) -> str:
    """The unit in brackets, unless the label or the slider's values say it already."""
    what = unit.partition("/")[0]
    said = what in ("USD", "share", "count", "factor", "score") or what in label(path).lower()
    return "" if said else f" ({unit})"


def _scale(quantity: Quantity, median: float, limits: In) -> Iterator[float]:
    """Round values around a median: percents, a geometric scale, or steps of the range's width."""
    low = float("-inf") if limits.ge is None else limits.ge
    high = float("inf") if limits.le is None else limits.le
    if (low, high) == (0, 1):
        values = [percents / 100 for percents in (*PERCENTS, *FINE_PERCENTS)]
    elif low >= 0:
        anchor = median or 1.0
        decades = range(floor(log10(anchor / REACH)), floor(log10(anchor * REACH)) + 1)
        values = [number * 10**decade for decade in decades for number in ROUND_NUMBERS]
        values = [value for value in values if anchor / REACH <= value <= anchor * REACH]
    else:
        p10, _, p90 = quantity.p10_p50_p90()
        step = float(f"{(p90 - p10 or abs(median) or 1.0) / 5:.0e}")
        first = round(median / step)
        ticks = range(first - STEPS_EACH_WAY, first + STEPS_EACH_WAY + 1)
        values = [round(tick * step, 12) for tick in ticks]
    yield from (value for value in values if low <= value <= high)


def _distinct(values: tuple[Any, ...], show: Callable[[Any], str]) -> tuple[Any, ...]:
    """Values in order, of those that read the same only the first given."""
    by_text: dict[str, Any] = {}
    for value in values:
        by_text.setdefault(show(value), value)
    return tuple(sorted(by_text.values()))


def settings(scenario: Scenario) -> tuple[Input, ...]:
    """The choices that are not uncertain: horizon, discount rate, models, training method."""
    api = f"{scenario.api.provider}/{scenario.api.model}"
    return (
        _setting("horizon_months", scenario.horizon_months, HORIZONS, "{} months".format),
        _setting("discount_rate_per_year", scenario.discount_rate_per_year, RATES, _rate),
        _setting("model", scenario.model, tuple(catalogue()), str),
        _setting(
            "training.method",
            scenario.training.method,
            get_args(Method),
            _method,
            name="Training method",
        ),
        Input(
            path="api.model",
            label="API model",
            help=plain(f"{docstring('api')} {docstring('api.model')} Write provider/model."),
            options=tuple(dict.fromkeys((api, *api_models()))),
            default=api,
            show=str,
            change=_api_change,
            closed=False,
        ),
    )


def ways(scenario: Scenario) -> Input:
    """Which alternatives are compared; doing nothing always takes part."""
    return Input(
        path="alternatives",
        label="Alternatives to compare",
        help=plain(docstring("alternatives")),
        options=tuple(name for name in ALTERNATIVES if name != "status_quo"),
        default=tuple(name for name in scenario.alternatives if name != "status_quo"),
        show=lambda chosen: f"{len(chosen)} besides doing nothing",
        change=lambda chosen: {"alternatives": list(chosen)},
    )


def _setting(
    path: str, default: Any, options: tuple[Any, ...], show: Callable[[Any], str], *, name: str = ""
) -> Input:
    numbers = isinstance(default, int | float)
    return Input(
        path=path,
        label=name or plain(label(path)),
        help=plain(docstring(path)),
        options=tuple(sorted({default, *options})) if numbers else _first(default, options),
        default=default,
        show=show,
        change=lambda value: {path: value},
        closed=path != "model",
    )


def _first(default: str, options: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((default, *options)))


def _rate(value: float) -> str:
    return value_with_unit(value, "share", digits=3)


def _method(value: str) -> str:
    return {"full": "Full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}[value]


def _api_change(value: str) -> dict[str, str]:
    provider, _, model = value.partition("/")
    return {"api.provider": provider, "api.model": model}


@cache
def api_models() -> tuple[str, ...]:
    """Models priced per token by those who make them, as provider/model."""
    from genai_prices.data import providers  # a second to import: only where it is needed

    makers = [provider for provider in providers if provider.id in API_PROVIDERS]
    models = [(maker.id, model.id) for maker in makers for model in maker.models]
    return tuple(sorted(f"{maker}/{model}" for maker, model in models if _is_priced(maker, model)))


def _is_priced(provider: str, model: str) -> bool:
    try:
        token_price(provider, model)
    except CatalogError:
        return False
    return True


def other_paths(scenario: Scenario) -> tuple[str, ...]:
    """Every uncertain quantity that has no slider of its own yet."""
    shown = {path for paths in GROUPS.values() for path in paths}
    return tuple(
        path for path, q in scenario.inputs().items() if path not in shown and not q.is_fixed
    )
