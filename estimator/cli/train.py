"""`tuneroi train`: memory, speed, hours and cost of one fine-tuning run, as ranges."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

# The choices of `TrainingRecipe` and `pricing.offers`, written again because --help must not
# import either; a test holds them equal.
Method = Literal["full", "lora", "qlora"]
Checkpointing = Literal["none", "selective", "full"]
Sharding = Literal["none", "zero1", "zero2", "zero3"]
Precision = Literal["bf16", "fp16", "fp32", "amp"]
Stack = Literal[
    "huggingface", "huggingface_fused", "torchtune", "deepspeed", "megatron", "vendor_tuned"
]
Tier = Literal[
    "on_demand", "spot", "reserved_1y", "reserved_3y", "capacity_block", "community", "serverless"
]

_data = partial(typer.Option, rich_help_panel="Data: one of the three ways")
_gpus = partial(typer.Option, rich_help_panel="GPUs and their price")
_recipe = partial(typer.Option, rich_help_panel="Recipe")
FASTEST = "default: the fastest that fits"


def train(
    model: Annotated[
        str,
        typer.Argument(
            help="Shipped name, Hugging Face id, config.json, or a bare size (7B).",
            metavar="MODEL",
        ),
    ],
    dataset: Annotated[
        Path | None, _data("--dataset", help="File or folder to train on.", metavar="PATH")
    ] = None,
    tokens: Annotated[
        float | None, _data("--tokens", help="Tokens of one epoch.", metavar="TOKENS")
    ] = None,
    examples: Annotated[
        int | None, _data("--examples", help="Number of examples.", metavar="EXAMPLES", min=1)
    ] = None,
    mean_tokens: Annotated[
        float | None,
        _data("--mean-tokens", help="Tokens of an example, on average.", metavar="TOKENS"),
    ] = None,
    tokenizer: Annotated[
        str,
        _data(
            "--tokenizer",
            help="tokenizer.json or its folder; default: the model's own, else an estimate.",
            metavar="PATH",
        ),
    ] = "",
    epochs: Annotated[
        float, _data("--epochs", help="Passes over the data.", metavar="EPOCHS")
    ] = 3.0,
    gpu: Annotated[
        str, _gpus("--gpu", help="One of tuneroi prices --gpus.", metavar="ID")
    ] = "h100-sxm5-80gb",
    gpus: Annotated[
        int, _gpus("--gpus", help="Number of GPUs.", metavar="GPUS", min=1, max=1_000_000)
    ] = 1,
    price: Annotated[
        float | None,
        _gpus("--price", help="USD per GPU and hour; default: the market's range.", metavar="USD"),
    ] = None,
    tier: Annotated[
        Tier,
        _gpus("--tier", help=f"Kind of market price: {', '.join(get_args(Tier))}.", metavar="TIER"),
    ] = "on_demand",
    method: Annotated[
        Method, _recipe("--method", help="full, lora or qlora.", metavar="METHOD")
    ] = "lora",
    seq_len: Annotated[
        int | None,
        _recipe(
            "--seq-len",
            help="Sequence length; default: 2048, or the model's context if shorter.",
            metavar="TOKENS",
            min=1,
        ),
    ] = None,
    lora_rank: Annotated[
        int, _recipe("--lora-rank", help="Rank of the adapters.", metavar="RANK", min=1)
    ] = 16,
    micro_batch: Annotated[
        int | None,
        _recipe("--micro-batch", help=f"Sequences at once; {FASTEST}.", metavar="SEQUENCES", min=1),
    ] = None,
    checkpointing: Annotated[
        Checkpointing | None,
        _recipe(
            "--checkpointing",
            help=f"Of activations: none, selective or full; {FASTEST}.",
            metavar="KIND",
        ),
    ] = None,
    sharding: Annotated[
        Sharding | None,
        _recipe(
            "--sharding",
            help=f"Over the GPUs: none, zero1, zero2 or zero3; {FASTEST}.",
            metavar="KIND",
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        _recipe(
            "--precision",
            help="bf16, fp16, fp32 or amp; default: bf16, or fp16 where the GPU lacks it.",
            metavar="KIND",
        ),
    ] = None,
    packing: Annotated[
        bool, _recipe("--packing/--no-packing", help="Let examples share a sequence.")
    ] = True,
    stack: Annotated[
        Stack,
        _recipe(
            "--stack", help=f"Training software: {', '.join(get_args(Stack))}.", metavar="NAME"
        ),
    ] = "huggingface",
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Estimate one fine-tuning run: does it fit, how long does it take, what does it cost?"""
    from datetime import UTC, datetime

    from estimator.cli.options import (
        given_dataset,
        given_price,
        positive,
        sequence_length,
        stay_offline,
        tokenizer_of,
    )
    from estimator.cli.show import print_json, print_parts, working
    from estimator.errors import InfeasiblePlan
    from estimator.hardware.cluster import Cluster
    from estimator.llm.resolve import resolve_model
    from estimator.quantity import Quantity
    from estimator.report.training import training_dict, training_parts
    from estimator.training.job import plan_job
    from estimator.training.wish import RecipeWish
    from pricing import gpu_spec

    if offline:
        stay_offline()
    cluster = Cluster.of(gpu_spec(gpu), gpus)
    usd = given_price(price, cluster.gpu.id, tier)
    passes = Quantity(value=positive("--epochs", epochs), unit="epochs")
    with working(f"looking for {model}"):
        resolved = resolve_model(model, offline=offline)
    data = given_dataset(
        dataset, tokens, examples, mean_tokens, tokenizer or tokenizer_of(resolved)
    )
    wish = RecipeWish(
        method=method,
        sequence_length=sequence_length(seq_len, resolved),
        lora_rank=lora_rank,
        stack=stack,
        packing=packing,
        micro_batch=micro_batch,
        checkpointing=checkpointing,
        sharding=sharding,
        precision=precision,
    )
    with working("estimating"):
        estimate = plan_job(
            resolved.architecture,
            data,
            cluster,
            wish,
            epochs=passes,
            price_usd_per_gpu_hour=usd,
        )
    today = datetime.now(tz=UTC).date()
    if as_json:
        print_json(training_dict(estimate, resolved.notes, today))
    if estimate.run is None:
        raise InfeasiblePlan(estimate.refusal)
    if not as_json:
        print_parts(training_parts(estimate, estimate.run, resolved.notes, today))
