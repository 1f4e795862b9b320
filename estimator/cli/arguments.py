"""Options that several commands share; nothing heavy is imported, so that --help stays cheap."""

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
_run = partial(typer.Option, rich_help_panel="What ran; the log may say it")
FASTEST = "default: the fastest that fits"
MODEL_HELP = "Shipped name, Hugging Face id, config.json, or a bare size (7B)."

ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")]
DatasetOption = Annotated[
    Path | None, _data("--dataset", help="File or folder to train on.", metavar="PATH")
]
TokensOption = Annotated[
    float | None, _data("--tokens", help="Tokens of one epoch.", metavar="TOKENS")
]
ExamplesOption = Annotated[
    int | None, _data("--examples", help="Number of examples.", metavar="EXAMPLES", min=1)
]
MeanTokensOption = Annotated[
    float | None,
    _data("--mean-tokens", help="Tokens of an example, on average.", metavar="TOKENS"),
]
TokenizerOption = Annotated[
    str,
    _data(
        "--tokenizer",
        help="tokenizer.json or its folder; default: the model's own, else an estimate.",
        metavar="PATH",
    ),
]
EpochsOption = Annotated[float, _data("--epochs", help="Passes over the data.", metavar="EPOCHS")]
GpuOption = Annotated[
    str,
    _gpus("--gpu", help="One of tuneroi prices --gpus, or this-machine.", metavar="ID"),
]
GpusOption = Annotated[
    int, _gpus("--gpus", help="Number of GPUs.", metavar="GPUS", min=1, max=1_000_000)
]
PriceOption = Annotated[
    float | None,
    _gpus("--price", help="USD per GPU and hour; default: the market's range.", metavar="USD"),
]
TierOption = Annotated[
    Tier,
    _gpus("--tier", help=f"Kind of market price: {', '.join(get_args(Tier))}.", metavar="TIER"),
]
CalibrationOption = Annotated[
    str,
    typer.Option(
        "--calibration",
        help="Own calibration to use, or shipped; default: your newest of this GPU.",
        metavar="FILE",
    ),
]
MethodOption = Annotated[Method, _recipe("--method", help="full, lora or qlora.", metavar="METHOD")]
SequenceLengthOption = Annotated[
    int | None,
    _recipe(
        "--seq-len",
        help="Sequence length; default: 2048, or the model's context if shorter.",
        metavar="TOKENS",
        min=1,
    ),
]
LoraRankOption = Annotated[
    int, _recipe("--lora-rank", help="Rank of the adapters.", metavar="RANK", min=1)
]
MicroBatchOption = Annotated[
    int | None,
    _recipe("--micro-batch", help=f"Sequences at once; {FASTEST}.", metavar="SEQUENCES", min=1),
]
CheckpointingOption = Annotated[
    Checkpointing | None,
    _recipe(
        "--checkpointing",
        help=f"Of activations: none, selective or full; {FASTEST}.",
        metavar="KIND",
    ),
]
ShardingOption = Annotated[
    Sharding | None,
    _recipe(
        "--sharding",
        help=f"Over the GPUs: none, zero1, zero2 or zero3; {FASTEST}.",
        metavar="KIND",
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    _recipe(
        "--precision",
        help="bf16, fp16, fp32 or amp; default: bf16, or fp16 where the GPU lacks it.",
        metavar="KIND",
    ),
]
PackingOption = Annotated[
    bool, _recipe("--packing/--no-packing", help="Let examples share a sequence.")
]
StackOption = Annotated[
    Stack,
    _recipe("--stack", help=f"Training software: {', '.join(get_args(Stack))}.", metavar="NAME"),
]
RunModelOption = Annotated[
    str | None, _run("--model", help=f"What was trained: {MODEL_HELP}", metavar="MODEL")
]
RunGpuOption = Annotated[
    str | None,
    _run("--gpu", help="On which: one of tuneroi prices --gpus, or this-machine.", metavar="ID"),
]
RunGpusOption = Annotated[
    int | None, _run("--gpus", help="How many of them.", min=1, max=1_000_000)
]
RunMethodOption = Annotated[
    Method | None, _run("--method", help="full, lora or qlora.", metavar="METHOD")
]
RunSequenceLengthOption = Annotated[
    int | None,
    _run("--seq-len", help="Mean positions of a sequence, padding included.", min=1),
]
RunMicroBatchOption = Annotated[
    int | None, _run("--micro-batch", help="Sequences at once on a GPU.", min=1)
]
RunAccumulationOption = Annotated[
    int | None, _run("--accumulation", help="Micro-batches per optimizer step.", min=1)
]
RunCheckpointingOption = Annotated[
    Checkpointing | None,
    _run("--checkpointing", help="Of activations: none, selective or full.", metavar="KIND"),
]
RunShardingOption = Annotated[
    Sharding | None,
    _run("--sharding", help="Over the GPUs: none, zero1, zero2 or zero3.", metavar="KIND"),
]
RunStackOption = Annotated[
    Stack | None,
    _run(
        "--stack",
        help=f"{', '.join(get_args(Stack))}; default: what writes such logs.",
        metavar="NAME",
    ),
]
TensorParallelOption = Annotated[
    int, _run("--tensor-parallel", help="GPUs that split each matrix.", min=1)
]
PipelineParallelOption = Annotated[
    int, _run("--pipeline-parallel", help="GPUs that split the layers.", min=1)
]
ContextParallelOption = Annotated[
    int, _run("--context-parallel", help="GPUs that split each sequence.", min=1)
]
BaseCalibrationOption = Annotated[
    str,
    typer.Option(
        "--calibration",
        help="What the runs shift: shipped, or an own calibration of this GPU.",
        metavar="FILE",
    ),
]
OfflineOption = Annotated[
    bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
