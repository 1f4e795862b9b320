"""A grid of small decoders that pins the device's rates: matmul, attention, vocabulary, optimizer.

The shapes are data (`data/grid.csv`): widths, depths, vocabularies and lengths vary one against
another, so that no two terms of the step grow together. Larger shapes for accelerators.
"""

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from estimator.benchmark.target import Target
from estimator.llm.architecture import Architecture
from estimator.training.recipe import TrainingRecipe

DATA = Path(__file__).parent / "data" / "grid.csv"
Size = Literal["cpu", "gpu"]


def grid(size: Size, recipe: TrainingRecipe) -> tuple[Target, ...]:
    """The small targets for a kind of device, in the precision and kernels of `recipe`."""
    return tuple(_target(row, recipe) for row in _rows() if row["size"] == size)


def _target(row: Mapping[str, str], recipe: TrainingRecipe) -> Target:
    config = {
        "model_type": "llama",
        "hidden_size": int(row["hidden"]),
        "intermediate_size": int(row["ffn"]),
        "num_hidden_layers": int(row["layers"]),
        "num_attention_heads": int(row["heads"]),
        "num_key_value_heads": int(row["kv_heads"]),
        "vocab_size": int(row["vocab"]),
        "max_position_embeddings": int(row["sequence"]),
        "tie_word_embeddings": False,
    }
    name = f"grid {row['hidden']}x{row['layers']} S{row['sequence']} {row['method']}"
    return Target(
        name=name,
        config=config,
        architecture=Architecture.from_hf_config(config, name),
        recipe=TrainingRecipe.model_validate(
            {
                **recipe.model_dump(),
                "method": row["method"],
                "sequence_length": int(row["sequence"]),
                "micro_batch": int(row["batch"]),
                "checkpointing": "none",
            }
        ),
    )


@cache
def _rows() -> tuple[Mapping[str, str], ...]:
    with DATA.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
