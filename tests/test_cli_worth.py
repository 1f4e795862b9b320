"""`tuneroi worth` and `tuneroi buy-or-rent`: answers in words and as data, mistakes in one line."""

from pathlib import Path

import pytest
from command import Tuneroi

EXAMPLES = Path(__file__).parent.parent / "examples"
GPUS = ("buy-or-rent", "--gpu", "h100", "--gpus", "8", "--hours-per-month")


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "data"))
    return Tuneroi(monkeypatch, capsys)


def test_a_ranked_list_in_words_and_as_data(tuneroi: Tuneroi) -> None:
    wanted = ("worth", EXAMPLES / "mid-size-desk.yaml", "--draws", "4096")
    data = tuneroi(*wanted, "--json").json
    net = [study["enbs_usd"] for study in data["studies"]]
    assert net == sorted(net, reverse=True)
    assert set(data) == {"evpi_usd", "evppi_usd", "groups_usd", "studies", "worthwhile"}
    assert data["worthwhile"] == [s["id"] for s in data["studies"] if s["enbs_usd"] > 0]
    shown = tuneroi(*wanted).out
    assert data["studies"][0]["name"] in shown
    assert "Cheapest way" in shown
    assert "Groups of inputs, known together" in shown


def test_settings_and_alternatives_are_taken(tuneroi: Tuneroi) -> None:
    wanted = ("worth", EXAMPLES / "mid-size-desk.yaml", "--draws", "4096", "--alternatives", "rag")
    zero = tuneroi(*wanted, "--set", "demand.requests_per_month=0").out
    assert "Nothing is worth finding out: no input could change the answer." in zero


def test_draws_are_a_power_of_two(tuneroi: Tuneroi) -> None:
    said = tuneroi("worth", EXAMPLES / "mid-size-desk.yaml", "--draws", "5000").refusal
    assert "--draws 5000: must be a power of two" in said


def test_buying_and_renting_in_words_and_as_data(tuneroi: Tuneroi) -> None:
    data = tuneroi(*GPUS, "400", "--years", "3", "--json").json
    assert data["gpu"] == "h100-sxm5-80gb"
    assert data["utilisation"] == pytest.approx(400 / 730)
    assert {"buy", "on_demand", "spot"} <= set(data["usd_per_month"])
    parts = sum(part["mean"] for part in data["own_usd_per_year"].values())
    assert parts / 12 == pytest.approx(data["usd_per_month"]["buy"]["mean"])
    shown = tuneroi(*GPUS, "400").out
    assert "buying pays from about" in shown
    assert "Level cost per month" in shown


def test_ones_own_prices_replace_the_market(tuneroi: Tuneroi) -> None:
    own = ("--rent", "{low: 1.0, high: 1.2}", "--purchase-price", "40000", "--electricity", "0.3")
    data = tuneroi(*GPUS, "400", *own, "--json").json
    assert data["cheapest"] != "buy"
    assert data["inputs"]["purchase_usd_per_gpu"]["value"] == 40_000
    assert data["inputs"]["on_demand_usd_per_gpu_hour"]["evidence"] == "user"
    assert "renting on demand is cheaper" in tuneroi(*GPUS, "400", *own).out
    idle = tuneroi(*GPUS, "0").out
    assert "n/a" in idle


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*GPUS, "900"), "hours per month 900: from 0 to 730"),
        ((*GPUS, "100", "--rent", "x"), "--rent: got 'x'; allowed: a number"),
        ((*GPUS, "100", "--rent", "0"), "--rent: 0 given; must be above 0"),
        (("buy-or-rent", "--gpu", "h1000", "--gpus", "1", "--hours-per-month", "1"), "GPU 'h1000'"),
    ],
)
def test_mistakes_in_one_line(tuneroi: Tuneroi, arguments: tuple[str, ...], said: str) -> None:
    assert said in tuneroi(*arguments).refusal
