"""Options of `tuneroi calibrate import`: what ran, where the log does not say it."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from estimator.cli.arguments import (
    CHECKPOINTING_HELP,
    METHOD_HELP,
    MODEL_HELP,
    SHARDING_HELP,
    Checkpointing,
    Method,
    Sharding,
    Stack,
)

LogFormat = Literal["auto", "trainer", "torchtune", "torchtitan", "csv"]
_run = partial(typer.Option, rich_help_panel="What ran; the log may say it")

LogsArgument = Annotated[
    list[Path],
    typer.Argument(
        help="trainer_state.json, trainer_log.jsonl, a torchtune or torchtitan log, or a CSV file.",
        metavar="LOG",
    ),
]
FormatOption = Annotated[
    LogFormat,
    typer.Option("--format", help="auto, trainer, torchtune, torchtitan or csv.", metavar="FORMAT"),
]
ModelOption = Annotated[
    str | None, _run("--model", help=f"What was trained: {MODEL_HELP}", metavar="MODEL")
]
GpuOption = Annotated[
    str | None,
    _run("--gpu", help="On which: one of tuneroi prices --gpus, or this-machine.", metavar="ID"),
]
GpusOption = Annotated[int | None, _run("--gpus", help="How many of them.", min=1, max=1_000_000)]
MethodOption = Annotated[
    Method | None, _run("--method", help=f"How: {METHOD_HELP}.", metavar="METHOD")
]
SequenceLengthOption = Annotated[
    int | None,
    _run("--seq-len", help="Mean positions of a sequence, padding included.", min=1),
]
MicroBatchOption = Annotated[
    int | None, _run("--micro-batch", help="Sequences at once on a GPU.", min=1)
]
AccumulationOption = Annotated[
    int | None, _run("--accumulation", help="Micro-batches per optimizer step.", min=1)
]
CheckpointingOption = Annotated[
    Checkpointing | None,
    _run("--checkpointing", help=f"{CHECKPOINTING_HELP}.", metavar="KIND"),
]
ShardingOption = Annotated[
    Sharding | None, _run("--sharding", help=f"{SHARDING_HELP}.", metavar="KIND")
]
StackOption = Annotated[
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
