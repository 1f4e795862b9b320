"""Looking facts up: names, prices of a market, token prices, and what an unknown name says."""

import pickle
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from genai_prices import Usage, calc_price

import pricing
from estimator.errors import CatalogError, InputError
from pricing.offers import UNIT

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("name", "gpu"),
    [
        ("h100-sxm5-80gb", "h100-sxm5-80gb"),
        ("H100", "h100-sxm5-80gb"),
        ("rtx-4090", "rtx-4090-24gb"),
        ("RTX 4090", "rtx-4090-24gb"),
        ("rtx_3090", "rtx-3090-24gb"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb"),
        ("NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"),
        ("NVIDIA H100 PCIe", "h100-pcie-80gb"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090-24gb"),
        ("Tesla T4", "t4-16gb"),
        ("AMD Instinct MI300X", "mi300x-192gb"),
    ],
)
def test_a_gpu_is_found_by_id_short_name_and_driver_name(name, gpu):
    assert pricing.gpu_spec(name).id == gpu


def test_an_ambiguous_gpu_lists_its_kinds():
    with pytest.raises(CatalogError) as error:
        pricing.gpu_spec("a100")
    assert str(error.value).startswith(
        "GPU 'a100' comes in several kinds; name one: a100-sxm4-80gb"
    )
    assert "a100-sxm4-40gb" in str(error.value)


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda: pricing.gpu_spec("h1000"), "unknown GPU 'h1000'; nearest known: h100"),
        (
            lambda: pricing.gpu_price("h100", tier="spott"),
            "price tier 'spott'; nearest known: spot",
        ),
        (lambda: pricing.offers_of("h10"), "unknown GPU 'h10'"),
        (lambda: pricing.managed_offer("vertex-gemini"), "nearest known: vertex-gemini-2.5"),
        (lambda: pricing.saas_plan("intercom"), "nearest known: intercom-fin"),
        (lambda: pricing.rag_component("pinecone-store"), "nearest known: pinecone-storage"),
        (lambda: pricing.wage("ml engineer"), "nearest known: ml_engineer"),
        (lambda: pricing.assumption("quality.skil"), "nearest known: quality.skill"),
        (lambda: pricing.evidence("safty"), "unknown topic 'safty'; nearest known: safety"),
        (lambda: pricing.token_price("opnai", "gpt-4.1"), "nearest known: openai"),
        (lambda: pricing.token_price("openai", "gpt-4.1-mina"), "nearest known: gpt-4.1-mini"),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(look_up, message):
    with pytest.raises(CatalogError) as error:
        look_up()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_gpu_without_offers_names_gpus_that_have_some():
    with pytest.raises(CatalogError, match=r"on_demand price of 'gaudi2'.*known: "):
        pricing.gpu_price("gaudi2")


def test_few_offers_give_the_ends_of_the_market():
    price = pricing.gpu_price("a100-40gb")
    offers = pricing.offers_of("a100-40gb", tier="on_demand")
    assert price.form == "pert"
    assert price.numbers[0] == offers[0].price_usd_per_gpu_hour
    assert price.numbers[-1] == offers[-1].price_usd_per_gpu_hour
    assert price.unit == UNIT


def test_one_offer_with_a_range_keeps_it():
    (offer,) = pricing.offers_of("rtx-4090", tier="community")[:1]
    assert offer.low_usd_per_gpu_hour < offer.price_usd_per_gpu_hour < offer.high_usd_per_gpu_hour
    assert pricing.gpu_price("rtx-4090", tier="community").numbers[0] == offer.low_usd_per_gpu_hour


def test_one_offer_is_a_fixed_price():
    assert pricing.gpu_price("mi300x").is_fixed


def test_offers_come_cheapest_first_and_of_every_tier():
    offers = pricing.offers_of("H100")
    prices = [offer.price_usd_per_gpu_hour for offer in offers]
    assert prices == sorted(prices)
    assert {offer.gpu for offer in offers} == {"h100-sxm5-80gb"}
    assert {"on_demand", "spot", "reserved_3y"} <= {offer.tier for offer in offers}


def test_spot_is_cheaper_than_on_demand():
    for gpu in ("h100", "h200", "l4", "a100-80gb"):
        spot = pricing.gpu_price(gpu, tier="spot").median()
        assert spot < pricing.gpu_price(gpu).median()


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4.1-mini"),
        ("openai", "gpt-4o-mini"),
        ("google", "gemini-2.5-flash-lite"),
        ("aws", "amazon.nova-micro-v1:0"),
    ],
)
def test_token_prices_agree_with_the_packages_own_calculation(provider, model):
    price = pricing.token_price(provider, model)
    usage = Usage(input_tokens=1000, output_tokens=100)
    bill = calc_price(usage, model, provider_id=provider)
    expected = (1000 * price.input_usd_per_mtok + 100 * price.output_usd_per_mtok) / 1e6
    assert float(bill.total_price) == pytest.approx(expected)
    assert price.source.startswith("genai-prices 0.")


