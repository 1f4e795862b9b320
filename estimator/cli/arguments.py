"""Arguments and options that several commands share; nothing heavy is imported here.

A module `*_arguments.py` declares what can be typed; a module `*_options.py` turns it into what
the core takes, and imports it.
"""

import os
import re
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

COUNT = re.compile(r"([0-9][0-9_,]*\.?[0-9]*(?:e\+?[0-9]+)?)\s*([kmb]?)", re.IGNORECASE)
SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
FASTEST = "default: the fastest that fits"
CHECKPOINTING_HELP = "Of activations: none, selective or full"
METHOD_HELP = "full, lora or qlora"
MODEL_HELP = "Shipped name, Hugging Face id, config.json, or a bare size (7B)."
SHARDING_HELP = "Over the GPUs: none, zero1, zero2 or zero3"
STACK_HELP = f"Training software: {', '.join(get_args(Stack))}"


def count(typed: str | float) -> float:
    """A number of tokens or requests as people write it: 2M, 500k, 1_000_000, 1.5e6."""
    if isinstance(typed, float | int):  # the default of an option
        return typed
    found = COUNT.fullmatch(typed.strip())
    if found is None:
        raise ValueError("allowed: a number such as 800, 500k, 2M or 1.5B")
    return float(found[1].replace(",", "").replace("_", "")) * SCALES[found[2].casefold()]


def _stay_offline(offline: bool) -> bool:
    """Keep every library off the hub, in the way that they all understand."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    return offline


data = partial(typer.Option, rich_help_panel="Data: one of the three ways")
gpus = partial(typer.Option, rich_help_panel="GPUs and their price")
offers = partial(typer.Option, rich_help_panel="Offers")
recipe = partial(typer.Option, rich_help_panel="Recipe")

ModelArgument = Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")]
OfflineOption = Annotated[
    bool,
    typer.Option("--offline", help="Do not look on the Hugging Face hub.", callback=_stay_offline),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CalibrationOption = Annotated[
    str,
    typer.Option(
        "--calibration",
        help="Own calibration to use, or shipped; default: your newest of this GPU.",
        metavar="FILE",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Write over an existing file.")]

DatasetOption = Annotated[
    Path | None, data("--dataset", help="File or folder to train on.", metavar="PATH")
]
TokensOption = Annotated[
    float | None,
    data("--tokens", help="Tokens of one epoch: 20M, 1.5B.", metavar="TOKENS", parser=count),
]
ExamplesOption = Annotated[
    int | None, data("--examples", help="Number of examples.", metavar="EXAMPLES", min=1)
]
MeanTokensOption = Annotated[
    float | None,
    data("--mean-tokens", help="Tokens of an example, on average.", metavar="TOKENS", parser=count),
]
TokenizerOption = Annotated[
    str,
    data(
        "--tokenizer",
        help="tokenizer.json or its folder; default: the model's own, else an estimate.",
        metavar="PATH",
    ),
]
EpochsOption = Annotated[float, data("--epochs", help="Passes over the data.", metavar="EPOCHS")]

GpuOption = Annotated[
    str, gpus("--gpu", help="One of tuneroi prices --gpus, or this-machine.", metavar="ID")
]
GpusOption = Annotated[
    int, gpus("--gpus", help="Number of GPUs.", metavar="GPUS", min=1, max=1_000_000)
]
PriceOption = Annotated[
    float | None,
    gpus("--price", help="USD per GPU and hour; default: the market's range.", metavar="USD"),
]
TierOption = Annotated[
    Tier,
    gpus("--tier", help=f"Kind of market price: {', '.join(get_args(Tier))}.", metavar="TIER"),
]

OnlyGpusOption = Annotated[
    list[str] | None,
    offers("--gpu", help="Only this GPU or family (h100); again for more.", metavar="GPU"),
]
OnlyProvidersOption = Annotated[
    list[str] | None,
    offers("--provider", help="Only this provider; again for more.", metavar="NAME"),
]
TiersOption = Annotated[
    list[str] | None,
    offers("--tier", help="Kind of price; again for more; default: on_demand.", metavar="TIER"),
]
ContractOption = Annotated[
    Path | None,
    offers("--prices", help="Your contract's prices, for this once.", metavar="FILE"),
]

MethodOption = Annotated[Method, recipe("--method", help=f"{METHOD_HELP}.", metavar="METHOD")]
SequenceLengthOption = Annotated[
    int | None,
    recipe(
        "--seq-len",
        help="Sequence length; default: 2048, or the model's context if shorter.",
        metavar="TOKENS",
        min=1,
    ),
]
LoraRankOption = Annotated[
    int, recipe("--lora-rank", help="Rank of the adapters.", metavar="RANK", min=1)
]
StepLengthOption = Annotated[
    int, recipe("--seq-len", help="Tokens of a sequence.", metavar="TOKENS", min=2)
]
StepMicroBatchOption = Annotated[
    int, recipe("--micro-batch", help="Sequences at once.", metavar="N", min=1, max=65_536)
]
MicroBatchOption = Annotated[
    int | None,
    recipe("--micro-batch", help=f"Sequences at once; {FASTEST}.", metavar="SEQUENCES", min=1),
]
CheckpointingOption = Annotated[
    Checkpointing | None,
    recipe("--checkpointing", help=f"{CHECKPOINTING_HELP}; {FASTEST}.", metavar="KIND"),
]
ShardingOption = Annotated[
    Sharding | None, recipe("--sharding", help=f"{SHARDING_HELP}; {FASTEST}.", metavar="KIND")
]
PrecisionOption = Annotated[
    Precision | None,
    recipe(
        "--precision",
        help="bf16, fp16, fp32 or amp; default: bf16, or fp16 where the GPU lacks it.",
        metavar="KIND",
    ),
]
PackingOption = Annotated[
    bool, recipe("--packing/--no-packing", help="Let examples share a sequence.")
]
StackOption = Annotated[Stack, recipe("--stack", help=f"{STACK_HELP}.", metavar="NAME")]
