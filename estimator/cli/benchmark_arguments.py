"""Options of `tuneroi benchmark` alone; nothing heavy is imported here."""

from functools import partial
from typing import Annotated, Literal

import typer

from estimator.cli.arguments import Precision, recipe

Checkpointing = Literal["none", "full"]
Attention = Literal["sdpa", "flash", "eager"]
Optimizer = Literal["adamw", "sgd", "adafactor"]
Mode = Literal["ddp", "fsdp2"]
_measuring = partial(typer.Option, rich_help_panel="Measuring")
_elsewhere = partial(typer.Option, rich_help_panel="Without measuring here")

RandomModelArgument = Annotated[
    str,
    typer.Argument(
        help="Shipped name, Hugging Face id, or config.json; weights are random.",
        metavar="MODEL",
    ),
]
StepCheckpointingOption = Annotated[
    Checkpointing,
    recipe("--checkpointing", help="Of activations: none or full.", metavar="KIND"),
]
StepPrecisionOption = Annotated[
    Precision, recipe("--precision", help="bf16, fp16, fp32 or amp.", metavar="KIND")
]
AttentionOption = Annotated[
    Attention, recipe("--attention", help="sdpa, flash or eager.", metavar="KERNEL")
]
OptimizerOption = Annotated[
    Optimizer, recipe("--optimizer", help="adamw, sgd or adafactor.", metavar="NAME")
]

SecondsOption = Annotated[
    float, _measuring("--budget", help="Seconds to measure.", metavar="SECONDS", min=1)
]
AimOption = Annotated[
    float,
    _measuring(
        "--target",
        help="Stop when the step is known to plus or minus this share.",
        metavar="SHARE",
        min=0.001,
        max=1.0,
    ),
]
ThreadsOption = Annotated[
    int | None,
    _measuring(
        "--threads",
        help="CPU threads; default: OMP_NUM_THREADS, else all cores.",
        metavar="N",
        min=1,
    ),
]
DeviceOption = Annotated[
    str,
    _measuring("--device", help="PyTorch device, such as cpu; default: the best.", metavar="D"),
]
VerifyOption = Annotated[bool, _measuring("--verify", help="Run the whole model too, and compare.")]
LargestOption = Annotated[
    bool, _measuring("--largest", help="Search the largest micro-batch that runs.")
]
ProcessesOption = Annotated[
    int | None,
    _measuring("--nproc", help="Also step this many processes together.", metavar="N", min=2),
]
ModeOption = Annotated[
    Mode, _measuring("--mode", help="How they share a step: ddp or fsdp2.", metavar="MODE")
]

DryRunOption = Annotated[
    bool, _elsewhere("--dry-run", help="Only say what would be run, and how long.")
]
RemoteScriptOption = Annotated[
    bool, _elsewhere("--remote-script", help="Print a script that runs this elsewhere.")
]
SkyTaskOption = Annotated[
    str,
    _elsewhere("--sky-task", help="Print a SkyPilot task that rents this GPU.", metavar="GPU"),
]
