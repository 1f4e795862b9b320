"""`tuneroi prices`: the tables are the CSV files, with dates, evidence and a mark on old rows."""

import csv
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from command import Tuneroi

import pricing
from estimator.quantity import Quantity
from estimator.report.facts import figures, overview, quantity_dict, spread, unit_words
from estimator.report.prices import TABLES, price_tables
from pricing.gpus import gpu_family

DATA = Path(pricing.__file__).parent / "data"


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "own"))
    return Tuneroi(monkeypatch, capsys)


def rows(table: str) -> list[dict[str, str]]:
    with (DATA / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_overview_counts_the_rows_of_every_table(tuneroi: Tuneroi) -> None:
    tables = {row["table"]: row for row in tuneroi("prices", "--json").json["tables"]}
    assert set(tables) == {path.stem for path in DATA.glob("*.csv")}
    for name, table in tables.items():
        dates = sorted(row["as_of"] for row in rows(name))
        assert table["rows"] == len(dates) == sum(table["by_evidence"].values())
        assert (table["oldest"], table["newest"]) == (dates[0], dates[-1])


@pytest.mark.parametrize(
    ("flag", "key", "file"),
    [
        ("--gpus", "gpus", "gpus"),
        ("--managed", "managed", "managed_finetuning"),
        ("--saas", "saas", "saas_plans"),
        ("--wages", "wages", "wages"),
        ("--assumptions", "assumptions", "assumptions"),
    ],
)
def test_a_table_has_every_row_with_its_provenance(
    tuneroi: Tuneroi, flag: str, key: str, file: str
) -> None:
    shown = tuneroi("prices", flag, "--json").json[key]
    stated = rows(file)
    assert [(row["source"], row["as_of"], row["evidence"]) for row in shown] == [
        (row["source"], row["as_of"], row["evidence"]) for row in stated
    ]
    text = tuneroi("prices", flag).out
    first = "role" if file == "wages" else "id"
    assert all(row[first] in text for row in stated)


def test_the_offers_of_a_gpu_are_found_by_any_of_its_names(tuneroi: Tuneroi) -> None:
    stated = [row for row in rows("gpu_offers") if row["gpu"] == "h100-sxm5-80gb"]
    for name in ("h100", "H100-SXM5-80GB", "NVIDIA H100 80GB HBM3"):
        data = tuneroi("prices", "--gpus", name, "--json").json
        assert data["gpu"]["id"] == "h100-sxm5-80gb"
        assert {offer["id"] for offer in data["offers"]} == {row["id"] for row in stated}
        prices = [offer["price_usd_per_gpu_hour"] for offer in data["offers"]]
        assert prices == sorted(prices)


def test_token_prices_are_those_of_the_book(tuneroi: Tuneroi) -> None:
    listed = tuneroi("prices", "--tokens", "openai", "--json").json["tokens"]
    price = pricing.token_price("openai", "gpt-4.1-mini")
    shown = next(row for row in listed if row["model"] == "gpt-4.1-mini")
    assert shown["input_usd_per_mtok"] == price.input_usd_per_mtok
    assert shown["output_usd_per_mtok"] == price.output_usd_per_mtok
    providers = tuneroi("prices", "--tokens", "--json").json["token_price_providers"]
    assert {"openai", "anthropic"} <= {row["provider"] for row in providers}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpus", "h1000"), "h100"),
        (("--gpus", "a100"), "several kinds"),
        (("--managed", "opnai"), "OpenAI"),
        (("--saas", "intercon"), "Intercom"),
        (("--wages", "engineer"), "ml_engineer"),
        (("--tokens", "opnai"), "openai"),
        (("--assumptions", "trainin"), "training"),
        (("h100",), "--gpus"),
        (("h100", "--gpus", "--saas"), "narrows one table"),
    ],
)
def test_a_name_that_is_not_there(tuneroi: Tuneroi, arguments: tuple[str, ...], said: str) -> None:
    assert said in tuneroi("prices", *arguments).refusal


def test_several_tables_at_once(tuneroi: Tuneroi) -> None:
    assert set(tuneroi("prices", "--wages", "--saas", "--json").json) == {"wages", "saas"}


def test_a_group_narrows_the_assumptions(tuneroi: Tuneroi) -> None:
    shown = tuneroi("prices", "--assumptions", "training", "--json").json["assumptions"]
    assert [row["id"] for row in shown] == [
        row["id"] for row in rows("assumptions") if row["id"].startswith("training.")
    ]


