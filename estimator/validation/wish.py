"""What a row of a memory file ran: architecture, recipe, number of GPUs."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from pydantic import ValidationError

from estimator.errors import InputError
from estimator.llm.architecture import Architecture, Linear
from estimator.llm.catalogue import catalogue_architecture, find_model
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.operations import Dispatch
from estimator.training.published import architecture_of_row, recipe_of_row
from estimator.training.recipe import TrainingRecipe
from estimator.validation.cells import neutral, stated_recipe, whole_numbers
from estimator.validation.conventions import conventions, refuse_unmodelled
from estimator.validation.rows import Row

COLUMNS = ("model", "method", "seq_len", "micro_batch", "n_gpus", "gpu", "framework")
HUB_NAME = re.compile(r"hf model=([^;]+)")
MIXTRAL_KEYS = {
    "num_hidden_layers": "layers",
    "hidden_size": "hidden",
    "intermediate_size": "ffn",
    "num_attention_heads": "heads",
    "head_dim": "head_dim",
    "vocab_size": "vocab",
    "num_local_experts": "n_experts",
    "num_experts_per_tok": "experts_per_token",
}
LARGEST = {"layers": 10_000}
LARGEST_NUMBER = 100_000_000
DIMENSIONS = (
    "layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab", "tied_embeddings",
    "gated_mlp", "n_experts", "experts_per_token",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a row ran."""

    architecture: Architecture
    recipe: TrainingRecipe
    gpus: int

    def memory(self, *, dispatch: Dispatch = "cuda") -> MemoryBreakdown:
        """Its peak by the closed form; `dispatch` says whose kernels."""
        return estimate_memory(self.architecture, self.recipe, gpus=self.gpus, dispatch=dispatch)


def wish_of(row: Row) -> Wish:
    """What a row ran; `InputError` says what it does not state or cannot be expressed."""
    refuse_unmodelled(row)
    known = conventions("recipe", row)
    stated = stated_recipe(row, known)
    gpus = int(row.number("n_gpus"))
    architecture = architecture_of(row)
    targets = {} if row["method"] == "full" else {"lora_targets": targets_of(row, architecture)}
    try:
        recipe = recipe_of_row(neutral(row), gpus)
        recipe = TrainingRecipe.model_validate(recipe.model_dump() | stated | targets | known)
    except ValidationError as error:
        fault = error.errors()[0]
        raise InputError(f"{row.place}: {fault['msg'].removeprefix('Value error, ')}") from None
    return Wish(architecture=architecture, recipe=recipe, gpus=gpus)


def targets_of(row: Row, architecture: Architecture) -> tuple[str, ...]:
    """Names of this model's matrices that the row's adapters sit on; attention's if none is named.

    Sources name the matrices of Llama's code, also for models that fuse them.
    """
    text = row["lora_targets"]
    adaptable = list(_adaptable(architecture))
    if re.search(r"all|linear", text):
        return tuple(dict.fromkeys(x.name for x in adaptable))
    letters = set(re.findall(r"\b([qkvo])(?:ut|utput)?(?:_proj)?\b", text))
    chosen = [
        x.name for x in adaptable if x.role == "attention" and (not letters or _makes(x) & letters)
    ]
    if re.search(r"mlp|gate|up_proj|down_proj|fc", text):
        chosen += [x.name for x in adaptable if x.role != "attention"]
    if not chosen:
        raise InputError(f"{row.place}: {architecture.id} has no matrix for {text or 'adapters'}")
    return tuple(dict.fromkeys(chosen))


def _adaptable(architecture: Architecture) -> Iterator[Linear]:
    for layer in architecture.layers:
        yield from (x for x in layer.linears if x.adapter_targets and x.role != "router")


def _makes(linear: Linear) -> set[str]:
    """Which of query, key, value and output a matrix makes; a fused one makes several."""
    if linear.reads == "context":
        return {"o"}
    own = re.match(r"([qkv])_", linear.name)
    return {own.group(1)} if own else {"q", "k", "v"}


def architecture_of(row: Row) -> Architecture:
    """The shipped model of that name where its dimensions are the row's, else one made of them."""
    found = HUB_NAME.search(row["notes"])
    names = (row["model"], found.group(1).strip() if found else "")
    modules = conventions("architecture", row).get("experts") == "modules"
    for name in filter(None, names):
        shipped = _shipped(name, modules)
        if shipped is not None and _same_shape(shipped, row):
            return shipped
    if not row["layers"]:
        raise InputError(f"{row.place}: {row['model']} is not shipped and its layers not stated")
    whole_numbers(row, ("layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab"))
    for column in ("layers", "hidden", "ffn", "heads", "head_dim", "vocab"):
        if row.number(column) > LARGEST.get(column, LARGEST_NUMBER):
            raise InputError(f"{row.place}: {column} is {row[column]!r}: larger than any model's")
    if row["n_experts"]:
        return _mixture(row)
    return _from_dimensions(row["model"], tuple(row[column] for column in DIMENSIONS))


def _mixture(row: Row) -> Architecture:
    """A mixture of experts of the row's dimensions: Mixtral's layers, `ffn` the width of each."""
    whole_numbers(row, ("n_experts", "experts_per_token"))
    config = {
        "model_type": "mixtral",
        **{key: int(row.number(column)) for key, column in MIXTRAL_KEYS.items()},
        "num_key_value_heads": int(row.number("kv_heads", row.number("heads"))),
        "tie_word_embeddings": row["tied_embeddings"] == "yes",
    }
    made = replace(_from_config(json.dumps(config)), id=row["model"], family="published")
    modules = conventions("architecture", row).get("experts") == "modules"
    return with_expert_modules(made) if modules else made


@cache
def _from_config(config: str) -> Architecture:
    return Architecture.from_hf_config(json.loads(config))


@cache
def _from_dimensions(model: str, cells: tuple[str, ...]) -> Architecture:
    row = dict(zip(DIMENSIONS, cells, strict=True))
    return architecture_of_row(defaultdict(str, row, model=model))


@cache
def _shipped(name: str, expert_modules: bool) -> Architecture | None:
    entry = find_model(name)
    if entry is None:
        return None
    architecture = catalogue_architecture(entry.id)
    return with_expert_modules(architecture) if expert_modules else architecture


def with_expert_modules(architecture: Architecture) -> Architecture:
    """The architecture with each expert a module of its own, which 4-bit loading quantises."""
    layers = tuple(
        replace(layer, linears=tuple(_as_module(linear) for linear in layer.linears))
        for layer in architecture.layers
    )
    return replace(architecture, layers=layers)


def _as_module(linear: Linear) -> Linear:
    return replace(linear, form="linear") if linear.role == "expert" else linear


def _same_shape(architecture: Architecture, row: Row) -> bool:
    """Whether what the row states of the dimensions agrees."""
    known = {
        "layers": architecture.num_layers,
        "hidden": architecture.hidden_size,
        "heads": architecture.num_attention_heads,
        "kv_heads": architecture.num_key_value_heads,
    }
    return all(not row[column] or row.number(column) == size for column, size in known.items())
