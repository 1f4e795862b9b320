"""How many parameters a model has: exact sums over its inventory."""

from collections.abc import Mapping
from dataclasses import dataclass

from estimator.llm.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCount:
    """Parameters of a model: the parts of `by_kind` sum to `total`."""

    total: int
    """Every parameter once; a tied head adds nothing but its bias."""
    active: int
    """What one token uses: `total` less the experts that its routers do not choose."""
    embedding: int
    """The token table, whether or not the head shares it."""
    by_kind: Mapping[str, int]
    """By role: embedding, position, norm, head, other, and the roles of matrices."""


def count_parameters(architecture: Architecture) -> ParameterCount:
    """Parameters of `architecture`, equal to those of its `transformers` class.

    Buffers are no parameters; what a checkpoint holds beyond the class is
    `architecture.unbuilt_parameters` and not counted.
    """
    parts = {
        "embedding": architecture.embedding_parameters,
        "position": architecture.position_parameters,
        "norm": architecture.final_norm_parameters,
        "head": architecture.head_parameters,
        "other": architecture.other_parameters,
    }
    for layer in architecture.layers:
        parts["norm"] += layer.norm_parameters * layer.count
        parts["other"] += layer.other_parameters * layer.count
        for linear in layer.linears:
            parts[linear.role] = parts.get(linear.role, 0) + linear.parameters * layer.count
    for linear in architecture.projections:
        parts[linear.role] = parts.get(linear.role, 0) + linear.parameters
    total = sum(parts.values())
    idle = sum(
        (layer.parameters - layer.active_parameters) * layer.count for layer in architecture.layers
    )
    return ParameterCount(
        total=total,
        active=total - idle,
        embedding=architecture.embedding_parameters,
        by_kind={kind: count for kind, count in parts.items() if count},
    )
