"""The tables are whole: sources, dates, ranges, and the traps that other calculators fell into."""

import csv
import re
from datetime import date

import pytest

import pricing
from estimator.errors import CatalogError
from estimator.quantity import Quantity
from pricing.managed import HOSTING
from pricing.offers import TIERS
from pricing.table import DATA, EVIDENCE

TABLES = sorted(path for path in DATA.glob("*.csv") if path.stem != "activities")
WORDS_ABOUT_THE_MAKING = re.compile(
    r"stored (copy|text|mirror)|excerpt|verbatim|\bid \d{5,}", re.IGNORECASE
)
MACHINE_PATH = re.compile("|".join(f"/{word}/" for word in ("wo" + "rk", "ro" + "ot", "tm" + "p")))


def rows(table: str) -> list[dict[str, str]]:
    with (DATA / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_row_says_where_it_comes_from(path):
    for row in rows(path.stem):
        assert len(row["source"]) > 5, row
        assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])(-\d\d)?", row["as_of"]), row
        assert row["as_of"] <= date.today().isoformat(), row
        assert row["evidence"] in EVIDENCE, row


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_the_data_speaks_of_its_subject_alone(path):
    text = path.read_text("utf-8")
    assert not WORDS_ABOUT_THE_MAKING.search(text), WORDS_ABOUT_THE_MAKING.search(text)
    assert not MACHINE_PATH.search(text)
    assert "\r" not in text


def test_a_guess_is_never_a_single_number():
    quantities = {
        **{a.id: a.quantity for a in pricing.assumptions().values()},
        **pricing.wages(),
        **{
            g.id: g.purchase_price_usd for g in pricing.gpu_specs().values() if g.purchase_price_usd
        },
        **{p.id: p.price for p in pricing.saas_plans().values() if p.price},
    }
    for name, quantity in quantities.items():
        if quantity.evidence == "guess":
            low, high = quantity.p10_p50_p90()[::2]
            assert high > low, name
            assert high >= 1.05 * low, name


@pytest.mark.parametrize(
    ("gpu", "dtype", "tflops"),
    [
        ("a10g", "bf16", 70),  # 125 is the A10
        ("a10", "bf16", 125),
        ("h100", "bf16", 989),  # 1979 is sparse
        ("h100-pcie", "bf16", 756),
        ("h200", "fp8", 1979),
        ("rtx-4090", "bf16", 165.2),  # 330 accumulates in fp16
        ("rtx-3090", "fp16", 71),
        ("l4", "bf16", 121),  # 242 is sparse
        ("l40s", "bf16", 362),
        ("a100-80gb", "bf16", 312),  # 624 is sparse
        ("b200", "bf16", 2250),
        ("gaudi3", "bf16", 1677),  # 1835 in early material
        ("gb200", "bf16", 2500),  # per GPU: the superchip has two
        ("t4", "fp16", 65),
    ],
)
def test_peaks_are_dense_and_of_the_right_card(gpu, dtype, tflops):
    assert pricing.gpu_spec(gpu).peak_tflops(dtype) == tflops


def test_no_peak_is_a_sparse_one():
    """On one chip, halving the number's width at most doubles the dense rate (fp4: 3x on Ultra)."""
    for spec in pricing.gpu_specs().values():
        peaks = spec.dense_tflops
        half = peaks.get("bf16", peaks.get("fp16"))
        for dtype, most in (("fp8", 2.03), ("int8", 4.01), ("fp4", 6.01)):
            assert peaks.get(dtype, 0) <= most * half, (spec.id, dtype)
        if spec.mamf_bf16_tflops:
            assert 0.4 < spec.mamf_bf16_tflops / half < 1, spec.id


def test_cards_without_a_type_say_so():
    assert "bf16" not in pricing.gpu_spec("t4").dense_tflops
    assert "fp8" not in pricing.gpu_spec("a100-80gb").dense_tflops
    with pytest.raises(CatalogError, match=r"v100-sxm2-32gb 'bf16'; .*fp16"):
        pricing.gpu_spec("v100-32gb").peak_tflops("bf16")


