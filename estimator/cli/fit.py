"""`tuneroi fit`: which ways to train a model fit on a card, and what would make the others fit."""

from typing import Annotated, Literal

import typer

Method = Literal["full", "lora", "qlora"]
Checkpointing = Literal["none", "selective", "full"]
Precision = Literal["bf16", "fp16", "fp32", "amp"]


def fit(
    model: Annotated[
        str,
        typer.Argument(
            help="Shipped name, Hugging Face id, config.json, or a bare size (7B).",
            metavar="MODEL",
        ),
    ],
    gpu: Annotated[str, typer.Option("--gpu", help="One of tuneroi prices --gpus.", metavar="ID")],
    gpus: Annotated[
        int, typer.Option("--gpus", help="Number of GPUs.", metavar="GPUS", min=1, max=1_000_000)
    ] = 1,
    method: Annotated[
        Method | None,
        typer.Option("--method", help="full, lora or qlora; default: all.", metavar="METHOD"),
    ] = None,
    seq_len: Annotated[
        int,
        typer.Option("--seq-len", help="Sequence length.", metavar="TOKENS", min=1, max=10_000_000),
    ] = 2048,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            "--micro-batch",
            help="Sequences at once that must fit; default: as many as fit.",
            metavar="SEQUENCES",
            min=1,
            max=65_536,
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="bf16, fp16, fp32 or amp.", metavar="KIND"),
    ] = None,
    checkpointing: Annotated[
        Checkpointing | None,
        typer.Option(
            "--checkpointing",
            help="none, selective or full; default: none and full.",
            metavar="KIND",
        ),
    ] = None,
    lora_rank: Annotated[
        int,
        typer.Option(
            "--lora-rank", help="Rank of the adapters.", metavar="RANK", min=1, max=65_536
        ),
    ] = 16,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show which methods fit on a card, with which micro-batch, and what would make others fit."""
    from estimator.cli.options import stay_offline
    from estimator.cli.show import print_json, print_parts, working
    from estimator.hardware.cluster import Cluster
    from estimator.llm.resolve import resolve_model
    from estimator.report.fit import fit_dict, fit_parts, fit_report
    from pricing import gpu_spec

    if offline:
        stay_offline()
    cluster = Cluster.of(gpu_spec(gpu), gpus)
    methods: tuple[Method, ...] = (method,) if method else ("full", "lora", "qlora")
    if precision in ("fp32", "amp") and method is None:
        methods = ("full", "lora")  # 4-bit bases compute in 16 bits
    with working(f"looking for {model}"):
        resolved = resolve_model(model, offline=offline)
    with working("estimating"):
        report = fit_report(
            resolved,
            cluster,
            sequence_length=seq_len,
            lora_rank=lora_rank,
            methods=methods,
            precision=precision,
            checkpointing=checkpointing,
            micro_batch=micro_batch,
        )
    if as_json:
        print_json(fit_dict(report))
    else:
        print_parts(fit_parts(report))
