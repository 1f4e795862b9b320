"""What of a recipe decides how much of a machine it reaches."""

from dataclasses import dataclass

from estimator.hardware.calibration import Values, generation_key
from estimator.hardware.efficiency import Efficiency, efficiency
from estimator.hardware.rates import NumberFormat
from estimator.training.recipe import AttentionKernel, Optimizer, Stack, TrainingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """The programs and number format that a recipe runs with; equal ones reach the same."""

    number_format: NumberFormat
    stack: Stack
    kernel: AttentionKernel
    loss: str
    optimizer: Optimizer
    compiled: bool

    @classmethod
    def of(cls, recipe: TrainingRecipe) -> "Software":
        """The software of a recipe."""
        return cls(
            number_format=recipe.number_format,
            stack=recipe.stack,
            kernel=recipe.attention,
            loss=loss_kind(recipe),
            optimizer=recipe.optimizer,
            compiled=recipe.compiled,
        )

    def reached(self, values: Values, generation: str) -> Efficiency:
        """The efficiency on a GPU generation as `GpuSpec` names it."""
        return efficiency(
            values,
            generation=generation_key(generation),
            stack=self.stack,
            number_format=self.number_format,
            kernel=self.kernel,
            loss=self.loss,
            optimizer=self.optimizer,
            compiled=self.compiled,
        )


def loss_kind(recipe: TrainingRecipe) -> str:
    """Key of the traffic of logits: the recipe's loss kernel, else what the stack does.

    Megatron and what is built on it have a vocabulary-parallel kernel that overwrites the logits.
    """
    if recipe.loss is None and recipe.stack in ("megatron", "vendor_tuned"):
        return "kernel"
    return recipe.loss_kernel
