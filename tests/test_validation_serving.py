"""Serving predictions against published rows: what is expressed, the errors, honest ranges."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Tuneroi

from estimator.errors import InputError
from estimator.serving.constants import serving_constants
from estimator.serving.fit import fit, left_out, source_weights
from estimator.serving.measured import batch_of, predict
from estimator.validation.rows import read_rows
from estimator.validation.serving import COLUMNS, case_of, read_cases, validate_serving

PUBLISHED = Path(__file__).parent / "data" / "serving_published.csv"
UNSEEN = PUBLISHED.with_name("serving_unseen.csv")
ROW = {
    "row_id": "one",
    "source": "somebody",
    "model": "llama-3.1-8b",
    "framework": "vLLM 0.9",
    "gpu": "h100-sxm5-80gb",
    "n_gpus": "1",
    "precision": "bf16",
    "scenario": "offline",
    "batch": "32",
    "input_len": "1000",
    "output_len": "500",
    "output_tokens_per_s_total": "1500",
}


def case(tmp_path: Path, **changes: str) -> Any:
    row = {**ROW, **changes}
    path = tmp_path / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    return case_of(read_rows(path, COLUMNS)[0])


def test_every_published_row_is_expressed_and_near() -> None:
    found = validate_serving(PUBLISHED)
    scores = found.scores
    assert scores.total.rows == scores.rows == 59 and not scores.unexpressed
    assert len(scores.by_source) == 5
    assert scores.total.median_ape is not None and scores.total.median_ape < 0.20
    assert scores.median_ape_by_source_mean is not None
    assert scores.median_ape_by_source_mean < 0.20
    assert scores.total.coverage_80 is not None and scores.total.coverage_80 > 0.65
    assert set(found.by_load) == {"batched", "single_stream"}


def test_each_source_left_out_is_still_near() -> None:
    cases, *_ = read_cases(PUBLISHED, include_suspect=False)
    rows, sources = batch_of([c.measured for c in cases]), np.array([c.row.source for c in cases])
    unseen = left_out(rows, sources, serving_constants(), sources)
    errors = np.abs(unseen / rows.measured - 1)
    assert float(np.median(errors)) < 0.25
    assert float(np.mean([np.median(errors[sources == s]) for s in np.unique(sources)])) < 0.25


def test_a_program_that_was_never_fitted_is_near_too() -> None:
    # static batches of 1 to 64 on one and four A100s, published by LMDeploy
    found = validate_serving(UNSEEN)
    assert not any(key.startswith("lmdeploy") for key in serving_constants().seen)
    assert found.scores.total.rows == found.scores.rows == 29
    assert found.scores.total.median_ape is not None and found.scores.total.median_ape < 0.20
    assert found.scores.total.coverage_80 is not None and found.scores.total.coverage_80 > 0.8


def test_a_fit_finds_the_parameters_that_made_the_rows() -> None:
    constants = serving_constants()
    cases, *_ = read_cases(PUBLISHED, include_suspect=False)
    rows = batch_of([c.measured for c in cases])
    prior = constants.parameters["bandwidth_share"]
    entry = prior.entries["all"].model_copy(update={"value": 0.7})
    true = constants.model_copy(
        update={
            "parameters": constants.parameters
            | {"bandwidth_share": prior.model_copy(update={"entries": {"all": entry}})}
        }
    )
    made = replace(rows, measured=predict(rows, true.values))
    again = fit(made, np.array([c.row.source for c in cases]), constants)
    found, start = again.values["bandwidth_share"]["all"], prior.entries["all"].prior
    assert abs(found - 0.7) < 0.5 * abs(start - 0.7)  # the prior holds it back a little
    assert again.rows == len(cases)


def test_large_sources_do_not_outvote_small_ones() -> None:
    weights = source_weights(np.array(["large"] * 300 + ["small"] * 10))
    assert weights[:300].sum() == pytest.approx(30) and weights[300:].sum() == 10


def test_what_a_row_measures(tmp_path: Path) -> None:
    assert case(tmp_path).measured.output_tokens_per_second == 1500
    # two replicas of two GPUs each share the total
    halves = case(tmp_path, n_gpus="4", tp="2").measured
    assert halves.output_tokens_per_second == 750 and float(halves.machine.gpus) == 2
    user = case(tmp_path, output_tokens_per_s_total="", tokens_per_s_per_user="40").measured
    assert user.output_tokens_per_second == 40 * 32
    both = case(tmp_path, output_tokens_per_s_total="", total_tokens_per_s="4500").measured
    assert both.output_tokens_per_second == 1500
    for metric in (
        "tokens/s (prompt + generated)/time",
        "(tokens_prompt + tokens_generation)/time",
        "tokens/s averaged over encoded and generated tokens",
        "Prompt+generated tokens per second",
    ):
        assert case(tmp_path, metric=metric).measured.output_tokens_per_second == 500
    for metric in ("generated tokens per second", "tokens/s/user", "output tokens, prompt apart"):
        assert case(tmp_path, metric=metric).measured.output_tokens_per_second == 1500
    most = case(tmp_path, batch="", scenario="offline max throughput").measured
    assert most.batch is None and most.load == "batched"
    alone = case(tmp_path, batch="", scenario="single stream", input_len="", output_len="")
    assert alone.measured.batch == 1 and "not stated" in alone.note
    bits = case(tmp_path, quantization="EXL2 3.0bpw", framework="ExLlamaV2").measured.model
    assert bits.weights_bytes < case(tmp_path, quantization="int4").measured.model.weights_bytes
    in_turn = case(tmp_path, framework="HF Transformers", n_gpus="2").measured
    assert float(in_turn.machine.gpus) == 1 and in_turn.output_tokens_per_second == 1500


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"framework": "ollama"}, "framework 'ollama' is not modelled"),
        ({"quantization": "ternary"}, "quantization 'ternary' is not modelled"),
        ({"model": "mystery-9b"}, "model 'mystery-9b' is not shipped"),
        ({"pp": "2"}, "pipeline parallelism"),
        ({"n_gpus": "3", "tp": "2"}, "do not divide"),
        ({"batch": "", "scenario": "server"}, "states no batch"),
        ({"input_len": ""}, "input_len is not stated"),
        ({"output_tokens_per_s_total": ""}, "no speed is stated"),
        ({"output_tokens_per_s_total": "fast"}, "allowed: a number above 0"),
    ],
)
def test_what_cannot_be_expressed(tmp_path: Path, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        case(tmp_path, **changes)


def test_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tuneroi, out = Tuneroi(monkeypatch, capsys), tmp_path / "out.csv"
    data = tuneroi("validate", "serving", PUBLISHED, "--json", "--rows-out", out).json
    assert data["rows"] == data["expressed"] == 59
    for name in ("median_ape", "p90_ape", "bias", "coverage_80", "median_ape_by_source_mean"):
        assert isinstance(data[name], float)
    assert sum(score["rows"] for score in data["by_source"].values()) == 59
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 59
    assert all(float(r["p10"]) <= float(r["p50"]) <= float(r["p90"]) for r in rows)
    shown = tuneroi("validate", "serving", PUBLISHED).out
    assert "59 of 59 rows predicted" in shown and "By program" in shown
    missing = tmp_path / "rows.csv"
    missing.write_text("model,gpu\na,b\n", "utf-8")
    assert "framework" in tuneroi("validate", "serving", missing).refusal
