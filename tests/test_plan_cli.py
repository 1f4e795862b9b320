"""`tuneroi plan`: the promised document, what a person reads, refusals, mistakes in one line."""

import json
from pathlib import Path

import pytest
from command import Tuneroi

LLAMA = "meta-llama/Llama-3.1-8B"
HERE = ("plan", LLAMA, "--offline", "--provider", "AWS", "--provider", "Lambda")
SIZE = ("--tokens", "2e7")


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "own"))
    return Tuneroi(monkeypatch, capsys)


def test_the_promised_document(tuneroi: Tuneroi, tmp_path: Path) -> None:
    rows = [{"prompt": f"What is {i} + {i}?", "completion": f"{2 * i}. " * 40} for i in range(400)]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = tuneroi(
        *HERE, "--dataset", path, "--deadline", "24h", "--budget", "500", "--json", "--why-not",
        "aws-p5.48xlarge-spot",
    ).json  # fmt: skip
    assert found["model"] == LLAMA and found["limits"]["judged_at"] == "P80"
    assert found["plans"] and found["reasons"] and found["refused"]
    for one in found["plans"]:
        assert one["memory"]["peak_bytes"]["p50"] <= one["memory"]["capacity_bytes"]
        for name in ("gpu_hours", "wall_clock_hours", "cost_usd", "mfu", "step_seconds"):
            assert 0 < one[name]["p10"] <= one[name]["p50"] <= one[name]["p90"]
        assert isinstance(one["offer"], str) and one["gpus"] >= 1
        assert one["recipe"]["method"] == "lora" and isinstance(one["pareto"], bool)
        assert sum(one["step_split"].values()) == pytest.approx(1.0)
        assert one["energy"] is None or one["energy"]["kg_co2e"]["p50"] > 0
    assert found["plans"][0]["pareto"]
    assert all(set(x) == {"offer", "reason"} for x in found["refused"])
    assert "--spot" in found["why_not"]
    assert found["searched"]["candidates"] > 100


def test_the_same_run_costed_by_train(tuneroi: Tuneroi) -> None:
    best = tuneroi(*HERE, *SIZE, "--max-gpus", "1", "--json").json["plans"][0]
    recipe = best["recipe"]
    alone = tuneroi(
        "train", LLAMA, "--offline", *SIZE, "--gpu", best["gpu"], "--gpus", best["gpus"],
        "--price", best["price"]["usd_per_gpu_hour"]["p50"], "--micro-batch",
        recipe["micro_batch"], "--checkpointing", recipe["checkpointing"], "--json",
    ).json  # fmt: skip
    assert alone["recipe"] == recipe
    for name in ("step_seconds", "gpu_hours"):
        assert alone[name] == pytest.approx(best[name], rel=1e-9)
    assert alone["memory"]["peak_bytes"] == pytest.approx(best["memory"]["peak_bytes"], rel=1e-9)
    assert alone["cost_usd"]["p50"] == pytest.approx(best["cost_usd"]["p50"], rel=0.01)


def test_what_a_person_reads(tuneroi: Tuneroi) -> None:
    out = tuneroi(
        "plan", LLAMA, "--offline", "--provider", "AWS", *SIZE, "--deadline", "2d", "--top", "3"
    ).out
    for words in ("Why the first", "GiB", "carbon", "before the deadline", "MFU", "--spot"):
        assert words in out
    assert max(map(len, out.splitlines())) <= 160


def test_launch_prints_files_as_they_are(tuneroi: Tuneroi) -> None:
    out = tuneroi(*HERE, *SIZE, "--launch").out
    assert "# accelerate.yaml" in out and "# task.yaml" in out and "idle_minutes: 10" in out
    made = tuneroi(*HERE, *SIZE, "--launch", "--json").json["launch"]
    assert set(made["files"]) == {"accelerate.yaml", "task.yaml"}
    assert made["command"].startswith("accelerate launch")


def test_nothing_feasible_names_the_nearest(tuneroi: Tuneroi) -> None:
    refusal = tuneroi(*HERE, "--tokens", "1e12", "--deadline", "1h", "--budget", "10").refusal
    assert "no offer keeps every limit" in refusal and "misses the deadline by" in refusal
    ran = tuneroi(*HERE, "--tokens", "1e12", "--deadline", "1h", "--json")
    assert ran.status == 2 and ran.json["plans"] == [] and ran.json["refused"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--deadline", "soon"), "--deadline 'soon': give a number above 0 with its unit"),
        (("--budget", "-3"), "--budget -3: must be above 0"),
        (("--region", "mars"), "unknown region 'mars'"),
        (("--gpu", "h1000"), "unknown GPU 'h1000'"),
        (("--why-not", "nobody"), "unknown offer 'nobody'"),
        (("--sure", "1"), "sure = 1: allowed is 0.5 to 0.9"),
        (("--headroom", "1"), "headroom = 1: a share of the memory"),
        (("--stack", "jax"), "--stack 'jax': choose from huggingface"),
        (("--global-batch", "9:3"), "global batch 9:3"),
        (("--tier", "free"), "--tier 'free': choose from on_demand"),
        (("--calibration", "none.json"), "none.json"),
    ],
)
def test_mistakes_are_one_line(tuneroi: Tuneroi, options, words) -> None:
    assert words in tuneroi(*HERE, *SIZE, *options).refusal


def test_own_prices_are_used(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = tmp_path / "contract.csv"
    path.write_text(
        "id,provider,instance,gpu,gpus_per_node,minimum_gpus,price_usd_per_gpu_hour,tier,source,"
        "as_of\nours,AWS,p5.48xlarge,h100-sxm5-80gb,8,8,0.01,on_demand,our contract,2026-11\n",
        "utf-8",
    )
    best = tuneroi(*HERE, *SIZE, "--prices", path, "--json").json["plans"][0]
    assert best["offer"] == "ours" and best["price"]["origin"] == "contract"


def test_a_calibration_file_is_for_the_gpu_it_was_measured_on(tmp_path: Path) -> None:
    from test_calibration_file import file_of

    from estimator.cli.plan_options import calibrations_of
    from estimator.errors import InputError
    from estimator.hardware.calibration_file import save_calibration_file
    from pricing import gpu_offers

    path = save_calibration_file(file_of(), tmp_path)
    offers = gpu_offers()
    assert set(calibrations_of(offers, str(path))) == {"h100-sxm5-80gb"}
    assert calibrations_of(offers, "shipped") == {}
    others = [offer for offer in offers if offer.gpu != "h100-sxm5-80gb"]
    with pytest.raises(InputError, match="no offer has the GPU that it was measured on"):
        calibrations_of(others, str(path))
