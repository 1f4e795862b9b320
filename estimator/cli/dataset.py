"""`tuneroi dataset`: what a dataset holds, and how it fills training sequences."""

from pathlib import Path
from typing import Annotated

import typer

from estimator.cli.arguments import JsonOption, OfflineOption

DataArgument = Annotated[
    Path,
    typer.Argument(
        help="JSONL, JSON, CSV, Parquet or text file, or a folder of them.", metavar="PATH"
    ),
]
CountingModelOption = Annotated[
    str, typer.Option("--model", help="Count with this model's tokenizer (Hugging Face id).")
]
CountingTokenizerOption = Annotated[
    str, typer.Option("--tokenizer", help="Count with this tokenizer.json, or its folder.")
]
FilledLengthOption = Annotated[
    int, typer.Option("--seq-len", help="Sequence length.", metavar="TOKENS", min=1)
]
PaddedTogetherOption = Annotated[
    int, typer.Option("--micro-batch", help="Padded together.", metavar="EXAMPLES", min=1)
]


def dataset(
    path: DataArgument,
    model: CountingModelOption = "",
    tokenizer: CountingTokenizerOption = "",
    seq_len: FilledLengthOption = 2048,
    micro_batch: PaddedTogetherOption = 8,
    offline: OfflineOption = False,
    as_json: JsonOption = False,
) -> None:
    """Profile a dataset: examples, tokens, packing and padding, duplicates, malformed rows."""
    from estimator.cli.show import print_result, reading
    from estimator.dataset import profile_dataset
    from estimator.errors import InputError
    from estimator.report.dataset import dataset_parts

    if model and tokenizer:
        raise InputError("--model and --tokenizer both name a tokenizer; give one of them")
    with reading(f"reading {path.name}") as progress:
        profile = profile_dataset(
            path,
            tokenizer=Path(tokenizer) if tokenizer else model or None,
            sequence_length=seq_len,
            micro_batch_size=micro_batch,
            progress=progress,
        )
    print_result(profile.as_dict, lambda: dataset_parts(profile), as_json=as_json)
