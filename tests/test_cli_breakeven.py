"""`tuneroi breakeven`: values in words and as data, and its mistakes in one line."""

from pathlib import Path

import pytest
from command import Tuneroi

SCENARIO = """
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 12
alternatives: [rag, saas, prompting]
"""
PRICE = "saas.price_usd_per_unit"


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "data"))
    Path("mine.yaml").write_text(SCENARIO, encoding="utf-8")
    return Tuneroi(monkeypatch, capsys)


def test_the_values_in_words_and_as_data_agree(tuneroi: Tuneroi) -> None:
    wanted = ("breakeven", "mine.yaml", "--input", PRICE, "--between", "rag", "saas", "--to", "30")
    shown = tuneroi(*wanted)
    assert shown.status == 0
    data = tuneroi(*wanted, "--json").json
    assert data["input"] == PRICE
    assert data["between"] == ["rag", "saas"]
    (found,) = data["break_even"]
    assert found["better_above"] == "rag"
    assert data["searched"]["low"] < found["value"] < data["searched"]["high"] == 30
    assert "Buy a SaaS assistant is worth more below" in shown.out
    assert len(data["curve"]["value"]) == len(data["curve"]["gain_usd"]) == 65
    gain = data["curve"]["gain_usd"]
    assert gain == sorted(gain)  # a dearer vendor only ever helps RAG
    assert {"0.5", "0.8"} <= set(data["chance_a_better"])


def test_without_a_pair_it_takes_the_best_two(tuneroi: Tuneroi) -> None:
    data = tuneroi("breakeven", "mine.yaml", "--input", "quality.skill", "--json").json
    compared = tuneroi("compare", "mine.yaml", "--json").json
    verdict = compared["verdict"]
    assert data["between"] == [verdict["alternative"], verdict["runner_up"]]


def test_settings_change_the_scenario_first(tuneroi: Tuneroi) -> None:
    wanted = ("breakeven", "mine.yaml", "--input", PRICE, "--between", "rag", "saas", "--to", "60")
    plain = tuneroi(*wanted, "--json").json["break_even"][0]["value"]
    more = tuneroi(*wanted, "--set", "demand.requests_per_month={low: 8e4, high: 9e4}", "--json")
    assert more.json["break_even"][0]["value"] < plain  # volume carries the fixed costs


def test_no_break_even_is_said(tuneroi: Tuneroi) -> None:
    path = "training.epochs"
    shown = tuneroi("breakeven", "mine.yaml", "--input", path, "--between", "rag", "prompting")
    assert "No break-even from" in shown.out
    assert "throughout" in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--input", "quality.skil"), "unknown input 'quality.skil'; nearest known"),
        (("--input", PRICE, "--between", "rag", "rga"), "unknown alternative 'rga'"),
        (("--input", PRICE, "--between", "saas", "saas"), "name two alternatives"),
        (("--input", PRICE, "--between", "rag", "saas", "--from", "-1"), "must be at least 0"),
        (("--input", PRICE, "--set", "quality.skill"), "write PATH=VALUE"),
    ],
)
def test_mistakes_in_one_line(tuneroi: Tuneroi, arguments: tuple[str, ...], said: str) -> None:
    assert said in tuneroi("breakeven", "mine.yaml", *arguments).refusal
