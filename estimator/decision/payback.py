"""Cash of an account over the months: payback per draw, and the flow expected in each month."""

import numpy as np

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem, Profile
from estimator.decision.finance import payback_months
from estimator.quantity import FloatArray

BLOCK_DRAWS = 1024  # draws x months of one block stay in the processor's cache


def account_payback_months(account: Account, n: int, months: int) -> FloatArray:
    """Months until the cumulative cash is at zero for good; nan when it never is; shape (n,).

    Cash within a month accrues evenly. What is left of equal sums by rounding is 0.
    """
    found = np.empty(n)
    amounts = _net_amounts_usd(account)
    rounding = 1e-12 * sum((i.present_value_usd() for i in account.items), np.zeros(n))
    for start in range(0, n, BLOCK_DRAWS):
        block = slice(start, min(start + BLOCK_DRAWS, n))
        at_month_ends = np.zeros((block.stop - start, months + 1))
        for profile, amount in amounts.items():
            at_month_ends[:, 1:] += _rows(amount, block)[:, None] * profile.rows(block)
        at_month_ends[np.abs(at_month_ends) < rounding[block, None]] = 0.0
        found[block] = payback_months(at_month_ends)
    return found


def _net_amounts_usd(account: Account) -> dict[Profile, FloatArray]:
    """Benefits less costs of each rhythm, per unit of it: items of one rhythm are one."""
    amounts: dict[Profile, FloatArray] = {}
    for item in account.items:
        before = amounts.get(item.profile, np.zeros(1))
        amounts[item.profile] = before + item.sign * item.amount_usd
    return amounts


def _rows(array: FloatArray, block: slice) -> FloatArray:
    """The draws of a block; what is common to all draws has one row."""
    return array if array.shape[0] == 1 else array[block]


def expected_cash_usd(item: LineItem) -> FloatArray:
    """Mean money of one line item in each month, undiscounted and without its sign; (months,)."""
    amount, monthly = np.atleast_1d(item.amount_usd), np.atleast_2d(item.profile.monthly)
    if monthly.shape[0] == 1:
        return np.asarray(amount.mean() * monthly[0])
    if amount.size == 1:
        return np.asarray(amount[0] * monthly.mean(axis=0))
    return np.asarray(amount @ monthly / amount.size)


def expected_net_cash_usd(account: Account, months: int) -> FloatArray:
    """Mean benefits minus costs of an account in each month, undiscounted, shape (months,).

    What is left of equal sums by rounding is 0.
    """
    total, size = np.zeros(months), np.zeros(months)
    for item in account.items:
        cash = expected_cash_usd(item)
        total += item.sign * cash
        size += np.abs(cash)
    return np.where(np.abs(total) > 1e-9 * size, total, 0.0)
