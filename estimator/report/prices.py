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
from estimator.report.offers import NO_WISHES, OfferWishes, gpu_offer_table, wished_table
from pricing.offers import load_offers, own_offers_words
from pricing.own import SHIPPED, PriceFiles
from pricing.tokens import token_models

HOSTING = {"per_model": "per model", "dedicated": "per GPU"}


def price_tables(
    wanted: Iterable[str],
    name: str,
    today: date,
    *,
    wishes: OfferWishes = NO_WISHES,
    files: PriceFiles = SHIPPED,
) -> list[FactTable]:
    """The tables asked for, the overview if none is; `name` narrows a single one.

    Wishes for offers make a table of their own.
    """
    chosen = list(wanted)
    if name and len(chosen) != 1:
        options = listed([f"--{table}" for table in TABLES])
        raise InputError(f"{name!r} narrows one table; say which one of {options}")
    tables = [TABLES[key](name, today, files) for key in chosen]
    if wishes:
        tables.append(wished_table(wishes, today, files))
    return tables or [overview(today)]


def gpu_table(today: date, files: PriceFiles) -> FactTable:
    """Every GPU with its on-demand market price."""
    offers = load_offers(files)
    own = tuple(filter(None, (own_offers_words(offers),)))
    return fact_table(
        "gpus",
        "GPUs: memory, dense BF16 peak, memory bandwidth, market price of an hour on demand",
        ("GPU", "GiB", "TFLOP/s", "TB/s", "USD per GPU-hour", "Offers"),
        (_gpu(spec, today, offers) for spec in pricing.gpu_specs().values()),
        today,
        remarks=("date and evidence are those of the specification", *own),
    )


def _gpu(spec: pricing.GpuSpec, today: date, known: tuple[pricing.GpuOffer, ...]) -> Fact:
    offers = pricing.offers_of(spec.id, tier="on_demand", offers=known)
    price = pricing.gpu_price(spec.id, offers=known) if offers else None
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


def _gpus(name: str, today: date, files: PriceFiles) -> FactTable:
    """Every GPU; of one GPU its offers."""
    if not name:
        return gpu_table(today, files)
    spec = pricing.gpu_spec(name)
    return gpu_offer_table(spec, {"gpu": _spec(spec)}, today, files)


def managed_table(name: str, today: date, _: PriceFiles = SHIPPED) -> FactTable:
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


def saas_table(name: str, today: date, _: PriceFiles = SHIPPED) -> FactTable:
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


def wage_table(name: str, today: date, _: PriceFiles = SHIPPED) -> FactTable:
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


def token_table(name: str, today: date, files: PriceFiles) -> FactTable:
    """Token prices of one provider's models, or without a name every provider."""
    models = token_models(files.tokens)
    book = pricing.token_prices_as_of(on=today, book=files.tokens)
    about = (
        f"refreshed {book.as_of}"
        if files.tokens
        else f"{book.package} {book.version}, newest change in it {book.as_of}"
    )
    aged = tuple(filter(None, (pricing.staleness(book.as_of, today),)))
    if not name:
        return FactTable(
            key="token_price_providers",
            title=f"Providers with token prices ({about})",
            columns=("Provider", "Models"),
            rows=tuple((provider, str(len(ids))) for provider, ids in models.items()),
            data=tuple({"provider": p, "models": len(ids)} for p, ids in models.items()),
            words=(0,),
            notes=("prices of one provider: tuneroi prices --tokens PROVIDER", *aged),
        )
    if name not in models:
        raise unknown("token price provider", name, models)
    found = (_token_price(name, id, today, files) for id in models[name])
    prices = [price for price in found if price]
    left_out = len(models[name]) - len(prices)
    rest = (f"{left_out} further models are not priced per token",) if left_out else ()
    return FactTable(
        key="tokens",
        title=f"{name}: USD per million tokens ({about})",
        columns=("Model", "Input", "Cached input", "Output"),
        rows=tuple(map(_token_cells, prices)),
        data=tuple(map(asdict, prices)),
        words=(0,),
        notes=(*rest, *aged),
    )


def _token_price(
    provider: str, model: str, today: date, files: PriceFiles
) -> pricing.TokenPrice | None:
    try:
        return pricing.token_price(provider, model, on=today, book=files.tokens)
    except EstimatorError:  # embeddings, images, speech
        return None


def _token_cells(price: pricing.TokenPrice) -> tuple[str, ...]:
    prices = (
        price.input_usd_per_mtok,
        price.cached_input_usd_per_mtok,
        price.output_usd_per_mtok,
    )
    return (price.model, *("-" if usd is None else f"{usd:.3f}" for usd in prices))


def assumption_table(name: str, today: date, _: PriceFiles = SHIPPED) -> FactTable:
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


TABLES: Mapping[str, Callable[[str, date, PriceFiles], FactTable]] = {
    "gpus": _gpus,
    "managed": managed_table,
    "saas": saas_table,
    "wages": wage_table,
    "tokens": token_table,
    "assumptions": assumption_table,
}
