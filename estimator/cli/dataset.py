"""`tuneroi dataset`: what a dataset holds, and how it fills training sequences."""

from pathlib import Path
from typing import Annotated

import typer


def dataset(
    path: Annotated[
        Path,
        typer.Argument(
            help="JSONL, JSON, CSV, Parquet or text file, or a folder of them.", metavar="PATH"
        ),
    ],
    model: Annotated[
        str, typer.Option("--model", help="Count with this model's tokenizer (Hugging Face id).")
    ] = "",
    tokenizer: Annotated[
        str, typer.Option("--tokenizer", help="Count with this tokenizer.json, or its folder.")
    ] = "",
    seq_len: Annotated[
        int, typer.Option("--seq-len", help="Sequence length.", metavar="TOKENS", min=1)
    ] = 2048,
    micro_batch: Annotated[
        int, typer.Option("--micro-batch", help="Padded together.", metavar="EXAMPLES", min=1)
    ] = 8,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Profile a dataset: examples, tokens, packing and padding, duplicates, malformed rows."""
    from estimator.cli.options import stay_offline
    from estimator.cli.show import print_json, print_parts, reading
    from estimator.dataset import profile_dataset
    from estimator.errors import InputError
    from estimator.report.dataset import dataset_parts

    if offline:
        stay_offline()
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
    if as_json:
        print_json(profile.as_dict())
    else:
        print_parts(dataset_parts(profile))
