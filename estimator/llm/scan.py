"""The recurrence of state-space and linear-attention layers: its FLOPs and its memory traffic."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The recurrence of a state-space or linear-attention layer: products without parameters."""

    inner: int
    """Values per token that it carries (heads x head width)."""
    state: int
    """States per value."""
    shared: int
    """Values per token that the heads of a group share: B and C, or keys and queries."""
    chunk: int | None
    """Tokens of a chunk inside which it is computed as products; None: token by token."""

    @property
    def flops_per_token(self) -> float:
        """FLOPs of the products of one forward pass: none where it runs token by token.

        Inside a chunk of Q tokens 2 Q (shared / 2 + inner), between chunks 4 x inner x state (Dao
        and Gu, "Transformers are SSMs", arXiv 2405.21060, section 6).
        """
        if self.chunk is None:
            return 0.0
        return 2.0 * self.chunk * (self.shared / 2.0 + self.inner) + 4.0 * self.inner * self.state

    @property
    def values_per_token(self) -> float:
        """Values that convolution, scan and gate of a forward pass read and write.

        The convolution reads and writes its inputs, the scan reads them and writes `inner`, the
        gate reads two and writes one; each chunk writes and reads its states, in twice the width.
        """
        convolved = self.inner + self.shared
        states = 4.0 * self.inner * self.state / self.chunk if self.chunk else 0.0
        return 3.0 * convolved + 4.0 * self.inner + states
