"""`tuneroi trace`: peaks of real training steps of the real model classes, without a GPU."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Method = Literal["full", "lora"]
Checkpointing = Literal["none", "full"]
Weights = Literal["bf16", "fp16", "fp32"]
Attention = Literal["sdpa", "eager"]
METHODS: tuple[Method, ...] = ("full", "lora")
CHECKPOINTING: tuple[Checkpointing, ...] = ("none", "full")


def trace(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Shipped names, Hugging Face ids, or config.json files.", metavar="MODEL..."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Write there; each config.json goes beside it.", metavar="FILE.csv"
        ),
    ],
    method: Annotated[
        Method | None,
        typer.Option("--method", help="full or lora; default: both.", metavar="METHOD"),
    ] = None,
    checkpointing: Annotated[
        Checkpointing | None,
        typer.Option("--checkpointing", help="none or full; default: both.", metavar="KIND"),
    ] = None,
    weights_dtype: Annotated[
        Weights | None,
        typer.Option(
            "--weights-dtype", help="bf16, fp16 or fp32 [bf16; fp32 with --amp].", metavar="TYPE"
        ),
    ] = None,
    amp: Annotated[bool, typer.Option("--amp", help="Run under bf16 autocast.")] = False,
    attention: Annotated[
        Attention, typer.Option("--attention", help="sdpa or eager.", metavar="KERNEL")
    ] = "sdpa",
    micro_batch: Annotated[
        int, typer.Option("--micro-batch", help="Sequences.", metavar="N", min=1, max=65_536)
    ] = 1,
    seq_len: Annotated[
        int, typer.Option("--seq-len", help="Tokens of each.", metavar="TOKENS", min=2)
    ] = 512,
    lora_rank: Annotated[
        int, typer.Option("--lora-rank", help="Rank of the adapters.", metavar="RANK", min=1)
    ] = 16,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Trace training steps under fake tensors and compare their peaks with the closed form."""
    from itertools import product

    from estimator.cli.options import stay_offline
    from estimator.cli.show import print_json, print_parts, working
    from estimator.errors import InputError
    from estimator.report.validation import trace_parts, validation_dict
    from estimator.training.trace import TraceCase
    from estimator.validation.traces import validate_traces
    from estimator.validation.tracing import config_of, trace_models, write_traces

    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first")
    if offline:
        stay_offline()
    cases = [
        TraceCase(
            method=how,
            checkpointing=kind == "full",
            weights_dtype=weights_dtype or ("fp32" if amp else "bf16"),
            amp=amp,
            attention=attention,
            micro_batch=micro_batch,
            sequence_length=seq_len,
            lora_rank=lora_rank,
        )
        for how, kind in product(
            (method,) if method else METHODS,
            (checkpointing,) if checkpointing else CHECKPOINTING,
        )
    ]
    configs = {name: config_of(name, offline=offline) for name in models}
    with working(f"tracing {len(configs) * len(cases)} training steps"):
        traced, failed = trace_models(configs, cases)
    write_traces(out, traced)
    found = validate_traces(out)
    if as_json:
        print_json({"file": str(out), "not_traced": failed, **validation_dict(found)})
    else:
        print_parts(trace_parts(found, str(out), failed))
