"""Wages by country and money in the reader's currency."""

from pathlib import Path

import numpy as np
import pytest

import pricing
from estimator.alternatives import build_alternative
from estimator.decision.currency import rate_note, shown_in
from estimator.decision.evaluate import draw_inputs, world_of
from estimator.decision.wording import money
from estimator.errors import CatalogError, InputError
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import dump_scenario, parse_scenario
from pricing.countries import (
    COUNTRY_COLUMNS,
    HOME_COUNTRY,
    WAGE_COLUMNS,
    countries,
    country_code,
    load_factor,
    published_wages,
    read_countries,
    read_published_wages,
    wages_in,
)
from pricing.currency import COLUMNS, exchange_rate, exchange_rates, read_exchange_rates

PROVENANCE = "source,as_of,evidence,note"
BASE = parse_scenario("demand: {requests_per_month: 20000}\n")


def table(tmp_path: Path, columns: tuple[str, ...], *lines: str) -> Path:
    path = tmp_path / "table.csv"
    rows = [f"{line},somebody's page,2026-01,guess," for line in lines]
    path.write_text("\n".join([",".join((*columns, PROVENANCE)), *rows]), "utf-8")
    return path


def test_rates_of_the_european_central_bank() -> None:
    """6 October 2026: 1 EUR = 1.1269 USD = 0.84880 GBP = 178.15 JPY = 108.6615 INR."""
    assert exchange_rate("USD").units_per_usd == 1
    assert exchange_rate("EUR").units_per_usd == pytest.approx(1 / 1.1269)
    assert exchange_rate("gbp").units_per_usd == pytest.approx(0.84880 / 1.1269)
    assert exchange_rate("Indian rupee").units_per_usd == pytest.approx(96.42, abs=0.01)
    assert {rate.as_of for rate in exchange_rates().values()} == {"2026-10-06"}


def test_money_is_shown_in_the_readers_currency() -> None:
    for usd, currency, shown in (
        (1_234_567, "USD", "$1.2M"),
        (1_000_000, "EUR", "€890k"),
        (-1_000_000, "GBP", "-£750k"),
        (1_000_000, "INR", "₹96M"),
        (10_000, "PLN", "PLN 39k"),
        (float("nan"), "EUR", "n/a"),
    ):
        with shown_in(currency):
            assert money(usd) == shown
    assert rate_note() is None
    with shown_in("EUR"):
        note = rate_note()
    assert note is not None and "0.8874 EUR" in note and "2026-10-06" in note


def test_every_country_has_wages_a_currency_and_a_load() -> None:
    assert len(countries()) >= 11
    for code, country in countries().items():
        assert country.currency in exchange_rates()
        assert 1 < country.load_factor.mean() < 2
        assert set(wages_in(code)) == set(pricing.wages())
        for wage in wages_in(code).values():
            assert wage.unit == "USD/year"
            assert wage.source


def test_home_is_as_published_and_elsewhere_is_scaled_by_what_is_published_there() -> None:
    assert wages_in("US") is pricing.wages()
    assert load_factor("US") == pricing.assumption("people.load_factor")
    # Germany: 65,250 EUR at 1.1269 USD over 133,080 USD is 0.5525 of the American range.
    ratio = 65_250 * 1.1269 / 133_080
    german, american = wages_in("DE")["ml_engineer"], pricing.wage("ml_engineer")
    assert german.numbers == pytest.approx([x * ratio for x in american.numbers])
    assert german.note is not None
    assert f"x {ratio:.2f}" in german.note and "65,250 EUR in Germany" in german.note


def test_american_anchors_are_the_published_medians_of_the_wage_table() -> None:
    medians = {"software_developer": 133_080, "data_scientist": 112_590}
    medians["customer_service_representative"] = 42_830
    for occupation, median in medians.items():
        assert published_wages()[HOME_COUNTRY, occupation].wage_per_year == median


def test_poorer_countries_pay_less() -> None:
    usd = {code: wages_in(code)["ml_engineer"].mean() for code in countries()}
    assert usd["IN"] < usd["BR"] < usd["PL"] < usd["DE"] < usd["US"]


@pytest.mark.parametrize("name", ["DE", "de", "Germany", " germany "])
def test_a_country_goes_by_code_or_name(name: str) -> None:
    assert country_code(name) == "DE"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("team: {country: Germani}", ["Germani", "Germany"]),
        ("team: {country: XX}", ["'XX'", "known: AU, Australia"]),
        ("currency: EUT", ["'EUT'", "EUR"]),
        ("team: {country: DE, wages_usd_per_year: {wizard: 1}}", ["wizard", "role"]),
    ],
)
def test_unknown_ones_name_the_nearest(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_scenario(f"demand: {{requests_per_month: 20000}}\n{text}\n")
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_wages_follow_the_country_and_a_given_wage_stays() -> None:
    german = with_inputs(BASE, {"team.country": "Germany"})
    assert german.team.country == "DE"
    assert german.team.wages_usd_per_year == dict(wages_in("DE"))
    assert german.team.load_factor == countries()["DE"].load_factor
    mine = with_inputs(german, {"team.wages_usd_per_year.ml_engineer": 90_000})
    assert mine.team.wages_usd_per_year["ml_engineer"].value == 90_000
    data_scientist = mine.team.wages_usd_per_year["data_scientist"]
    assert data_scientist == wages_in("DE")["data_scientist"]
    assert parse_scenario(dump_scenario(mine)) == mine
    assert "currency" not in dump_scenario(BASE)


def project_usd(scenario: Scenario) -> np.ndarray:
    world = world_of(scenario, draw_inputs(scenario, n=64, seed=1))
    return build_alternative("rag", world).items[0].present_value_usd()


def test_a_project_costs_less_where_people_earn_less() -> None:
    at_home, away = BASE, with_inputs(BASE, {"team.country": "India"})
    assert (project_usd(away) < project_usd(at_home) / 4).all()


def test_the_currency_changes_no_computed_number() -> None:
    np.testing.assert_array_equal(
        project_usd(with_inputs(BASE, {"currency": "INR"})), project_usd(BASE)
    )


def test_faults_of_the_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row for USD"):
        read_exchange_rates(table(tmp_path, COLUMNS, "EUR,euro,€,1"))
    with pytest.raises(InputError, match=r"csv:2: units_per_eur = '0'"):
        read_exchange_rates(table(tmp_path, COLUMNS, "USD,US dollar,$,0"))
    with pytest.raises(CatalogError, match="unknown currency 'XXX'"):
        read_countries(table(tmp_path, COUNTRY_COLUMNS, "ZZ,Nowhere,XXX,1.1,1.2,1.3"))
    with pytest.raises(InputError, match=r"csv:2: load_mode"):
        read_countries(table(tmp_path, COUNTRY_COLUMNS, "ZZ,Nowhere,EUR,1.3,1.2,1.4"))
    with pytest.raises(InputError, match=r"csv:2: country = 'ZZ' .*country"):
        read_published_wages(table(tmp_path, WAGE_COLUMNS, "ZZ,data_scientist,1"))
    twice = ("DE,data_scientist,1", "DE,data_scientist,2")
    with pytest.raises(InputError, match=r"csv:3: occupation .*twice for DE"):
        read_published_wages(table(tmp_path, WAGE_COLUMNS, *twice))
    with pytest.raises(InputError, match="US has no wage of customer_service_representative"):
        read_published_wages(table(tmp_path, WAGE_COLUMNS, "DE,data_scientist,1"))
