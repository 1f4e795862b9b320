"""`tuneroi serve`: what serving a model costs on every suitable offer, beside hosted ways."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from estimator.cli.arguments import MODEL_HELP, JsonOption, OfflineOption

# The programs of `serving.json` that serve many requests at once, written again because --help
# must not import them; a test holds them equal.
ServingProgram = Literal["vllm", "sglang", "tensorrt-llm", "lmdeploy"]

_load = partial(typer.Option, rich_help_panel="Load")
_limits = partial(typer.Option, rich_help_panel="What users accept")
_model = partial(typer.Option, rich_help_panel="Model and program")
_fleet = partial(typer.Option, rich_help_panel="How the fleet is run")
_offers = partial(typer.Option, rich_help_panel="Offers")
IDLE_SECONDS_TO_ZERO = 300.0
COUNT = re.compile(r"([0-9][0-9_,]*\.?[0-9]*(?:e\+?[0-9]+)?)\s*([kmb]?)", re.IGNORECASE)
SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


def serve(
    model: Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")],
    requests: Annotated[
        str, _load("--requests-per-month", help="Requests a month: 2M, 500k.", metavar="N")
    ],
    input_tokens: Annotated[
        str, _load("--input-tokens", help="Tokens of a prompt, on average.", metavar="TOKENS")
    ],
    output_tokens: Annotated[
        str, _load("--output-tokens", help="Tokens of an answer, on average.", metavar="TOKENS")
    ],
    peak_factor: Annotated[
        float | None,
        _load(
            "--peak-factor",
            help="Busiest hour over the mean of the day; default: the sourced assumption.",
            metavar="FACTOR",
        ),
    ] = None,
    diurnal: Annotated[
        str,
        _load(
            "--diurnal",
            help="Load of each of the 24 hours, with commas, in any unit.",
            metavar="LOADS",
        ),
    ] = "",
    cached_share: Annotated[
        float,
        _load("--cached-share", help="Share of each prompt that a prefix cache holds.", min=0),
    ] = 0.0,
    ttft: Annotated[
        float, _limits("--ttft", help="Longest mean time to the first token, s.", metavar="SECONDS")
    ] = 2.0,
    tpot: Annotated[
        float, _limits("--tpot", help="Longest mean time per output token, s.", metavar="SECONDS")
    ] = 0.1,
    wait_probability: Annotated[
        float,
        _limits("--wait-share", help="Share of requests at the peak that may wait for a place."),
    ] = 0.05,
    weights: Annotated[
        str,
        _model(
            "--precision",
            "--quantisation",
            "--quantization",
            help="Weights: bf16, fp8, int8, int4 or fp4.",
            metavar="FORMAT",
        ),
    ] = "bf16",
    program: Annotated[
        ServingProgram,
        _model("--program", help="vllm, sglang, tensorrt-llm or lmdeploy.", metavar="NAME"),
    ] = "vllm",
    adapters: Annotated[
        int, _model("--adapters", help="LoRA adapters beside one base model.", min=0)
    ] = 0,
    adapter_rank: Annotated[int, _model("--adapter-rank", help="Their rank.", min=1)] = 16,
    redundancy: Annotated[
        int, _fleet("--redundancy", help="Spare replicas, so that as many may fail.", min=0)
    ] = 1,
    autoscale: Annotated[
        bool, _fleet("--autoscale/--no-autoscale", help="Let replicas follow the hours of the day.")
    ] = False,
    scale_to_zero: Annotated[
        bool,
        _fleet("--scale-to-zero", help="Stop the last replica after 5 minutes without a request."),
    ] = False,
    gpus: Annotated[
        list[str] | None, _offers("--gpu", help="Only this GPU; may be repeated.", metavar="ID")
    ] = None,
    provider: Annotated[
        str, _offers("--provider", help="Only this provider.", metavar="NAME")
    ] = "",
    tiers: Annotated[
        list[str] | None,
        _offers(
            "--tier",
            help="Kind of price; may be repeated; default: on_demand.",
            metavar="TIER",
        ),
    ] = None,
    api: Annotated[
        list[str] | None,
        _offers(
            "--api",
            help="Compare with this token price too; may be repeated.",
            metavar="PROVIDER:MODEL",
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        _offers("--prices", help="Your contract's prices, for this once.", metavar="FILE"),
    ] = None,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Plan serving: GPUs, replicas, latency, use and cost on every offer, beside hosted ways."""

    import pricing
    from estimator.cli.options import stay_offline
    from estimator.cli.show import print_json, print_parts, working
    from estimator.errors import InfeasiblePlan
    from estimator.llm.resolve import resolve_model
    from estimator.report.serving import serving_dict, serving_parts
    from estimator.serving.need import ServingNeed
    from estimator.serving.plan import plan_serving
    from estimator.serving.rivals import rivals
    from pricing.offers import matching_offers

    if offline:
        stay_offline()
    from pricing import dates

    today = dates.today()
    day, peak = _day(diurnal, peak_factor)
    need = ServingNeed(
        requests_per_month=count("--requests-per-month", requests),
        input_tokens=count("--input-tokens", input_tokens),
        output_tokens=count("--output-tokens", output_tokens),
        ttft_seconds=ttft,
        tpot_seconds=tpot,
        peak_to_mean=peak,
        day=day,
        cached_share=cached_share,
        adapters=adapters,
        adapter_rank=adapter_rank,
        redundancy=redundancy,
        autoscale=autoscale,
        idle_seconds_to_zero=IDLE_SECONDS_TO_ZERO if scale_to_zero else None,
        wait_probability=wait_probability,
    )
    files = pricing.own_price_files(prices)
    offers = matching_offers(
        gpus=[pricing.gpu_spec(name).id for name in gpus] if gpus else None,
        tiers=tiers or ["on_demand"],
        provider=provider,
        offers=pricing.load_offers(files),
    )
    _some(offers)
    with working(f"looking for {model}"):
        found = resolve_model(model, offline=offline)
    with working("planning"):
        plan = plan_serving(found.architecture, need, offers, weights=weights, program=program)
        others = rivals(plan, found.architecture, files=files, on=today, also=_named(api or []))
    if as_json:
        print_json(serving_dict(plan, others, found.notes, today))
    else:
        print_parts(serving_parts(plan, others, found.notes, today))
    if not plan.options:
        raise InfeasiblePlan(
            f"none of {len(plan.refused)} offers can serve it; {plan.refused[0].offer.id} "
            f"{plan.refused[0].reason}; loosen --ttft or --tpot, or choose --precision fp8 or int4"
        )


