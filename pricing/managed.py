"""Managed fine-tuning: what a provider charges to train, host and serve a tuned model."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import unknown
from estimator.quantity import Evidence, Quantity
from pricing.table import DATA, Row, read_rows

METHODS = ("sft", "lora_sft", "full_sft", "lora_dpo", "full_dpo")
HOSTING = ("none", "per_model", "dedicated")
COLUMNS = (
    "id",
    "provider",
    "model",
    "method",
    "training_low_usd_per_mtok",
    "training_high_usd_per_mtok",
    "hosting",
    "hosting_low_usd_per_hour",
    "hosting_high_usd_per_hour",
    "storage_usd_per_month",
    "inference_input_usd_per_mtok",
    "inference_output_usd_per_mtok",
    "token_price_provider",
    "token_price_model",
    "open_to_new_buyers",
    "ends_on",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedOffer:
    """One provider's price to fine-tune one model or size class.

    Tokens billed for training are the data set's tokens times the epochs (at Together also the
    validation tokens). Hosting is `none` (tuned tokens are billed and nothing else), `per_model`
    (an hourly fee for every deployed model, used or not, on top of tokens) or `dedicated` (rented
    GPUs by the hour, tokens free).
    """

    id: str
    provider: str
    model: str
    method: str
    training_usd_per_mtok: Quantity
    hosting: str
    hosting_usd_per_hour: Quantity | None
    """Fee per model (`per_model`) or per GPU (`dedicated`); None when there is none."""
    storage_usd_per_month: float | None
    inference_input_usd_per_mtok: float | None
    """Tuned price; None where hosting covers it or the base model's price holds."""
    inference_output_usd_per_mtok: float | None
    token_price_provider: str | None
    """With `token_price_model`: whose token price holds, for `pricing.tokens.token_price`."""
    token_price_model: str | None
    open_to_new_buyers: bool
    ends_on: date | None
    """Day on which the model or the service stops; None when none is announced."""
    source: str
    as_of: str
    evidence: Evidence
    note: str | None


@cache
def managed_offers() -> Mapping[str, ManagedOffer]:
    """Every known managed fine-tuning offer by id."""
    return read_managed_offers(DATA / "managed_finetuning.csv")


def managed_offer(offer_id: str) -> ManagedOffer:
    """The managed fine-tuning offer with this id."""
    if offer_id not in managed_offers():
        raise unknown("managed fine-tuning offer", offer_id, managed_offers())
    return managed_offers()[offer_id]


def read_managed_offers(path: Path) -> Mapping[str, ManagedOffer]:
    """The offers of one table by id."""
    return MappingProxyType({row.text("id"): _offer(row) for row in read_rows(path, COLUMNS)})


def _offer(row: Row) -> ManagedOffer:
    hosting = row.choice("hosting", HOSTING)
    hosting_usd_per_hour = None if hosting == "none" else _range(row, "hosting", "USD/hour")
    if hosting == "none" and row.optional_text("hosting_low_usd_per_hour"):
        raise row.error("hosting_low_usd_per_hour", "is given although hosting is none")
    return ManagedOffer(
        id=row.text("id"),
        provider=row.text("provider"),
        model=row.text("model"),
        method=row.choice("method", METHODS),
        training_usd_per_mtok=_range(row, "training", "USD/Mtok"),
        hosting=hosting,
        hosting_usd_per_hour=hosting_usd_per_hour,
        storage_usd_per_month=row.optional_number("storage_usd_per_month"),
        inference_input_usd_per_mtok=row.optional_number("inference_input_usd_per_mtok"),
        inference_output_usd_per_mtok=row.optional_number("inference_output_usd_per_mtok"),
        token_price_provider=row.optional_text("token_price_provider"),
        token_price_model=row.optional_text("token_price_model"),
        open_to_new_buyers=row.boolean("open_to_new_buyers"),
        ends_on=row.optional_date("ends_on"),
        **row.provenance(),
    )


def _range(row: Row, what: str, unit: str) -> Quantity:
    per = "mtok" if what == "training" else "hour"
    low, high = f"{what}_low_usd_per_{per}", f"{what}_high_usd_per_{per}"
    row.number(low)
    return row.quantity({"low": low, "high": high}, unit)
