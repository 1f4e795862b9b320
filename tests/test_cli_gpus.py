"""Names of GPUs and numbers of tokens read alike in every command that takes them."""

from pathlib import Path

import pytest
from command import Tuneroi

MODEL = "gpt2"
LOAD = ("--requests-per-month", "1M", "--input-tokens", "500", "--output-tokens", "100")
ONE = {
    "train": ("train", MODEL, "--tokens", "1M"),
    "fit": ("fit", MODEL),
    "buy-or-rent": ("buy-or-rent", "--gpus", "8", "--hours-per-month", "400"),
}
"""Commands about one kind of GPU."""
MANY = {
    "plan": ("plan", MODEL, "--tokens", "1M", "--top", "1"),
    "serve": ("serve", MODEL, *LOAD),
    "prices": ("prices",),
}
"""Commands about the offers of some GPUs."""


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))
    return Tuneroi(monkeypatch, capsys)


@pytest.mark.parametrize("command", [*ONE, *MANY])
def test_an_unknown_name_names_the_nearest(tuneroi: Tuneroi, command: str) -> None:
    refusal = tuneroi(*(ONE | MANY)[command], "--gpu", "rtx4090").refusal
    assert "unknown GPU 'rtx4090'; nearest known: rtx-4090, rtx-5090, rtx-3090" in refusal


@pytest.mark.parametrize("command", [*ONE, *MANY])
@pytest.mark.parametrize("alias", ["L4", "nvidia_l4", "l4-24gb"])
def test_every_spelling_means_the_same(tuneroi: Tuneroi, command: str, alias: str) -> None:
    ran = tuneroi(*(ONE | MANY)[command], "--gpu", alias)
    assert ran.status == 0 and "l4-24gb" in ran.out


@pytest.mark.parametrize("command", ONE)
def test_where_one_is_meant_a_family_is_refused_by_its_members(
    tuneroi: Tuneroi, command: str
) -> None:
    refusal = tuneroi(*ONE[command], "--gpu", "a100").refusal
    assert "'a100' comes in several kinds; name one: a100-sxm4-80gb, a100-sxm4-40gb" in refusal


def test_where_offers_are_meant_a_family_is_all_its_members(tuneroi: Tuneroi) -> None:
    served = tuneroi(*MANY["serve"], "--gpu", "a100", "--gpu", "a100-80gb", "--json").json
    found = {row["gpu"] for row in (*served["options"], *served["refused"])}
    offered = tuneroi("prices", "--gpu", "a100", "--tier", "on_demand", "--json").json["offers"]
    assert found == {offer["gpu"] for offer in offered} > {"a100-sxm4-80gb"}
    offers = [option["offer"] for option in served["options"]]
    assert len(offers) == len(set(offers))


def test_the_machine_here_may_be_fitted_once_it_is_measured(tuneroi: Tuneroi) -> None:
    assert "has not been measured yet" in tuneroi("fit", MODEL, "--gpu", "this-machine").refusal


@pytest.mark.parametrize("command", ["train", "plan"])
def test_tokens_are_read_as_people_write_them(tuneroi: Tuneroi, command: str) -> None:
    base = (command, MODEL, "--gpu", "l4", "--json", "--tokens")
    plain = tuneroi(*base, "1500000").json
    assert all(tuneroi(*base, text).json == plain for text in ("1.5M", "1_500k", "0.0015B"))


def test_loads_are_read_as_people_write_them(tuneroi: Tuneroi) -> None:
    need = tuneroi(*MANY["serve"], "--gpu", "l4", "--json").json["need"]
    assert (need["requests_per_month"], need["input_tokens"]) == (1e6, 500)


@pytest.mark.parametrize(
    "options",
    [
        ("train", MODEL, "--tokens", "20 Mio"),
        ("train", MODEL, "--examples", "9", "--mean-tokens", "few"),
        ("plan", MODEL, "--tokens", "1M", "--evaluation-tokens", "-2M"),
        ("serve", MODEL, *LOAD[:2], "--input-tokens", "nan", "--output-tokens", "1"),
    ],
)
def test_what_is_no_number_is_refused_alike(tuneroi: Tuneroi, options: tuple[str, ...]) -> None:
    assert "allowed: a number such as 800, 500k, 2M or 1.5B (got " in tuneroi(*options).refusal


def test_providers_may_be_several_wherever_offers_are_looked_at(tuneroi: Tuneroi) -> None:
    def offers(*providers: str) -> set[str]:
        asked = [word for name in providers for word in ("--provider", name)]
        served = tuneroi(*MANY["serve"], "--gpu", "h100", *asked, "--json").json
        return {row["offer"] for row in (*served["options"], *served["refused"])}

    assert offers("AWS", "Lambda") == offers("AWS") | offers("Lambda") > offers("AWS")
    assert "--tier 'spott': choose from" in tuneroi(*MANY["serve"], "--tier", "spott").refusal
