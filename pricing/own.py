"""Where the user's own prices lie: refreshed catalogues and a contract, in the user's folder.

Own prices stand above the shipped ones: contract > refreshed > shipped. Functions of `pricing`
use the shipped tables alone unless they are given `PriceFiles`, so that a result never depends on
whose machine it was computed on; the command passes `own_price_files()` and says which it used.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from estimator.errors import InputError
from estimator.files import user_data_folder

Origin = Literal["shipped", "refreshed", "contract"]
REFRESHED = "refreshed_gpu_offers.csv"
CONTRACT = "contract.csv"
TOKENS = "refreshed_token_prices.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFiles:
    """Files of prices that stand above the shipped ones; None where there is none."""

    refreshed: Path | None = None
    """GPU offers that `tuneroi prices refresh` brought."""
    contract: Path | None = None
    """The company's own prices."""
    tokens: Path | None = None
    """Token prices that `tuneroi prices refresh` brought."""


SHIPPED = PriceFiles()


def price_folder() -> Path:
    """Folder of the user's own prices, made where it is missing."""
    folder = user_data_folder() / "prices"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder: {error.strerror or error}") from None
    return folder


def own_price_files(contract: Path | None = None) -> PriceFiles:
    """The own files that exist; `contract` names another contract than the stored one.

    Where the user's folder cannot even be made, nothing was ever stored in it.
    """
    if contract is not None and not contract.is_file():
        raise InputError(f"{contract}: no such file of contract prices")
    try:
        folder = price_folder()
    except InputError:
        return PriceFiles(contract=contract)
    refreshed, stored, tokens = (folder / name for name in (REFRESHED, CONTRACT, TOKENS))
    return PriceFiles(
        refreshed=refreshed if refreshed.is_file() else None,
        contract=contract or (stored if stored.is_file() else None),
        tokens=tokens if tokens.is_file() else None,
    )