def count(option: str, text: str) -> float:
    """A number as people write it: 2M, 500k, 1_000_000, 1.5e6."""
    from estimator.errors import InputError

    found = COUNT.fullmatch(text.strip())
    if found is None:
        raise InputError(f"{option} {text}: allowed: a number such as 800, 500k, 2M or 1.5B")
    return float(found[1].replace(",", "").replace("_", "")) * SCALES[found[2].casefold()]


def _day(diurnal: str, peak_factor: float | None) -> tuple[tuple[float, ...], float]:
    """The loads of a day, if given, and the busiest hour over the mean."""
    import pricing
    from estimator.errors import InputError

    if not diurnal:
        assumed = pricing.assumption("demand.peak_to_mean").median()
        return (), assumed if peak_factor is None else peak_factor
    if peak_factor is not None:
        raise InputError("--peak-factor and --diurnal exclude each other; give one")
    try:
        day = tuple(float(hour) for hour in diurnal.split(","))
    except ValueError:
        raise InputError(f"--diurnal {diurnal}: allowed: 24 numbers with commas") from None
    mean = sum(day) / len(day)
    return day, max(day) / mean if mean > 0 else 1.0


def _some(offers: tuple[object, ...]) -> None:
    from estimator.errors import InputError

    if not offers:
        raise InputError(
            "no offer has this GPU, provider and tier; tuneroi prices --gpus lists GPUs, and "
            "--tier may be repeated"
        )


def _named(api: list[str]) -> list[tuple[str, str]]:
    """Providers and models of PROVIDER:MODEL."""
    from estimator.errors import InputError

    pairs = [name.partition(":") for name in api]
    for name, (provider, _, model) in zip(api, pairs, strict=True):
        if not (provider and model):
            raise InputError(f"--api {name}: allowed: PROVIDER:MODEL, such as openai:gpt-4.1-mini")
    return [(provider, model) for provider, _, model in pairs]
