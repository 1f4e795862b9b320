"""Files of traced peaks: read, compared with the closed form, written by a real trace."""

import csv
import json
import sys
from pathlib import Path

import pytest
from command import Tuneroi

from estimator.llm.architecture import Architecture
from estimator.llm.resolve import config_of
from estimator.training.trace import TraceCase, closed_form_peak
from estimator.validation.tracing import write_traces

LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 500,
    "tie_word_embeddings": False, "max_position_embeddings": 512,
}  # fmt: skip
ROW = {
    "config": "models/small/config.json", "method": "lora", "checkpointing": "no",
    "weights_dtype": "bf16", "amp": "no", "attention": "sdpa", "micro_batch": "2",
    "seq_len": "128", "lora_rank": "8", "peak_bytes": "",
}  # fmt: skip


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


def form(**changes: object) -> int:
    case = {"method": "lora", "micro_batch": 2, "sequence_length": 128, "lora_rank": 8, **changes}
    model = Architecture.from_hf_config(LLAMA, "small")
    return closed_form_peak(model, TraceCase(**case))  # type: ignore[arg-type]


def file_of(folder: Path, *changes: dict[str, object]) -> Path:
    place = folder / "models" / "small"
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    path = folder / "traces.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(ROW))
        writer.writeheader()
        writer.writerows({**ROW, **change} for change in changes)
    return path


def test_rows_say_the_same_as_cases(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = file_of(
        tmp_path,
        {"peak_bytes": form()},
        {"peak_bytes": form(checkpointing=True), "checkpointing": "True"},
        {"peak_bytes": form(weights_dtype="fp32", amp=True), "weights_dtype": "float32",
         "amp": "1"},
        {"peak_bytes": form(amp=True), "amp": "true"},
        {"peak_bytes": form(method="full", attention="eager"), "method": "full",
         "attention": "eager", "lora_rank": ""},
    )  # fmt: skip
    data = tuneroi("validate", "traces", path, "--json").json
    assert (data["rows"], data["expressed"], data["coverage_80"]) == (5, 5, 1.0)
    assert data["p90_ape"] == pytest.approx(0.0, abs=1e-6)  # the form itself, rounded to bytes
    assert data["by_source"]["llama"]["rows"] == 5 and data["by_method"]["full"]["rows"] == 1
    assert data["unit"] == "bytes"


def test_errors_are_relative_to_the_trace(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = file_of(tmp_path, {"peak_bytes": form() * 2})
    data = tuneroi("validate", "traces", path, "--json").json
    assert data["median_ape"] == pytest.approx(0.5) and data["bias"] == pytest.approx(-0.5)
    assert data["coverage_80"] == 0.0
    assert "-50.0 %" in tuneroi("validate", "traces", path).out


def test_what_is_no_case_is_listed(tuneroi: Tuneroi, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"method": "qlora"}, "method is 'qlora'; allowed: full, lora"),
        ({"attention": "magic"}, "attention is 'magic'"),
        ({"lora_rank": ""}, "lora_rank is not stated"),
        ({"seq_len": "1.5"}, "seq_len is '1.5'; allowed: a whole number"),
        ({"micro_batch": "100000"}, "micro_batch is 100000: Input should be less than"),
        ({"config": ""}, "config is not stated"),
        ({"config": "no.json"}, "does not exist"),
        ({"peak_bytes": ""}, "peak_bytes is not stated"),
    ]
    path = file_of(tmp_path, *({"peak_bytes": 1, **change} for change, _ in wrong))
    data = tuneroi("validate", "traces", path, "--json").json
    assert data["expressed"] == 0 and len(data["unexpressed"]) == len(wrong)
    for entry, (_, said) in zip(data["unexpressed"], wrong, strict=True):
        assert said in entry["reason"]


def test_a_traced_file_round_trips(tuneroi: Tuneroi, tmp_path: Path) -> None:
    for module in ("torch", "transformers", "peft"):
        pytest.importorskip(module)
    config = tmp_path / "tiny" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps(LLAMA), encoding="utf-8")
    out = tmp_path / "out" / "traces.csv"
    out.parent.mkdir()
    shape = ("--micro-batch", 2, "--seq-len", 128, "--lora-rank", 8)
    data = tuneroi("trace", config, "-o", out, *shape, "--json").json
    assert data["file"] == str(out) and data["not_traced"] == {}
    assert data["expressed"] == 4 and data["median_ape"] < 0.01
    assert sorted(path.name for path in out.parent.iterdir()) == ["tiny.config.json", "traces.csv"]
    assert json.loads((out.parent / "tiny.config.json").read_text()) == LLAMA
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(ROW) == list(rows[0])[: len(ROW)]
    assert [(row["method"], row["checkpointing"]) for row in rows] == [
        ("full", "no"), ("full", "yes"), ("lora", "no"), ("lora", "yes"),
    ]  # fmt: skip
    again = tuneroi("validate", "traces", out, "--json").json
    assert again["median_ape"] == data["median_ape"]
    moved = tuneroi("trace", config, "-o", out, *shape, "--method", "lora").out
    assert "lora of rank 8 with checkpointing, 2 x 128" in moved


def test_without_the_extra_tracing_says_what_to_install(
    tuneroi: Tuneroi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    refusal = tuneroi("trace", "pythia-70m", "-o", tmp_path / "x.csv").refusal
    assert "pip install 'tuneroi[benchmark]'" in refusal
    assert list(tmp_path.iterdir()) == []


def test_mistakes_of_tracing_are_one_line(tuneroi: Tuneroi, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    assert "nearest known" in tuneroi("trace", "pythia-70", "-o", out, "--offline").refusal
    assert "no.json: does not exist" in tuneroi("trace", tmp_path / "no.json", "-o", out).refusal
    assert "there is no folder" in tuneroi("trace", "gpt2", "-o", tmp_path / "no" / "x.csv").refusal
    assert list(tmp_path.iterdir()) == []


def test_models_of_one_name_get_files_of_their_own(tmp_path: Path) -> None:
    from estimator.validation.tracing import Traced

    case = TraceCase()
    traced = [
        Traced(model=name, config={"model_type": kind}, case=case, peak_bytes=1, peak_at="forward")
        for name, kind in (("a/Llama 3", "x"), ("b/llama-3", "y"), ("b/llama-3", "y"))
    ]
    write_traces(tmp_path / "t.csv", traced)
    names = [path.name for path in sorted(tmp_path.glob("*.json"))]
    assert names == ["llama-3-2.config.json", "llama-3.config.json"]
    assert config_of("gpt2")["model_type"] == "gpt2"
