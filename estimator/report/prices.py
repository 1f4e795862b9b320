"""The tables of `tuneroi prices`: GPUs, offers, managed tuning, SaaS, wages, tokens, defaults."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import date
from typing import Any

import pricing
from estimator.decision.wording import listed, money
from estimator.errors import EstimatorError, InputError, unknown
from estimator.quantity import Quantity
from estimator.report.facts import (
    AGED,
    Fact,
    FactTable,
    fact_table,
    figures,
    overview,
    quantity_dict,
    spread,
    unit_words,
)

HOSTING = {"per_model": "per model", "dedicated": "per GPU"}


def price_tables(wanted: Iterable[str], name: str, today: date) -> list[FactTable]:
    """The tables asked for, the overview if none is; `name` narrows a single one."""
    chosen = list(wanted)
    if name and len(chosen) != 1:
        options = listed([f"--{table}" for table in TABLES])
        raise InputError(f"{name!r} narrows one table; say which one of {options}")
    return [TABLES[key](name, today) for key in chosen] or [overview(today)]


def gpu_table(today: date) -> FactTable:
    """Every GPU with its on-demand market price."""
    return fact_table(
        "gpus",
        "GPUs: memory, dense BF16 peak, memory bandwidth, market price of an hour on demand",
        ("GPU", "GiB", "TFLOP/s", "TB/s", "USD per GPU-hour", "Offers"),
        (_gpu(spec, today) for spec in pricing.gpu_specs().values()),
        today,
        remarks=("date and evidence are those of the specification",),
    )


def _gpu(spec: pricing.GpuSpec, today: date) -> Fact:
    offers = pricing.offers_of(spec.id, tier="on_demand")
    price = pricing.gpu_price(spec.id) if offers else None
    peak = spec.dense_tflops.get("bf16")
    cells = (
        spec.id,
        f"{spec.memory_gib:.1f}",
        "-" if peak is None else f"{peak:,.0f}",
        f"{spec.memory_bandwidth_gb_per_second / 1000:.2f}",
        _market(price, today),
        str(len(offers)),
    )
    market = {"price_usd_per_gpu_hour": quantity_dict(price), "on_demand_offers": len(offers)}
    return Fact(cells=cells, data=_spec(spec) | market, origin=spec)


def _market(price: Quantity | None, today: date) -> str:
    if price is None:
        return "-"
    return spread(price) + (AGED if price.as_of and pricing.stale(price.as_of, today) else " ")


def _spec(spec: pricing.GpuSpec) -> dict[str, Any]:
    return _plain(spec) | {
        "aliases": list(spec.aliases),
        "dense_tflops": dict(spec.dense_tflops),
        "purchase_price_usd": quantity_dict(spec.purchase_price_usd),
    }


def offer_table(gpu: str, today: date) -> FactTable:
    """Every offer of one GPU, cheapest first, and its price to buy."""
    spec = pricing.gpu_spec(gpu)
    return fact_table(
        "offers",
        f"Offers of {spec.id} ({spec.memory_gib:.2f} GiB): USD per GPU and hour, cheapest first",
        ("Provider and instance", "Tier", "GPUs", "USD"),
        map(_offer, pricing.offers_of(spec.id)),
        today,
        words=(0, 1),
        remarks=_purchase(spec.purchase_price_usd),
        about={"gpu": _spec(spec)},
    )


def _purchase(price: Quantity | None) -> tuple[str, ...]:
    if price is None:
        return ()
    return (
        f"to buy: {figures(price)} a card, server not included ({price.evidence}, {price.as_of})",
    )


def _offer(offer: pricing.GpuOffer) -> Fact:
    few, many = offer.minimum_gpus, offer.gpus_per_node
    cells = (
        f"{offer.provider} {offer.instance}",
        offer.tier.replace("_", " "),
        str(few) if few == many else f"{few} to {many}",
        f"{offer.price_usd_per_gpu_hour:.2f}",
    )
    return Fact(cells=cells, data=asdict(offer), origin=offer)


def managed_table(name: str, today: date) -> FactTable:
    """Managed fine-tuning; `name` narrows it to a provider."""
    offers = _narrowed(pricing.managed_offers().values(), name, lambda o: o.provider, "provider")
    return fact_table(
        "managed",
        "Managed fine-tuning: USD per million tokens trained on, read and written",
        ("Offer", "Trained on", "Hosting an hour", "Read", "Written"),
        map(_managed, offers),
        today,
        stacked=True,
    )


def _managed(offer: pricing.ManagedOffer) -> Fact:
    hosting = offer.hosting_usd_per_hour
    tokens = (offer.inference_input_usd_per_mtok, offer.inference_output_usd_per_mtok)
    ends = f", ends {offer.ends_on}" if offer.ends_on else ""
    closed = "" if offer.open_to_new_buyers else ", closed"
    cells = (
        f"{offer.id}\n{offer.method.replace('_', ' ')}{closed}{ends}",
        spread(offer.training_usd_per_mtok),
        "-" if hosting is None else f"{spread(hosting)}\n{HOSTING[offer.hosting]}",
        *("-" if price is None else f"{price:.2f}" for price in tokens),
    )
    data = _plain(offer) | {
        "training_usd_per_mtok": quantity_dict(offer.training_usd_per_mtok),
        "hosting_usd_per_hour": quantity_dict(hosting),
        "ends_on": offer.ends_on.isoformat() if offer.ends_on else None,
    }
    return Fact(cells=cells, data=data, origin=offer)


def saas_table(name: str, today: date) -> FactTable:
    """Bought assistants; `name` narrows it to a vendor."""
    plans = _narrowed(pricing.saas_plans().values(), name, lambda plan: plan.vendor, "vendor")
    return fact_table(
        "saas",
        "Bought assistants: USD per unit that the vendor bills, and what is due in any case",
        ("Plan", "USD per unit", "Fee a month", "Least a year"),
        map(_saas, plans),
        today,
        stacked=True,
    )


def _saas(plan: pricing.SaasPlan) -> Fact:
    least = plan.commitment_usd_per_year
    price = "unpublished" if plan.price is None else spread(plan.price)
    cells = (
        f"{plan.id}\n{plan.product}",
        f"{price}\nper {'seat-month' if plan.billing_unit == 'seat' else plan.billing_unit}",
        money(plan.platform_fee_usd_per_month) if plan.platform_fee_usd_per_month else "-",
        "-" if least is None else money(least),
    )
    data = _plain(plan) | {"price": quantity_dict(plan.price)}
    return Fact(cells=cells, data=data, origin=plan)


def wage_table(name: str, today: date) -> FactTable:
    """Gross yearly wages; `name` narrows it to a role."""
    known = pricing.wages()
    if name and name not in known:
        raise unknown("role", name, known)
    return fact_table(
        "wages",
        "Gross wages in the United States, USD a year, without the employer's costs",
        ("Role", "Most likely", "Lowest", "Highest"),
        (_wage(role, wage) for role, wage in known.items() if name in ("", role)),
        today,
    )


def _wage(role: str, wage: Quantity) -> Fact:
    low, mode, high = (money(usd, 3) for usd in wage.numbers)
    data = {"role": role, "usd_per_year": quantity_dict(wage)}
    return Fact(cells=(role, mode, low, high), data=data, origin=wage)


def token_table(name: str, today: date) -> FactTable:
    """Token prices of one provider's models, or without a name every provider."""
    from genai_prices.data import providers

    models = {provider.id: [model.id for model in provider.models] for provider in providers}
    book = pricing.token_prices_as_of(on=today)
    about = f"{book.package} {book.version}, newest change in it {book.as_of}"
    if not name:
        return FactTable(
            key="token_price_providers",
            title=f"Providers with token prices ({about})",
            columns=("Provider", "Models"),
            rows=tuple((provider, str(len(ids))) for provider, ids in models.items()),
            data=tuple({"provider": p, "models": len(ids)} for p, ids in models.items()),
            words=(0,),
            notes=("prices of one provider: tuneroi prices --tokens PROVIDER",),
        )
    if name not in models:
        raise unknown("token price provider", name, models)
    prices = [price for id in models[name] if (price := _token_price(name, id, today))]
    left_out = len(models[name]) - len(prices)
    return FactTable(
        key="tokens",
        title=f"{name}: USD per million tokens ({about})",
        columns=("Model", "Input", "Cached input", "Output"),
        rows=tuple(map(_token_cells, prices)),
        data=tuple(map(asdict, prices)),
        words=(0,),
        notes=(f"{left_out} further models are not priced per token",) if left_out else (),
    )


