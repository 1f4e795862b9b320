"""`tuneroi prices`: the tables are the CSV files, with dates, evidence and a mark on old rows."""

import csv
from datetime import date
from pathlib import Path

import pytest
from command import Tuneroi

import pricing
from estimator.quantity import Quantity
from estimator.report.facts import figures, overview, quantity_dict, spread, unit_words
from estimator.report.prices import TABLES, price_tables

DATA = Path(pricing.__file__).parent / "data"


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
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
