"""Options of `tuneroi serve` alone; nothing heavy is imported here."""

from functools import partial
from typing import Annotated, Literal

import typer

from estimator.cli.arguments import count, offers

# The programs of `serving.json` that serve many requests at once, written again because --help
# must not import them; a test holds them equal.
ServingProgram = Literal["vllm", "sglang", "tensorrt-llm", "lmdeploy"]
_load = partial(typer.Option, rich_help_panel="Load")
_limits = partial(typer.Option, rich_help_panel="What users accept")
_model = partial(typer.Option, rich_help_panel="Model and program")
_fleet = partial(typer.Option, rich_help_panel="How the fleet is run")

RequestsOption = Annotated[
    float,
    _load("--requests-per-month", help="Requests a month: 2M, 500k.", metavar="N", parser=count),
]
InputTokensOption = Annotated[
    float,
    _load("--input-tokens", help="Tokens of a prompt, on average.", metavar="TOKENS", parser=count),
]
OutputTokensOption = Annotated[
    float,
    _load(
        "--output-tokens", help="Tokens of an answer, on average.", metavar="TOKENS", parser=count
    ),
]
PeakFactorOption = Annotated[
    float | None,
    _load(
        "--peak-factor",
        help="Busiest hour over the mean of the day; default: the sourced assumption.",
        metavar="FACTOR",
    ),
]
DiurnalOption = Annotated[
    str,
    _load(
        "--diurnal",
        help="Load of each of the 24 hours, with commas, in any unit.",
        metavar="LOADS",
    ),
]
CachedShareOption = Annotated[
    float, _load("--cached-share", help="Share of each prompt that a prefix cache holds.", min=0)
]

TtftOption = Annotated[
    float, _limits("--ttft", help="Longest mean time to the first token, s.", metavar="SECONDS")
]
TpotOption = Annotated[
    float, _limits("--tpot", help="Longest mean time per output token, s.", metavar="SECONDS")
]
WaitShareOption = Annotated[
    float, _limits("--wait-share", help="Share of requests at the peak that may wait for a place.")
]

WeightsOption = Annotated[
    str,
    _model(
        "--precision",
        "--quantisation",
        "--quantization",
        help="Weights: bf16, fp8, int8, int4 or fp4.",
        metavar="FORMAT",
    ),
]
ProgramOption = Annotated[
    ServingProgram,
    _model("--program", help="vllm, sglang, tensorrt-llm or lmdeploy.", metavar="NAME"),
]
AdaptersOption = Annotated[
    int, _model("--adapters", help="LoRA adapters beside one base model.", min=0)
]
AdapterRankOption = Annotated[int, _model("--adapter-rank", help="Their rank.", min=1)]

RedundancyOption = Annotated[
    int, _fleet("--redundancy", help="Spare replicas, so that as many may fail.", min=0)
]
AutoscaleOption = Annotated[
    bool, _fleet("--autoscale/--no-autoscale", help="Let replicas follow the hours of the day.")
]
ScaleToZeroOption = Annotated[
    bool,
    _fleet("--scale-to-zero", help="Stop the last replica after 5 minutes without a request."),
]
ApiOption = Annotated[
    list[str] | None,
    offers(
        "--api",
        help="Compare with this token price too; again for more.",
        metavar="PROVIDER:MODEL",
    ),
]
