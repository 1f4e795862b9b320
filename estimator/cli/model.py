"""`tuneroi model`: parameters and FLOPs of a model, and what an adapter would train."""

from typing import TYPE_CHECKING, Annotated, Literal, get_args

import typer

from estimator.cli import arguments as given

if TYPE_CHECKING:
    from estimator.llm.adapters import AdapterSpec
    from estimator.llm.resolve import ResolvedModel
    from estimator.report.model import TracedStep

Method = Literal[
    "full", "lora", "rslora", "qlora", "dora", "ia3", "prompt", "layernorm", "last_layers"
]
AnyMethodOption = Annotated[
    Method | None,
    given.recipe(
        "--method", help=f"Count what it trains: {', '.join(get_args(Method))}.", metavar="METHOD"
    ),
]
AnyRankOption = Annotated[
    int | None,
    given.recipe("--lora-rank", help="Rank of the adapters; default: 16.", metavar="RANK"),
]
TargetsOption = Annotated[
    str,
    given.recipe(
        "--targets",
        help="Adapted matrices: all-linear [default], or names such as q_proj,v_proj.",
        metavar="NAMES",
    ),
]
TraceOption = Annotated[
    bool,
    typer.Option(
        "--trace", help="Run a real training step under fake tensors beside the closed form."
    ),
]


def model(
    name: given.ModelArgument,
    seq_len: given.SequenceLengthOption = None,
    method: AnyMethodOption = None,
    lora_rank: AnyRankOption = None,
    targets: TargetsOption = "",
    trace: TraceOption = False,
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Count a model's parameters and FLOPs per token, exactly, and what an adapter trains."""
    from estimator.cli.options import sequence_length
    from estimator.cli.show import print_result, working
    from estimator.llm.resolve import resolve_model
    from estimator.report.model import model_dict, model_parts, model_report

    adapter = _adapter(method, lora_rank, targets)
    with working(f"looking for {name}"):
        resolved = resolve_model(name, offline=offline, check=True)
    length = sequence_length(seq_len, resolved)
    traced = _traced(name, resolved, adapter, length, offline=offline) if trace else ()
    report = model_report(resolved, sequence_length=length, adapter=adapter, traced=traced)
    print_result(lambda: model_dict(report), lambda: model_parts(report), as_json=as_json)


def _adapter(method: Method | None, rank: int | None, targets: str) -> "AdapterSpec | None":
    """The adapter that was asked for; None where none was, or all is trained."""
    from estimator.errors import InputError
    from estimator.llm.adapters import ALL_LINEAR, AdapterSpec

    if method != "full" and (method or rank is not None or targets):
        names = tuple(part.strip() for part in targets.split(",") if part.strip())
        return AdapterSpec(
            method=method or "lora",
            rank=16 if rank is None else rank,
            targets=ALL_LINEAR if names in ((), (ALL_LINEAR,)) else names,
        )
    if rank is not None or targets:
        raise InputError("--lora-rank and --targets are of adapters; --method full trains all")
    return None


def _traced(
    name: str,
    resolved: "ResolvedModel",
    adapter: "AdapterSpec | None",
    sequence_length: int,
    *,
    offline: bool,
) -> "tuple[TracedStep, ...]":
    """Real training steps of the model under fake tensors."""
    from estimator.cli.show import working
    from estimator.llm.resolve import config_of
    from estimator.report.model import trace_cases, trace_steps

    cases = trace_cases(adapter, sequence_length=sequence_length)
    with working(f"tracing {len(cases)} training steps"):
        return trace_steps(config_of(name, offline=offline), resolved.architecture, cases)
