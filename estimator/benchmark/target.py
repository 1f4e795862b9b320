"""What is benchmarked: a model, its recipe, and the same model with fewer layers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from pydantic import ValidationError

from estimator.errors import InputError, MissingExtra
from estimator.llm.architecture import Architecture
from estimator.llm.resolve import config_of, resolve_model
from estimator.training.recipe import TrainingRecipe

OPTIMIZERS = ("adamw", "sgd", "adafactor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A model and the way in which it is stepped."""

    name: str
    config: Mapping[str, object]
    """Its config.json, from which the child builds it."""
    architecture: Architecture
    recipe: TrainingRecipe
    """One micro-batch per optimizer step, on one device."""

    @property
    def depth(self) -> int:
        """Layers of the whole model."""
        return self.architecture.num_layers

    def at(self, depth: int) -> Architecture:
        """The architecture of its first `depth` layers."""
        return first_layers(self.architecture, depth)

    def case(self, depth: int) -> dict[str, Any]:
        """What a child needs to build its first `depth` layers."""
        return {
            "config": dict(self.config),
            "recipe": self.recipe.model_dump(mode="json"),
            "depth": depth,
            "vocabulary": self.architecture.vocab_size,
        }

    def with_recipe(self, **changes: object) -> "Target":
        """The same model with another recipe."""
        return replace(self, recipe=self.recipe.model_copy(update=changes))


def first_layers(architecture: Architecture, depth: int) -> Architecture:
    """The model with its first `depth` layers; tables, head and final norm stay."""
    kept = (
        replace(layer, indices=tuple(i for i in layer.indices if i < depth))
        for layer in architecture.layers
    )
    return replace(architecture, layers=tuple(layer for layer in kept if layer.indices))


def target_of(model: str, *, offline: bool = False, **recipe: object) -> Target:
    """The target that a user names: model, and the fields of the recipe that differ from usual."""
    given = {"gradient_accumulation": 1, **recipe}
    try:
        wanted = TrainingRecipe.model_validate(given)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "recipe"
        raise InputError(f"{place}: {fault['msg'].removeprefix('Value error, ')}") from None
    _check_runnable(wanted)
    config, architecture = _config_and_architecture(model, offline=offline)
    if architecture.kind != "decoder" or architecture.head is None:
        raise InputError(
            f"{model}: is an {architecture.kind} model; tuneroi benchmark steps decoders "
            "(causal language models)"
        )
    return Target(name=model, config=config, architecture=architecture, recipe=wanted)


def _check_runnable(recipe: TrainingRecipe) -> None:
    """Refuse what the child has no code for."""
    if recipe.method == "qlora" and find_spec("bitsandbytes") is None:
        raise MissingExtra(
            "method qlora needs the 4-bit kernels of bitsandbytes: pip install 'tuneroi[qlora]'; "
            "or use --method lora: tuneroi train adds the unpacking of 4-bit weights to it"
        )
    if recipe.optimizer not in OPTIMIZERS:
        raise InputError(f"optimizer {recipe.optimizer}: benchmarked are {', '.join(OPTIMIZERS)}")
    if recipe.checkpointing == "selective":
        raise InputError("checkpointing selective: transformers has none or full; name one of them")


def _config_and_architecture(
    model: str, *, offline: bool
) -> tuple[Mapping[str, object], Architecture]:
    """The config.json and the inventory of a file, a shipped model or one on the hub."""
    found = resolve_model(model, offline=offline)
    if found.source == "size":
        raise InputError(
            f"{model}: a bare size has no layers to run; name a model, such as "
            "meta-llama/Llama-3.2-1B, or a config.json"
        )
    return _text_part(config_of(model, offline=offline)), found.architecture


def _text_part(config: Mapping[str, object]) -> Mapping[str, object]:
    """Of a multimodal model the language model."""
    nested = config.get("text_config")
    return nested if isinstance(nested, Mapping) else config