def test_a_row_is_old_91_days_after_its_source() -> None:
    (saas,) = price_tables(["saas"], "intercom-fin", date(2026, 12, 19))  # as of 2026-09-20
    assert not saas.data[0]["stale"] and not saas.notes
    (saas,) = price_tables(["saas"], "intercom-fin", date(2026, 12, 20))
    assert saas.data[0]["stale"] and "*" in saas.rows[0][-1] and "90 days" in saas.notes[-1]
    later = overview(date(2030, 1, 1)).data
    assert all(row["stale_rows"] == row["rows"] for row in later)


def test_every_table_can_be_asked_for_without_a_name() -> None:
    assert all(price_tables([key], "", date(2026, 11, 23))[0].rows for key in TABLES)


@pytest.mark.parametrize(
    ("given", "numbers", "unit"),
    [
        ({"min": 0.15, "mode": 0.2, "max": 0.3, "unit": "share"}, "20 % (15 to 30)", ""),
        ({"low": 6, "high": 40, "unit": "USD/request"}, "$6 to $40", "per request"),
        ({"value": 1500, "unit": "tokens/request"}, "1,500", "tokens per request"),
        ({"p10": 1.97e-05, "p90": 3e-05, "unit": "count"}, "1.97e-05 to 3e-05", "count"),
        (
            {"min": 1.25, "mode": 1.43, "max": 1.55, "unit": "factor"},
            "1.43 (1.25 to 1.55)",
            "factor",
        ),
    ],
)
def test_a_fact_reads_as_its_row_states_it(
    given: dict[str, float | str], numbers: str, unit: str
) -> None:
    quantity = Quantity.model_validate(given)
    assert figures(quantity) == numbers
    assert unit_words(quantity.unit) == unit


def test_a_spread_has_two_decimals() -> None:
    assert (
        spread(Quantity.of({"min": 1, "mode": 2.346, "max": 1234.5})) == "2.35 (1.00 to 1,234.50)"
    )
    assert spread(Quantity.of(3)) == "3.00"
    assert spread(Quantity.of({"low": 1, "high": 2})) == "1.00 to 2.00"


def test_json_gives_quantiles_and_what_was_stated() -> None:
    data = quantity_dict(Quantity.of({"low": 0, "high": 10, "unit": "USD"}))
    assert data is not None
    assert (data["p10"], data["p50"], data["p90"]) == (1, 5, 9)
    assert data["stated"] == {"low": 0, "high": 10, "unit": "USD"}
    assert quantity_dict(None) is None


def offered(tuneroi: Tuneroi, *wishes: object) -> list[dict[str, Any]]:
    return tuneroi("prices", *wishes, "--json").json["offers"]


def test_wishes_leave_the_offers_that_meet_all_of_them(tuneroi: Tuneroi) -> None:
    found = offered(tuneroi, "--gpu", "h100", "--max", 3)
    assert {offer["id"] for offer in found} == {
        row["id"]
        for row in rows("gpu_offers")
        if row["gpu"].startswith("h100-") and float(row["price_usd_per_gpu_hour"]) <= 3
    }
    assert len({offer["gpu"] for offer in found}) > 1  # the family, not the SXM card alone
    prices = [offer["price_usd_per_gpu_hour"] for offer in found]
    assert prices == sorted(prices) and {offer["from"] for offer in found} == {"shipped"}
    spot = offered(tuneroi, "--gpu", "h100", "--spot", "--provider", "aws", "--region", "us-east")
    assert {(o["provider"], o["tier"], o["region"]) for o in spot} == {("AWS", "spot", "us-east-1")}
    assert spot == offered(
        tuneroi, "--gpu", "h100", "--tier", "spot", "--provider", "AWS", "--region", "US-EAST"
    )


@pytest.mark.parametrize(
    ("name", "gpus"),
    [
        ("h100-sxm", {"h100-sxm5-80gb"}),
        ("NVIDIA H100 PCIe", {"h100-pcie-80gb"}),
        ("a100-sxm4", {"a100-sxm4-80gb", "a100-sxm4-40gb"}),
        ("rtx-3090", {"rtx-3090-24gb"}),
        ("4090", {"rtx-4090-24gb"}),
        ("gh200", {"gh200-sxm-141gb", "gh200-sxm-96gb"}),
    ],
)
def test_a_short_name_means_a_family(name: str, gpus: set[str]) -> None:
    assert set(gpu_family(name)) == gpus