def _token_price(provider: str, model: str, today: date) -> pricing.TokenPrice | None:
    try:
        return pricing.token_price(provider, model, on=today)
    except EstimatorError:  # embeddings, images, speech
        return None


def _token_cells(price: pricing.TokenPrice) -> tuple[str, ...]:
    prices = (
        price.input_usd_per_mtok,
        price.cached_input_usd_per_mtok,
        price.output_usd_per_mtok,
    )
    return (price.model, *("-" if usd is None else f"{usd:.3f}" for usd in prices))


def assumption_table(name: str, today: date) -> FactTable:
    """Every other default of a scenario; `name` narrows it to a group or one id."""
    known = pricing.assumptions()
    groups = {assumption.group for assumption in known.values()}
    if name and name not in known and name not in groups:
        hint = f"Groups: {', '.join(sorted(groups))}"
        raise unknown("assumption or group", name, {*known, *groups}, hint)
    return fact_table(
        "assumptions",
        "Defaults of a scenario; your own go into the scenario file",
        ("Input", "Value"),
        (_assumption(a) for a in known.values() if name in ("", a.id, a.group)),
        today,
        stacked=True,
    )


def _assumption(a: pricing.Assumption) -> Fact:
    cells = (f"{a.id}\n{a.meaning}", f"{figures(a.quantity)}\n{unit_words(a.quantity.unit)}")
    data = {"id": a.id, "meaning": a.meaning, "value": quantity_dict(a.quantity)}
    return Fact(cells=cells, data=data, origin=a.quantity)


def _plain(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def _narrowed(facts: Iterable[Any], name: str, of: Callable[[Any], str], what: str) -> list[Any]:
    """The facts with this id, or whose provider or vendor begins with `name`."""
    known = list(facts)
    folded = name.casefold()
    found = [x for x in known if x.id == name or of(x).casefold().startswith(folded)]
    if not found:
        raise unknown(what, name, {of(x) for x in known})
    return found


TABLES: Mapping[str, Callable[[str, date], FactTable]] = {
    "gpus": lambda name, today: offer_table(name, today) if name else gpu_table(today),
    "managed": managed_table,
    "saas": saas_table,
    "wages": wage_table,
    "tokens": token_table,
    "assumptions": assumption_table,
}
