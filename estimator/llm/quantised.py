"""Bytes of a model whose matrices are stored in four bits, as QLoRA does."""

from dataclasses import dataclass

from estimator.llm.architecture import Architecture

BLOCK = 64
"""Weights that share one scale (Dettmers et al., QLoRA, section 3)."""
NESTED_BLOCK = 256
"""Scales that share one scale of their own under double quantisation."""
_CODE_BYTES = 16 * 4
_NESTED_CODE_BYTES = 256 * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantisedBytes:
    """Storage of a model with four-bit matrices; the parts sum to `total`."""

    codes: int
    """Four bits per weight."""
    constants: int
    """Scales, their own scales and offsets, and code books."""
    unquantised: int
    """Embeddings, head, norms, biases and fused experts, 2 bytes each."""

    @property
    def total(self) -> int:
        """All bytes."""
        return self.codes + self.constants + self.unquantised


def nf4_constants_bytes(weights: int, *, double_quantisation: bool = True) -> int:
    """Bytes of the constants of one matrix of `weights` entries.

    A 4-byte scale per block of 64 weights and the 16-entry code book; with double quantisation a
    1-byte scale per block, a 4-byte scale per 256 of these, one 4-byte offset and the 256-entry
    code book (QLoRA, section 3; bitsandbytes, functional.quantize_4bit).
    """
    blocks = -(-weights // BLOCK)
    if not double_quantisation:
        return 4 * blocks + _CODE_BYTES
    nested = 4 * -(-blocks // NESTED_BLOCK)
    return blocks + nested + 4 + _CODE_BYTES + _NESTED_CODE_BYTES


def nf4_bytes(architecture: Architecture, double_quantisation: bool = True) -> QuantisedBytes:
    """Bytes of `architecture` with every nn.Linear but the head in NF4, the rest in 16 bits.

    Fused experts and routers are tensors, not modules, and stay in 16 bits, as bitsandbytes leaves
    them. Code books are counted once per matrix, as saved checkpoints hold them.
    """
    matrices = [
        (linear.inputs * linear.outputs, linear.copies * count)
        for linear, count in architecture.linears()
        if linear.role != "head" and linear.form != "tensor"
    ]
    codes = sum(-(-size // 2) * count for size, count in matrices)
    constants = sum(
        nf4_constants_bytes(size, double_quantisation=double_quantisation) * count
        for size, count in matrices
    )
    everything = (
        sum(layer.parameters * layer.count for layer in architecture.layers)
        + sum(linear.parameters for linear in architecture.projections)
        + sum(table.parameters for table in architecture.embeddings)
        + architecture.head_parameters
        + architecture.final_norm_parameters
        + architecture.other_parameters
    )
    quantised = sum(size * count for size, count in matrices)
    return QuantisedBytes(
        codes=codes, constants=constants, unquantised=2 * (everything - quantised)
    )
