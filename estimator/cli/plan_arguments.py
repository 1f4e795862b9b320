"""Options of `tuneroi plan` alone; nothing heavy is imported here."""

from functools import partial
from typing import Annotated, Literal

import typer

from estimator.cli.arguments import METHOD_HELP, STACK_HELP, count, offers, recipe

Objective = Literal["cost", "time", "both"]
_limits = partial(typer.Option, rich_help_panel="Limits, and what counts")
_output = partial(typer.Option, rich_help_panel="Output")

DeadlineOption = Annotated[
    str, _limits("--deadline", help="Longest time, such as 24h, 2d or 90m.", metavar="TIME")
]
BudgetOption = Annotated[float | None, _limits("--budget", help="Most dollars.", metavar="USD")]
ObjectiveOption = Annotated[
    Objective, _limits("--objective", help="cost, time or both.", metavar="WHAT")
]
SureOption = Annotated[
    float,
    _limits("--sure", help="Chance with which limits must hold, 0.5 to 0.9.", metavar="SHARE"),
]
SearchRunsOption = Annotated[
    float, _limits("--search-runs", help="Runs before the final one.", metavar="RUNS")
]
FailedRunFactorOption = Annotated[
    float,
    _limits("--failed-run-factor", help="GPU hours paid over hours used.", metavar="FACTOR"),
]
EvaluationTokensOption = Annotated[
    float,
    _limits(
        "--evaluation-tokens",
        help="Tokens evaluated in each run: 2M.",
        metavar="TOKENS",
        parser=count,
    ),
]

MaxGpusOption = Annotated[int, offers("--max-gpus", help="Most GPUs.", metavar="GPUS", min=1)]
OnlyRegionsOption = Annotated[
    list[str] | None,
    offers("--region", help="Only regions with this in the name; again for more.", metavar="TEXT"),
]
SpotOption = Annotated[
    bool, offers("--spot/--no-spot", help="Allow machines that may be taken away.")
]

MethodsOption = Annotated[
    list[str] | None,
    recipe("--method", help=f"{METHOD_HELP}; again for more.", metavar="METHOD"),
]
StacksOption = Annotated[
    list[str] | None, recipe("--stack", help=f"{STACK_HELP}; again for more.", metavar="NAME")
]
Fp8Option = Annotated[
    bool, recipe("--fp8", help="Try products in FP8 where GPU and software have them.")
]
OffloadOption = Annotated[bool, recipe("--offload", help="Try keeping states in CPU memory.")]
GlobalBatchOption = Annotated[
    str,
    recipe(
        "--global-batch",
        help="Sequences of an optimizer step, or tokens with a t: 32:128 or 64000t:256000t.",
        metavar="MIN:MAX",
    ),
]
HeadroomOption = Annotated[
    float, recipe("--headroom", help="Share of memory to leave free.", metavar="SHARE")
]

WhyNotOption = Annotated[
    str, _output("--why-not", help="Say why this offer is not the one.", metavar="OFFER")
]
TopOption = Annotated[
    int, _output("--top", help="Offers to list beside the front.", metavar="N", min=1)
]
LaunchOption = Annotated[
    bool, _output("--launch", help="Print what runs the first plan: files and command.")
]
