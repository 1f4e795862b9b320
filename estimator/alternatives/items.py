"""What an alternative costs and brings: line items as an amount per draw times a monthly profile.

Most money follows one of a few rhythms (spent before go-live, every month in operation, with the
volume of requests). A line item is therefore an amount per draw, shape (n,), times a profile over
months, shape (n, months) or (1, months); its present value needs no array of its own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from estimator.quantity import FloatArray

Kind = Literal["cost", "benefit"]
Category = Literal[
    "people handling requests",
    "project people",
    "running people",
    "data",
    "GPUs for training",
    "GPUs for serving",
    "tokens",
    "retrieval",
    "fees",
    "errors",
    "avoided",
    "gain",
]

BLOCK_DRAWS = 1024  # draws x months of one block stay in the processor's cache


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A rhythm over months as a product of factors, and its present value.

    Factors (a share in operation, the growth of demand, a price) are shared between rhythms; their
    product, draws by months, is computed when asked for and not kept.
    """

    factors: tuple[FloatArray, ...]
    """Each of shape (n, months) or (1, months)."""
    present: FloatArray
    """Shape (n,) or (1,)."""

    @classmethod
    def of(cls, *factors: FloatArray, discount: FloatArray) -> "Profile":
        """The product of factors, valued with discount factors of shape (months,)."""
        tables = tuple(np.atleast_2d(factor) for factor in factors)
        rows = max(table.shape[0] for table in tables)
        blocks = (slice(i, i + BLOCK_DRAWS) for i in range(0, rows, BLOCK_DRAWS))
        return cls(tables, np.concatenate([_product(tables, block) @ discount for block in blocks]))

    @property
    def monthly(self) -> FloatArray:
        """The rhythm itself, shape (n, months) or (1, months)."""
        return self.rows(slice(None))

    def rows(self, block: slice) -> FloatArray:
        """The rhythm of some draws, shape (rows, months); (1, months) if it is common to all."""
        return _product(self.factors, block)


def _product(tables: tuple[FloatArray, ...], block: slice) -> FloatArray:
    parts = (table if table.shape[0] == 1 else table[block] for table in tables)
    return reduce(np.multiply, parts)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LineItem:
    """One line of an alternative's account; amounts are positive for costs and benefits alike."""

    name: str
    category: Category
    kind: Kind = "cost"
    amount_usd: FloatArray
    """Money per unit of the profile, shape (n,) or ()."""
    profile: Profile
    formula: str
    """How the amount and the profile come about, in words."""
    inputs: tuple[str, ...]
    """Paths of the inputs behind it."""

    def present_value_usd(self) -> FloatArray:
        """Present value per draw, shape (n,) or ()."""
        return np.asarray(self.amount_usd * self.profile.present)

    def cash_usd(self) -> FloatArray:
        """Undiscounted money per draw and month, shape (n, months)."""
        return np.asarray(np.atleast_1d(self.amount_usd)[:, None] * self.profile.monthly)

    @property
    def sign(self) -> int:
        """+1 for a benefit, -1 for a cost."""
        return 1 if self.kind == "benefit" else -1


def present_value_usd(items: Iterable[LineItem], kind: Kind, n: int) -> FloatArray:
    """Present value of all items of one kind per draw, shape (n,)."""
    total = np.zeros(n)
    for item in items:
        if item.kind == kind:
            total += item.present_value_usd()
    return total


def net_cash_usd(items: Iterable[LineItem], n: int, months: int) -> FloatArray:
    """Benefits minus costs per draw and month, undiscounted, shape (n, months)."""
    total = np.zeros((n, months))
    for item in items:
        total += item.sign * item.cash_usd()
    return total