def test_variants_of_one_name_differ():
    sxm, pcie, nvl = (pricing.gpu_spec(f"h100-{kind}") for kind in ("sxm", "pcie", "nvl"))
    assert sxm.memory_bandwidth_gb_per_second == 3350
    assert pcie.memory_bandwidth_gb_per_second == 2000
    assert nvl.memory_gb == 94
    assert sxm.interconnect_gb_per_second == 450
    assert sxm.interconnect_bidirectional_gb_per_second == 900
    small, large = pricing.gpu_spec("a100-40gb"), pricing.gpu_spec("a100-80gb")
    assert (small.memory_gb, large.memory_gb) == (40, 80)
    assert small.memory_bandwidth_gb_per_second < large.memory_bandwidth_gb_per_second


def test_usable_memory_is_near_the_label_and_below_it():
    """An 80 GB card holds about 79 GiB; 24 GB cards with ECC about 22."""
    for spec in pricing.gpu_specs().values():
        assert 0.9 < spec.memory_gib / spec.memory_gb <= 1, spec.id
    assert pricing.gpu_spec("h100").memory_gib == pytest.approx(81089 / 1024, abs=0.01)
    assert pricing.gpu_spec("mi300x").memory_gib == pytest.approx(206_141_652_992 / 2**30, abs=0.02)


def test_the_price_of_p5_is_the_one_after_the_cut():
    p5 = [o for o in pricing.gpu_offers() if o.instance == "p5.48xlarge" and o.tier == "on_demand"]
    assert [round(8 * offer.price_usd_per_gpu_hour, 2) for offer in p5] == [55.04]


def test_offers_are_plausible_and_recent():
    for offer in pricing.gpu_offers():
        assert 0.1 <= offer.price_usd_per_gpu_hour <= 30, offer.id
        assert offer.low_usd_per_gpu_hour <= offer.price_usd_per_gpu_hour
        assert offer.price_usd_per_gpu_hour <= offer.high_usd_per_gpu_hour
        assert offer.tier in TIERS
        assert offer.as_of >= "2025-12", offer.id
        assert offer.minimum_gpus <= offer.gpus_per_node or offer.minimum_gpus % 8 == 0


def test_commitment_is_cheaper_than_none():
    offers = [o for o in pricing.gpu_offers() if o.provider in ("AWS", "GCP", "Azure", "CoreWeave")]
    prices = {(o.instance, o.tier): o.price_usd_per_gpu_hour for o in offers}
    compared = 0
    for (instance, tier), price in prices.items():
        on_demand = prices.get((instance, "on_demand"))
        if on_demand and tier != "on_demand":
            assert price < on_demand, (instance, tier)
            compared += 1
    assert compared > 20


def test_managed_offers_hang_together():
    for offer in pricing.managed_offers().values():
        assert offer.hosting in HOSTING
        assert (offer.hosting_usd_per_hour is None) == (offer.hosting == "none")
        assert (offer.inference_input_usd_per_mtok is None) == (
            offer.inference_output_usd_per_mtok is None
        )
        tokens_priced = offer.inference_input_usd_per_mtok is not None or offer.token_price_model
        assert bool(tokens_priced) == (offer.hosting != "dedicated"), offer.id
        assert offer.training_usd_per_mtok.unit == "USD/Mtok"


def test_closed_managed_offers_are_marked():
    openai = pricing.managed_offer("openai-gpt-4.1-mini")
    assert not openai.open_to_new_buyers
    assert openai.ends_on == date(2027, 1, 14)
    assert not pricing.managed_offer("cohere-command-r").open_to_new_buyers
    assert pricing.managed_offer("together-up-to-16b-lora").open_to_new_buyers
    hosted = [o.provider for o in pricing.managed_offers().values() if o.hosting == "per_model"]
    assert set(hosted) == {"Azure OpenAI", "Azure Foundry"}  # an hourly fee is not OpenAI's


def test_worked_example_of_the_bedrock_price():
    """AWS: 2,000 examples of 800 tokens, 5 epochs, cost 8.00 USD: epochs are billed once."""
    price = pricing.managed_offer("bedrock-nova-micro").training_usd_per_mtok
    assert 2000 * 800 * 5 / 1e6 * price.mean() == pytest.approx(8.00)


