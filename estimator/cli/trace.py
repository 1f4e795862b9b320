"""`tuneroi trace`: peaks of real training steps of the real model classes, without a GPU."""

from itertools import product
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from estimator.cli import arguments as given

Method = Literal["full", "lora"]
Checkpointing = Literal["none", "full"]
Weights = Literal["bf16", "fp16", "fp32"]
Attention = Literal["sdpa", "eager"]

ModelsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Shipped names, Hugging Face ids, or config.json files.", metavar="MODEL..."
    ),
]
TracesOption = Annotated[
    Path,
    typer.Option(
        "--out", "-o", help="Write there; each config.json goes beside it.", metavar="FILE.csv"
    ),
]
TracedMethodOption = Annotated[
    Method | None, given.recipe("--method", help="full or lora; default: both.", metavar="METHOD")
]
TracedCheckpointingOption = Annotated[
    Checkpointing | None,
    given.recipe("--checkpointing", help="none or full; default: both.", metavar="KIND"),
]
WeightsOption = Annotated[
    Weights | None,
    given.recipe(
        "--weights-dtype", help="bf16, fp16 or fp32 [bf16; fp32 with --amp].", metavar="TYPE"
    ),
]
AmpOption = Annotated[bool, given.recipe("--amp", help="Run under bf16 autocast.")]
TracedAttentionOption = Annotated[
    Attention, given.recipe("--attention", help="sdpa or eager.", metavar="KERNEL")
]


def trace(
    models: ModelsArgument,
    out: TracesOption,
    method: TracedMethodOption = None,
    checkpointing: TracedCheckpointingOption = None,
    weights_dtype: WeightsOption = None,
    amp: AmpOption = False,
    attention: TracedAttentionOption = "sdpa",
    micro_batch: given.StepMicroBatchOption = 1,
    seq_len: given.StepLengthOption = 512,
    lora_rank: given.LoraRankOption = 16,
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Trace training steps under fake tensors and compare their peaks with the closed form."""
    from estimator.cli.show import print_result, working
    from estimator.errors import InputError
    from estimator.llm.resolve import config_of
    from estimator.report.validation import trace_parts, validation_dict
    from estimator.training.trace import TraceCase
    from estimator.validation.traces import validate_traces
    from estimator.validation.tracing import trace_models, write_traces

    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first")
    methods = (method,) if method else get_args(Method)
    kinds = (checkpointing,) if checkpointing else get_args(Checkpointing)
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
        for how, kind in product(methods, kinds)
    ]
    configs = {name: config_of(name, offline=offline) for name in models}
    with working(f"tracing {len(configs) * len(cases)} training steps"):
        traced, failed = trace_models(configs, cases)
    write_traces(out, traced)
    found = validate_traces(out)
    print_result(
        lambda: {"file": str(out), "not_traced": failed, **validation_dict(found)},
        lambda: trace_parts(found, str(out), failed),
        as_json=as_json,
    )
