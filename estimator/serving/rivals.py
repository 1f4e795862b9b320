"""Other ways to get the same answers: token prices, and tuned models that somebody hosts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import pricing
from estimator.errors import CatalogError, EstimatorError
from estimator.llm.architecture import Architecture
from estimator.llm.parameters import count_parameters
from estimator.serving.need import ServingNeed
from estimator.serving.plan import Range, ServingPlan
from estimator.serving.replicas import HOURS_PER_MONTH
from pricing.managed import ManagedOffer
from pricing.own import SHIPPED, PriceFiles
from pricing.tokens import TokenPrice, token_models

Kind = Literal["token_price", "hosted_tuned", "hosted_by_the_hour"]
GENERIC = re.compile(
    r"^(meta|instruct|chat|hf|it|turbo|instant|fast|lite|versatile|maas|tee|v1|0|bf16|fp8|fp16|awq|base)$"
)
"""Words in a hosted model's name that do not make it another model."""
WORD = re.compile(r"[a-z0-9]+")
LETTERS_OR_DIGITS = re.compile(r"[a-z]+|\d+")
HOSTED_GPU = "h100-sxm5-80gb"
"""GPU that the hourly prices of hosting are asked for (notes of managed_finetuning.csv)."""
SIZE_CLASS = re.compile(r"^(?:up to (\d+)B|(\d+)B to (\d+)B|over (\d+)B)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """What the same requests cost another way."""

    kind: Kind
    name: str
    provider: str
    usd_per_month: Range
    usd_per_million_tokens: Range
    """Input and output tokens together."""
    usd_per_request: Range
    grows_with_use: bool
    """Whether each request costs the same, however many there are."""
    source: str
    as_of: str
    evidence: str
    note: str


def rivals(
    plan: ServingPlan,
    architecture: Architecture,
    *,
    files: PriceFiles = SHIPPED,
    on: date | None = None,
    also: Iterable[tuple[str, str]] = (),
) -> tuple[Rival, ...]:
    """Every other way that the facts know, cheapest first.

    Token prices of the same open model, and of the (provider, model) pairs `also`; tuned models
    billed by the token, with an hourly fee where there is one; and hosting by the GPU-hour.
    Left out: GPUs of one's own, which `tuneroi buy-or-rent` weighs.
    """
    found = [
        *_token_rivals(plan.need, architecture.id, files, on, tuple(also)),
        *_tuned_rivals(plan.need, files, on),
        *_hourly_rivals(plan, architecture),
    ]
    return tuple(sorted(found, key=lambda r: (r.usd_per_month.p50, r.provider, r.name)))


def same_model(hosted: str, model: str) -> bool:
    """Whether a provider's model name means the open model `model`, whatever its format.

    Both names are cut to words and numbers; what is left after generic words must be equal.
    """
    if ":" in hosted.removesuffix(":0"):  # free or otherwise limited variants
        return False
    return _key(hosted) == _key(model)


def _key(name: str) -> tuple[str, ...]:
    words = WORD.findall(name.casefold().rpartition("/")[2])
    telling = " ".join(word for word in words if not GENERIC.match(word))
    return tuple(LETTERS_OR_DIGITS.findall(telling))


def _token_rivals(
    need: ServingNeed,
    model: str,
    files: PriceFiles,
    on: date | None,
    also: tuple[tuple[str, str], ...],
) -> Iterator[Rival]:
    for provider, name in also:  # a name that is not known is the user's mistake
        price = pricing.token_price(provider, name, on=on, book=files.tokens)
        yield _by_token("token_price", need, price)
    for provider, names in token_models(files.tokens).items():
        for name in names:
            if same_model(name, model) and (provider, name) not in also:
                try:
                    price = pricing.token_price(provider, name, on=on, book=files.tokens)
                except CatalogError:  # not priced by the token
                    continue
                yield _by_token("token_price", need, price)


def _by_token(
    kind: Kind,
    need: ServingNeed,
    price: TokenPrice,
    *,
    name: str = "",
    provider: str = "",
    evidence: str = "seen-secondary",
    fee_usd_per_month: tuple[float, float, float] = (0.0, 0.0, 0.0),
    note: str = "",
) -> Rival:
    """A price by the token for the need: its cached share at the price of cached input."""
    cached = need.input_tokens * need.cached_share
    cached_price = price.cached_input_usd_per_mtok
    per_request = (
        (need.input_tokens - cached) * price.input_usd_per_mtok
        + cached * (price.input_usd_per_mtok if cached_price is None else cached_price)
        + need.output_tokens * price.output_usd_per_mtok
    ) / 1e6
    p10, p50, p90 = (fee + per_request * need.requests_per_month for fee in fee_usd_per_month)
    return _rival(
        kind,
        need,
        Range(p10=p10, p50=p50, p90=p90),
        name=name or price.model,
        provider=provider or price.provider,
        grows_with_use=p50 <= per_request * need.requests_per_month,
        origin=(price.source, price.as_of, evidence),
        note="; ".join(filter(None, (note, price.note))),
    )


def _rival(
    kind: Kind,
    need: ServingNeed,
    usd_per_month: Range,
    *,
    name: str,
    provider: str,
    grows_with_use: bool,
    origin: tuple[str, str, str],
    note: str,
) -> Rival:
    return Rival(
        kind=kind,
        name=name,
        provider=provider,
        usd_per_month=usd_per_month,
        usd_per_million_tokens=usd_per_month.scaled(1e6 / need.tokens_per_month),
        usd_per_request=usd_per_month.scaled(1.0 / need.requests_per_month),
        grows_with_use=grows_with_use,
        source=origin[0],
        as_of=origin[1],
        evidence=origin[2],
        note=note,
    )


def _open_offers(on: date | None) -> Iterator[ManagedOffer]:
    """Managed offers that a new buyer can have, one of each provider, model and hosting."""
    seen = set()
    for offer in pricing.managed_offers().values():
        ended = on is not None and offer.ends_on is not None and offer.ends_on <= on
        key = (offer.provider, offer.model)
        if offer.open_to_new_buyers and not ended and key not in seen:
            seen.add(key)
            yield offer


def _tuned_rivals(need: ServingNeed, files: PriceFiles, on: date | None) -> Iterator[Rival]:
    """Tuned models billed by the token, with the hourly fee of a deployment where there is one."""
    for offer in _open_offers(on):
        price = _tuned_price(offer, files, on)
        if offer.hosting == "dedicated" or price is None:
            continue
        fee = (0.0, 0.0, 0.0)
        note = "tuned model, billed by the token"
        if offer.hosting_usd_per_hour is not None:
            p10, p50, p90 = offer.hosting_usd_per_hour.p10_p50_p90()
            fee = (p10 * HOURS_PER_MONTH, p50 * HOURS_PER_MONTH, p90 * HOURS_PER_MONTH)
            note = f"tuned model: tokens, and ${p50:.2f} an hour while it is deployed"
        if offer.storage_usd_per_month:
            stored = offer.storage_usd_per_month
            fee = (fee[0] + stored, fee[1] + stored, fee[2] + stored)
        yield _by_token(
            "hosted_tuned",
            need,
            price,
            name=offer.model,
            provider=offer.provider,
            evidence=offer.evidence,
            fee_usd_per_month=fee,
            note=note,
        )


def _tuned_price(offer: ManagedOffer, files: PriceFiles, on: date | None) -> TokenPrice | None:
    """What the tuned model's tokens cost: its own price, else that of the model it was tuned of."""
    own = offer.inference_input_usd_per_mtok, offer.inference_output_usd_per_mtok
    if own[0] is not None and own[1] is not None:
        return TokenPrice(
            provider=offer.provider,
            model=offer.model,
            input_usd_per_mtok=own[0],
            cached_input_usd_per_mtok=None,
            output_usd_per_mtok=own[1],
            as_of=offer.as_of,
            source=offer.source,
            note=None,
        )
    if offer.token_price_provider is None or offer.token_price_model is None:
        return None
    try:
        return pricing.token_price(
            offer.token_price_provider, offer.token_price_model, on=on, book=files.tokens
        )
    except EstimatorError:  # a refreshed book may have dropped the model
        return None


def _hourly_rivals(plan: ServingPlan, architecture: Architecture) -> Iterator[Rival]:
    """Hosting by the GPU-hour: our own count of GPUs for the load, at the provider's price."""
    counted = next((o for o in plan.options if o.offer.gpu == HOSTED_GPU), None)
    if counted is None:
        return
    billions = count_parameters(architecture).total / 1e9
    gpus = counted.replicas_mean * counted.gpus
    for offer in _open_offers(None):
        price = offer.hosting_usd_per_hour
        if offer.hosting != "dedicated" or price is None:
            continue
        if not (_in_class(offer.model, billions) or same_model(offer.model, architecture.id)):
            continue
        p10, p50, p90 = (usd * gpus * HOURS_PER_MONTH for usd in price.p10_p50_p90())
        yield _rival(
            "hosted_by_the_hour",
            plan.need,
            Range(p10=p10, p50=p50, p90=p90),
            name=offer.model,
            provider=offer.provider,
            grows_with_use=False,
            origin=(offer.source, offer.as_of, offer.evidence),
            note=f"{gpus:.3g} GPUs on average, as counted here on {HOSTED_GPU}",
        )


def _in_class(size_class: str, billions: float) -> bool:
    """Whether a model of so many billion parameters is in a class such as "up to 16B"."""
    found = SIZE_CLASS.match(size_class)
    if found is None:
        return False
    up_to, low, high, over = (None if text is None else float(text) for text in found.groups())
    if up_to is not None:
        return billions <= up_to
    if over is not None:
        return billions > over
    return low is not None and high is not None and low <= billions <= high