def test_azure_hosting_is_a_fixed_monthly_cost():
    fee = pricing.managed_offer("azure-gpt-4.1-mini").hosting_usd_per_hour
    assert fee is not None
    assert fee.mean() * 730 == pytest.approx(1241)


def test_saas_without_a_published_price_has_none():
    gleen = pricing.saas_plan("gleen-ai")
    assert gleen.price is None
    assert gleen.note
    assert [p.id for p in pricing.saas_plans().values() if p.price is None] == ["gleen-ai"]


@pytest.mark.parametrize("plan_id", ["intercom-fin", "tidio-lyro"])
def test_a_fee_that_includes_units_is_their_price(plan_id):
    plan = pricing.saas_plan(plan_id)
    assert plan.price is not None
    assert plan.included_units_per_month * plan.price.numbers[-1] == pytest.approx(
        plan.platform_fee_usd_per_month
    )


def test_conflicting_sources_stay_a_range():
    freddy = pricing.saas_plan("freshworks-freddy").price
    assert freddy is not None
    assert freddy.evidence == "conflict"
    assert freddy.numbers == (0.10, 0.49, 0.49)
    together = pricing.managed_offer("together-up-to-16b-lora").hosting_usd_per_hour
    assert together is not None
    assert together.numbers == (3.99, 6.49)


def test_wages_cover_the_roles_and_hold_their_published_median():
    assert {
        "ml_engineer",
        "mlops_engineer",
        "data_engineer",
        "data_scientist",
        "research_scientist",
        "site_reliability_engineer",
        "ai_developer",
        "product_manager",
        "qa_analyst",
        "annotator",
        "domain_expert",
        "customer_service_representative",
        "security_reviewer",
        "operations_specialist",
    } == set(pricing.wages())
    for wage in pricing.wages().values():
        assert wage.form == "pert"
        assert wage.unit == "USD/year"
    assert pricing.wage("customer_service_representative").mean() == pytest.approx(42830, rel=0.03)


def test_every_assumption_states_unit_meaning_and_group():
    groups = [a.group for a in pricing.assumptions().values()]
    assert groups == sorted(groups, key=groups.index)  # rows of one group stand together
    for found in pricing.assumptions().values():
        assert found.quantity.unit
        assert found.quantity.source
        assert len(found.meaning) > 10
        if found.quantity.unit == "share":
            change = found.id.endswith(("growth_per_year", "change_per_year"))
            assert min(found.quantity.numbers) >= (-0.9 if change else 0), found.id
            assert max(found.quantity.numbers) <= 1, found.id


def test_retrieval_defaults_span_the_vendors():
    fee = pricing.assumption("knowledge.vector_store_usd_per_month").numbers
    for component in ("pinecone-standard-minimum", "weaviate-flex-minimum", "azure-ai-search-s1"):
        assert fee[0] <= pricing.rag_component(component).mean() <= fee[-1]
    storage = pricing.assumption("knowledge.storage_usd_per_gb_month").numbers
    per_gib = pricing.rag_component("weaviate-storage")
    assert per_gib.unit == "USD/GiB-month"
    assert storage[0] == pytest.approx(per_gib.mean() / (2**30 / 1e9), abs=1e-4)
    assert storage[1] == pricing.rag_component("pinecone-storage").mean()


def test_price_changes_go_both_ways():
    for what in ("token", "gpu", "saas"):
        change: Quantity = pricing.assumption(f"prices.{what}_price_change_per_year")
        assert change.numbers[0] < 0 < change.numbers[-1]


def test_dates_of_the_tables():
    dates = pricing.prices_as_of()
    assert {path.stem for path in TABLES} <= set(dates)
    for oldest, newest in dates.values():
        assert oldest <= newest
    assert dates["gpu_offers"][1] == max(offer.as_of for offer in pricing.gpu_offers())


@pytest.mark.parametrize(
    ("as_of", "today", "stale"),
    [
        ("2026-11-09", date(2027, 2, 7), False),  # 90 days
        ("2026-11-09", date(2027, 2, 8), True),
        ("2026-09", date(2026, 12, 29), False),  # from 30 September
        ("2026-09", date(2026, 12, 30), True),
    ],
)
def test_stale_after_ninety_days(as_of, today, stale):
    assert pricing.stale(as_of, today) is stale