def test_no_offer_is_an_answer_that_names_the_cheapest(tuneroi: Tuneroi) -> None:
    ran = tuneroi("prices", "--gpu", "h100-sxm", "--tier", "on_demand", "--max", 0.01)
    cheapest = pricing.offers_of("h100-sxm", tier="on_demand")[0]
    assert ran.status == 0 and f"the cheapest is {cheapest.price_usd_per_gpu_hour:.2f}" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpu", "h1000"), "h100"),
        (("--provider", "amazom"), "unknown provider 'amazom'"),
        (("--region", "mars"), "us-east-1"),
        (("--tier", "sport"), "spot"),
        (("--tier", "on_demand", "--spot"), "exclude each other"),
        (("--max", "-1"), "--max -1"),
        (("--prices", "none.csv"), "none.csv"),
    ],
)
def test_a_wish_that_cannot_be_read(
    tuneroi: Tuneroi, arguments: tuple[str, ...], said: str
) -> None:
    assert said in tuneroi("prices", *arguments).refusal


CONTRACT = (
    "id,provider,instance,gpu,gpus_per_node,minimum_gpus,price_usd_per_gpu_hour,tier,source,as_of\n"
    "ours,AWS,private,H100,8,8,4.25,on_demand,agreement 17,2026-10-01\n"
    "\n"
    "theirs,Nowhere,box,l4,1,1,0.2,on_demand,agreement 18,2026-10-01\n"
)


def test_a_contract_stands_above_the_market(tuneroi: Tuneroi, tmp_path: Path) -> None:
    file = tmp_path / "agreed.csv"
    file.write_text("\ufeff" + CONTRACT, encoding="utf-8")
    once = offered(tuneroi, "--gpu", "h100-sxm", "--provider", "aws", "--prices", file)
    assert [o["price_usd_per_gpu_hour"] for o in once if o["from"] == "contract"] == [4.25]
    assert {o["tier"] for o in once if o["from"] == "shipped"}.isdisjoint({"on_demand"})
    assert {o["from"] for o in offered(tuneroi, "--gpu", "h100-sxm")} == {"shipped"}
    kept = tuneroi("prices", "--mine", file)
    assert kept.status == 0 and "2 contract prices (h100-sxm5-80gb, l4-24gb)" in kept.err
    shown = offered(tuneroi, "--gpu", "h100-sxm")
    assert {o["from"] for o in shown} == {"shipped", "contract"}
    assert all(o["evidence"] == "user" for o in shown if o["from"] == "contract")
    text = tuneroi("prices", "--gpu", "h100-sxm").out
    assert "From" in text and "contract" in text
    assert "2 of your contract; the rest shipped" in tuneroi("prices", "--gpus").out


def test_a_contract_is_the_price_of_its_gpu(tmp_path: Path) -> None:
    file = tmp_path / "agreed.csv"
    file.write_text(CONTRACT, encoding="utf-8")
    offers = pricing.load_offers(pricing.PriceFiles(contract=file))
    price = pricing.gpu_price("h100", offers=offers)
    assert price.numbers == (4.25,) and price.source == "your contract prices"
    assert pricing.gpu_price("h100", tier="spot", offers=offers) == pricing.gpu_price(
        "h100", tier="spot"
    )
    assert len(pricing.offers_of("l4", tier="on_demand", offers=offers)) == 1 + len(
        pricing.offers_of("l4", tier="on_demand")
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("4.25", "4,25", "agreed.csv:2: 11 cells for 10 columns"),
        ("4.25", "cheap", "agreed.csv:2: price_usd_per_gpu_hour = 'cheap' is not a number"),
        ("H100", "H1000", "agreed.csv:2: gpu = 'H1000' cannot be used: unknown GPU"),
        ("theirs", "ours", "agreed.csv:4: id = 'ours' is already on line 2"),
        (",tier", ",kind", "unknown column 'kind'"),
        (",as_of", "", "column 'as_of' is missing"),
        ("2026-10-01\n\n", "soon\n\n", "as_of = 'soon' is not a date"),
    ],
)
def test_a_contract_that_cannot_be_used_is_not_kept(
    tuneroi: Tuneroi, tmp_path: Path, old: str, new: str, said: str
) -> None:
    file = tmp_path / "agreed.csv"
    file.write_text(CONTRACT.replace(old, new, 1), encoding="utf-8")
    assert said in tuneroi("prices", "--mine", file).refusal
    assert not (tmp_path / "own" / "prices" / "contract.csv").exists()


def test_a_folder_that_cannot_be_made_holds_no_prices(
    tuneroi: Tuneroi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "file" / "below"))
    assert offered(tuneroi, "--gpu", "l4")
