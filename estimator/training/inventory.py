"""Sums over the matrices of a model, as one recipe trains them, that no FLOP count holds."""

from collections.abc import Iterator
from dataclasses import dataclass

from estimator.llm.adapters import is_target, lora_parameters
from estimator.llm.architecture import Architecture, Layer, Linear
from estimator.training.recipe import TrainingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters that every rank of a stage holds, and those of routed experts."""

    shared: float
    experts: float

    def split(self, recipe: TrainingRecipe) -> float:
        """Parameters on one GPU: tensor, pipeline and expert parallelism divide them."""
        stages = recipe.tensor_parallel * recipe.pipeline_parallel
        return self.shared / stages + self.experts / (stages * recipe.expert_parallel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """The matrices of a model's layers and what surrounds them."""

    architecture: Architecture
    linears: tuple[tuple[Linear, int], ...]
    """Matrices of the layers, each with the number of layers it occurs in."""
    adapted: tuple[tuple[Linear, int], ...]
    """Those that a LoRA adapter stands beside."""

    @classmethod
    def of(cls, architecture: Architecture, recipe: TrainingRecipe) -> "Inventory":
        """The inventory of `architecture` as `recipe` adapts it."""
        linears = tuple((x, y.count) for y in architecture.layers for x in y.linears)
        adapts = recipe.method != "full"
        return cls(
            architecture=architecture,
            linears=linears,
            adapted=tuple(
                (x, n) for x, n in linears if adapts and is_target(x, recipe.lora_targets)
            ),
        )

    def of_role(self, *, expert: bool) -> Iterator[tuple[Linear, int]]:
        """Matrices of routed experts, or all others."""
        return ((x, n) for x, n in self.linears if (x.role == "expert") == expert)

    @property
    def matrices(self) -> Parameters:
        """Entries of the layers' matrices."""
        return Parameters(
            shared=sum(x.weights * n for x, n in self.of_role(expert=False)),
            experts=sum(x.weights * n for x, n in self.of_role(expert=True)),
        )

    @property
    def quantised(self) -> Parameters:
        """Entries of the matrices that QLoRA keeps in 4 bits: the layers' linear modules.

        Bare tensors (fused experts, routers) stay as they are, as in bitsandbytes.
        """
        return Parameters(
            shared=sum(x.weights * n for x, n in self.of_role(expert=False) if x.form != "tensor"),
            experts=sum(x.weights * n for x, n in self.of_role(expert=True) if x.form != "tensor"),
        )

    @property
    def outside_parameters(self) -> float:
        """Parameters other than the layers' matrices: tables, head, norms, biases."""
        model = self.architecture
        total = sum(x.parameters * x.count for x in model.layers)
        total += model.embedding_parameters + model.position_parameters + model.head_parameters
        total += model.final_norm_parameters + model.other_parameters
        total += sum(x.parameters for x in model.projections)
        return total - sum(x.weights * n for x, n in self.linears)

    def trained(self, recipe: TrainingRecipe) -> Parameters:
        """All parameters, or those of the adapters."""
        if recipe.method == "full":
            matrices = self.matrices
            return Parameters(
                shared=matrices.shared + self.outside_parameters, experts=matrices.experts
            )
        sizes = [
            (x.role == "expert", lora_parameters(x, recipe.lora_rank) * n) for x, n in self.adapted
        ]
        return Parameters(
            shared=sum(size for expert, size in sizes if not expert),
            experts=sum(size for expert, size in sizes if expert),
        )

    @property
    def values_per_token(self) -> float:
        """Inputs and outputs of the layers' matrices for one token."""
        return sum((x.inputs + x.outputs) * x.copies_per_token * n for x, n in self.linears)

    @property
    def adapter_values_per_token(self) -> float:
        """Inputs and outputs of the adapted matrices for one token."""
        return sum((x.inputs + x.outputs) * x.copies_per_token * n for x, n in self.adapted)

    @property
    def adapters(self) -> int:
        """Adapters in the model."""
        return sum(x.copies * n for x, n in self.adapted)

    @property
    def experts(self) -> int:
        """Routed experts, all layers added up."""
        return sum(x.experts * x.count for x in self.architecture.layers)

    @property
    def experts_per_token(self) -> int:
        """Routed experts that one token uses in a layer."""
        return max((x.experts_per_token for x in self.architecture.layers), default=0)

    @property
    def expert_width(self) -> int:
        """Values of a token that reach an expert: the hidden state, or a narrower projection."""
        entering = (x.inputs for x, _ in self.of_role(expert=True) if x.reads != "hidden")
        return max(entering, default=0)

    @property
    def expert_share(self) -> float:
        """Share of a layer's experts that one token uses; 1 in a dense model."""
        experts = max((x.experts for x in self.architecture.layers), default=0)
        return self.experts_per_token / experts if experts else 1.0

    @property
    def cache_width(self) -> int:
        """Key and value entries of one token, all layers added up."""
        attentions = [(x.attention, x.count) for x in self.architecture.layers]
        return sum((a.key_width + a.value_width) * n for a, n in attentions if a is not None)

    @property
    def heads(self) -> int:
        """Query heads, all layers added up."""
        attentions = [(x.attention, x.count) for x in self.architecture.layers]
        return sum(a.heads * n for a, n in attentions if a is not None)

    @property
    def branches(self) -> int:
        """Residual branches, all layers added up: two in a usual layer."""
        return sum(x.branches * x.count for x in self.architecture.layers)

    @property
    def scan_flops_per_token(self) -> float:
        """Products of the recurrences of a forward pass, all layers added up."""
        scans = [(x.scan, x.count) for x in self.architecture.layers]
        return sum(scan.flops_per_token * n for scan, n in scans if scan is not None)

    @property
    def stream_values(self) -> float:
        """Values per token that norms and residuals of a forward pass read and write."""
        hidden = self.architecture.hidden_size
        return sum(stream_values(x, hidden) * x.count for x in self.architecture.layers)

    @property
    def inner_values(self) -> float:
        """Values per token that all other element-wise kernels of a forward pass move."""
        return sum(inner_values(x) * x.count for x in self.architecture.layers)

    @property
    def scan_values(self) -> float:
        """Values per token that the recurrences of a forward pass read and write."""
        scans = [(x.scan, x.count) for x in self.architecture.layers]
        return sum(scan.values_per_token * n for scan, n in scans if scan is not None)

    def inverse_width(self, tensor_parallel: int, *, expert: bool) -> float:
        """Mean of 1 / (narrower side), weighted by FLOPs, with one side split over ranks."""
        pairs = [(x, n * x.weights_per_token) for x, n in self.of_role(expert=expert)]
        total = sum(weight for _, weight in pairs)
        if not total:
            return 0.0
        inverse = sum(weight / min(x.inputs, x.outputs) for x, weight in pairs)
        return tensor_parallel * inverse / total


def stream_values(layer: Layer, hidden: int) -> float:
    """Values per token that one layer's norms and residuals read and write forward.

    One fused kernel each: a norm reads and writes; each branch's residual reads two and writes one.
    """
    norms = 2.0 * sum(norm.values_per_token for norm in layer.norms)
    return norms + 3.0 * layer.branches * hidden


def inner_values(layer: Layer) -> float:
    """Values per token that the element-wise kernels inside one layer's branches move forward.

    One fused kernel each: an activation reads one, or two if gated, and writes one; rotation reads
    and writes queries and keys; experts gather and scatter each token's copies.
    """
    activation = (3.0 if layer.gated else 2.0) * layer.mlp_width
    entering = (x.inputs for x in layer.linears if x.role == "expert" and x.reads != "hidden")
    experts = 4.0 * layer.experts_per_token * max(entering, default=0)
    rotary = 0.0
    if layer.attention is not None:
        heads = layer.attention.heads + layer.attention.kv_heads
        rotary = 2.0 * heads * layer.attention.rotary_dim
    return activation + experts + rotary