def test_a_dated_price_change_is_followed():
    before = pricing.token_price("openai", "gpt-5.6-luna", on=date(2026, 7, 29))
    after = pricing.token_price("openai", "gpt-5.6-luna", on=date(2026, 7, 30))
    assert (before.input_usd_per_mtok, after.input_usd_per_mtok) == (1.0, 0.2)
    assert after.note == "long prompts cost more"


def test_hours_of_the_day_do_not_change_the_base_price():
    price = pricing.token_price("deepseek", "deepseek-flash", on=date(2026, 11, 1))
    usage = Usage(input_tokens=1_000_000)
    peak, night = (
        calc_price(
            usage,
            "deepseek-flash",
            provider_id="deepseek",
            genai_request_timestamp=datetime(2026, 11, 1, hour, tzinfo=UTC),
        )
        for hour in (2, 20)
    )
    assert price.input_usd_per_mtok == float(night.total_price) < float(peak.total_price)
    assert "hours of the day" in (price.note or "")


def test_the_base_tier_is_taken():
    price = pricing.token_price("google", "gemini-2.5-pro")
    short, long = (
        calc_price(Usage(input_tokens=tokens), "gemini-2.5-pro", provider_id="google")
        for tokens in (1000, 1_000_000)
    )
    assert price.input_usd_per_mtok == pytest.approx(1000 * float(short.total_price))
    assert price.input_usd_per_mtok < float(long.total_price)
    assert price.note == "long prompts cost more"
    assert price.cached_input_usd_per_mtok is not None


def test_tuned_prices_of_openai_agree_with_the_price_book():
    offer = pricing.managed_offer("openai-gpt-4o-mini")
    book = pricing.token_price("openai", "ft:gpt-4o-mini")
    assert offer.inference_input_usd_per_mtok == book.input_usd_per_mtok
    assert offer.inference_output_usd_per_mtok == book.output_usd_per_mtok
    base = pricing.token_price("openai", "gpt-4o-mini")
    assert offer.inference_input_usd_per_mtok == 2 * base.input_usd_per_mtok  # tuned is not base


def test_base_prices_that_managed_offers_point_to_exist():
    for offer in pricing.managed_offers().values():
        if offer.token_price_provider and offer.token_price_model:
            price = pricing.token_price(offer.token_price_provider, offer.token_price_model)
            assert price.output_usd_per_mtok >= price.input_usd_per_mtok > 0
            if offer.inference_input_usd_per_mtok:
                assert offer.inference_input_usd_per_mtok == price.input_usd_per_mtok


def test_embedding_prices():
    for model in ("text-embedding-3-small", "text-embedding-3-large"):
        bill = calc_price(Usage(input_tokens=1_000_000), model, provider_id="openai")
        assert pricing.embedding_price_usd_per_mtok("openai", model) == float(bill.total_price)
    with pytest.raises(CatalogError, match="not priced per input and output token"):
        pricing.token_price("openai", "text-embedding-3-small")


def test_the_price_book_names_its_version_and_newest_change():
    book = pricing.token_prices_as_of(on=date(2026, 11, 23))
    assert book.package == "genai-prices"
    assert book.version.startswith("0.")
    assert "2026-09-30" < book.as_of <= "2026-11-23"


def test_import_loads_neither_the_price_book_nor_a_table():
    code = (
        "import estimator.quantity, time; start = time.perf_counter(); import pricing, sys\n"
        "assert 'genai_prices' not in sys.modules and 'pandas' not in sys.modules\n"
        "assert pricing.gpu_specs.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_tables_are_read_once():
    assert pricing.gpu_offers() is pricing.gpu_offers()
    assert pricing.assumptions() is pricing.assumptions()


def test_rows_can_be_keys_and_travel():
    for rows in (pricing.gpu_specs().values(), pricing.gpu_offers()):
        for row in rows:
            assert pickle.loads(pickle.dumps(row)) == row
            assert asdict(row)["id"] == row.id
        assert len({hash(row) for row in rows}) == len(rows)


def test_tables_cannot_be_changed_by_a_caller():
    with pytest.raises(TypeError):
        pricing.wages()["ml_engineer"] = 1  # type: ignore[index]


def test_a_bad_date_is_refused():
    with pytest.raises(InputError, match="'yesterday' is not a date"):
        pricing.stale("yesterday", date(2026, 11, 23))
