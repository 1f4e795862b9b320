"""`tuneroi serve`: the promised document, the table, refusals, mistakes."""

from typing import Any, get_args

import pytest
from command import Tuneroi

from estimator.cli.arguments import count
from estimator.cli.serve_arguments import ServingProgram
from estimator.serving.constants import serving_constants

LLAMA = "meta-llama/Llama-3.1-8B"
LOAD = ("--requests-per-month", "2M", "--input-tokens", "800", "--output-tokens", "200")
LIMITS = ("--ttft", "1", "--tpot", "0.05")


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))
    return Tuneroi(monkeypatch, capsys)


def ordered(found: dict[str, float]) -> bool:
    return 0 < found["p10"] <= found["p50"] <= found["p90"]


def test_the_promised_document(tuneroi: Tuneroi) -> None:
    data = tuneroi("serve", LLAMA, *LOAD, *LIMITS, "--json").json
    assert data["model"] == LLAMA and data["need"]["requests_per_month"] == 2e6
    assert len(data["options"]) > 30
    for option in data["options"]:
        for name in ("usd_per_month", "usd_per_million_tokens", "usd_per_request"):
            assert ordered(option[name])
        assert isinstance(option["offer"], str) and option["gpus"] >= 1
        assert option["replicas"] >= 2 and 0 < option["utilisation"] <= 1
        assert option["ttft_seconds"] <= 1 and option["tpot_seconds"] <= 0.05
        assert option["source"] and option["as_of"] and isinstance(option["stale"], bool)
    costs = [option["usd_per_month"]["p50"] for option in data["options"]]
    assert costs == sorted(costs)
    assert all(row["offer"] and row["reason"] for row in data["refused"])
    kinds = {row["kind"] for row in data["compared"]}
    assert kinds == {"token_price", "hosted_tuned", "hosted_by_the_hour"}
    curve, day = data["cost_by_volume"], data["day"]
    assert len(curve["requests_per_month"]) == len(curve["usd_per_request"]) > 50
    assert curve["offer"] == day["offer"] == data["options"][0]["offer"]
    assert len(day["utilisation"]) == 24


def test_the_table(tuneroi: Tuneroi) -> None:
    shown = tuneroi("serve", LLAMA, *LOAD, *LIMITS).out
    assert "2,000,000 requests a month of 800 + 200 tokens" in shown
    for word in ("Rented GPUs", "hosted by others", "token price", "hosted by the hour", "Refused"):
        assert word in shown
    assert "cannot meet TPOT" in shown and "does not fit" in shown


def test_options_narrow_and_change_the_plan(tuneroi: Tuneroi) -> None:
    def cost(*more: str) -> float:
        made = tuneroi("serve", LLAMA, *LOAD, "--gpu", "h100-sxm", *more, "--json").json
        assert {option["gpu"] for option in made["options"]} == {"h100-sxm5-80gb"}
        return float(made["options"][0]["usd_per_month"]["p50"])

    assert cost("--redundancy", "0") < cost() < cost("--redundancy", "3")
    big = ("--requests-per-month", "300M")
    assert cost(*big, "--autoscale") < cost(*big)
    assert cost(*big, "--peak-factor", "1.5") < cost(*big, "--peak-factor", "6")
    assert cost(*big, "--quantisation", "fp8") < cost(*big, "--precision", "bf16")
    assert cost(*big, "--cached-share", "0.8") < cost(*big)
    flat = ",".join(["1"] * 24)
    assert cost(*big, "--diurnal", flat) == cost(*big, "--peak-factor", "1")
    few = ("--requests-per-month", "500")
    assert cost(*few, "--scale-to-zero") < 0.5 * cost(*few)
    spot = tuneroi("serve", LLAMA, *LOAD, "--tier", "spot", "--provider", "AWS", "--json").json
    assert {(o["tier"], o["provider"]) for o in spot["options"]} == {("spot", "AWS")}


def test_api_prices_and_contracts(tuneroi: Tuneroi, tmp_path: Any) -> None:
    contract = tmp_path / "contract.csv"
    contract.write_text(
        "id,provider,instance,gpu,gpus_per_node,minimum_gpus,price_usd_per_gpu_hour,tier,source,"
        "as_of\nours,Ours,x,h100-sxm5-80gb,8,1,0.01,on_demand,contract 7,2026-11-01\n",
        "utf-8",
    )
    data = tuneroi(
        "serve", LLAMA, *LOAD, "--prices", contract, "--api", "openai:gpt-4.1-mini", "--json"
    ).json
    assert data["options"][0]["offer"] == "ours"
    assert any(row["provider"] == "openai" for row in data["compared"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--gpu", "h1000"), "h1000"),
        (("--tpot", "0"), "tpot_seconds is 0"),
        (("--tpot", "0.0001"), "cannot meet TPOT"),
        (("--precision", "fp9"), "weight format 'fp9'"),
        (("--tier", "spott"), "spott"),
        (("--provider", "Nobody"), "Nobody"),
        (("--api", "openai"), "PROVIDER:MODEL"),
        (("--diurnal", "1,2"), "24 numbers"),
        (("--diurnal", "a,b"), "24 numbers"),
        (("--diurnal", "1,2", "--peak-factor", "2"), "exclude each other"),
        (("--gpu", "t4", "--provider", "Lambda"), "no offer has"),
        (("--requests-per-month", "many"), "500k, 2M"),
        (("--prices", "missing.csv"), "missing.csv"),
        (("--program", "ollama"), "ollama"),
    ],
)
def test_mistakes_are_one_line(tuneroi: Tuneroi, arguments: tuple[str, ...], message: str) -> None:
    assert message in tuneroi("serve", LLAMA, *LOAD, *arguments).refusal


@pytest.mark.parametrize(
    ("text", "value"),
    [("800", 800), ("2M", 2e6), ("500k", 5e5), ("1.5B", 1.5e9), ("1_000", 1e3), ("2e6", 2e6)],
)
def test_numbers_as_people_write_them(text: str, value: float) -> None:
    assert count(text) == count(value) == value


@pytest.mark.parametrize("text", ["", "-1", "2 Mio", "nan", "inf", "1..2", "k"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        count(text)


def test_programs_are_those_that_serve_many() -> None:
    many = {name for name, p in serving_constants().programs.items() if p.max_batch > 100}
    assert set(get_args(ServingProgram)) == many
