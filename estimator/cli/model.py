"""`tuneroi model`: parameters and FLOPs of a model, and what an adapter would train."""

from typing import Annotated, Literal, get_args

import typer

Method = Literal[
    "full", "lora", "rslora", "qlora", "dora", "ia3", "prompt", "layernorm", "last_layers"
]


def model(
    name: Annotated[
        str,
        typer.Argument(
            help="Shipped name, Hugging Face id, config.json or its folder, or a bare size (7B).",
            metavar="NAME",
        ),
    ],
    seq_len: Annotated[
        int | None,
        typer.Option(
            "--seq-len",
            help="Sequence length; default: 2048, or the model's context if shorter.",
            metavar="TOKENS",
            min=1,
        ),
    ] = None,
    method: Annotated[
        Method | None,
        typer.Option(
            "--method",
            help=f"Count what it trains: {', '.join(get_args(Method))}.",
            metavar="METHOD",
        ),
    ] = None,
    lora_rank: Annotated[
        int | None,
        typer.Option("--lora-rank", help="Rank of LoRA and its kin [16].", metavar="RANK"),
    ] = None,
    targets: Annotated[
        str,
        typer.Option(
            "--targets",
            help="Adapted matrices: all-linear [default], or names such as q_proj,v_proj.",
            metavar="NAMES",
        ),
    ] = "",
    trace: Annotated[
        bool,
        typer.Option(
            "--trace", help="Run a real training step under fake tensors beside the closed form."
        ),
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Count a model's parameters and FLOPs per token, exactly, and what an adapter trains."""
    from estimator.cli.options import sequence_length, stay_offline
    from estimator.cli.show import print_json, print_parts, working
    from estimator.errors import InputError
    from estimator.llm.adapters import ALL_LINEAR, AdapterSpec
    from estimator.llm.resolve import resolve_model
    from estimator.report.model import (
        TracedStep,
        model_dict,
        model_parts,
        model_report,
        trace_cases,
        trace_steps,
    )
    from estimator.validation.tracing import config_of

    if offline:
        stay_offline()
    adapter = None
    if method != "full" and (method or lora_rank is not None or targets):
        names = tuple(part.strip() for part in targets.split(",") if part.strip())
        adapter = AdapterSpec(
            method=method or "lora",
            rank=16 if lora_rank is None else lora_rank,
            targets=ALL_LINEAR if names in ((), (ALL_LINEAR,)) else names,
        )
    elif lora_rank is not None or targets:
        raise InputError("--lora-rank and --targets are of adapters; --method full trains all")
    with working(f"looking for {name}"):
        resolved = resolve_model(name, offline=offline, check=True)
    length = sequence_length(seq_len, resolved)
    traced: tuple[TracedStep, ...] = ()
    if trace:
        cases = trace_cases(adapter, sequence_length=length)
        with working(f"tracing {len(cases)} training steps"):
            config = config_of(name, offline=offline)
            traced = trace_steps(config, resolved.architecture, cases)
    report = model_report(resolved, sequence_length=length, adapter=adapter, traced=traced)
    if as_json:
        print_json(model_dict(report))
    else:
        print_parts(model_parts(report))
