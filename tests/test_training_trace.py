"""The closed form against traces of the real model classes under fake tensors."""

import json
from pathlib import Path

import pytest

from estimator.errors import InputError, MissingExtra
from estimator.llm.architecture import Architecture
from estimator.training.families import FAMILIES
from estimator.training.trace import TraceCase, closed_form_peak, trace_peak

CONFIGS = json.loads((Path(__file__).parent / "data" / "traced_configs.json").read_text("utf-8"))
FULL = TraceCase()
SMALL = {
    "num_hidden_layers": 4, "n_layer": 4, "vocab_size": 4000, "num_local_experts": 8,
    "num_experts": 16,
}  # fmt: skip
AMP = {"weights_dtype": "fp32", "amp": True}
GRID: tuple[tuple[str, dict[str, object]], ...] = (
    ("llama-3.2-1b", {}),
    ("llama-3.2-1b", {"method": "lora", "checkpointing": True}),
    ("llama-3.2-1b", {**AMP, "checkpointing": True}),
    ("tinyllama-1.1b", {"method": "lora", "amp": True}),
    ("mistral-7b-v0.1", {"sequence_length": 4096}),
    ("qwen2.5-0.5b", {"method": "lora"}),
    ("qwen3-0.6b", {"checkpointing": True}),
    ("gemma-3-1b", {"method": "lora"}),
    ("gemma-2-2b", {"attention": "eager"}),
    ("gpt2", {}),
    ("gpt2", {"attention": "eager", "checkpointing": True}),
    ("pythia-410m", AMP),
    ("phi-3-mini", {"weights_dtype": "fp32"}),
    ("falcon-40b", {"method": "lora"}),
    ("opt-1.3b", {"checkpointing": True}),
    ("olmo-2-7b", {"attention": "eager", "method": "lora"}),
    ("mixtral-8x7b", {}),
    ("qwen3-30b-a3b", {"checkpointing": True}),
    ("gpt-oss-20b", {"attention": "eager"}),
    ("starcoder2-3b", {}),
)


def small(name: str) -> dict[str, object]:
    """The model with few layers and a small vocabulary, so that the layers decide the peak."""
    config = CONFIGS[name]
    changed = {key: value for key, value in SMALL.items() if key in config}
    return {**config, **changed, "pad_token_id": 0}


def require_extra() -> None:
    for module in ("torch", "transformers", "peft"):
        pytest.importorskip(module)


@pytest.mark.parametrize(("name", "changes"), GRID, ids=lambda x: x if isinstance(x, str) else "")
def test_closed_form_equals_the_trace(name: str, changes: dict[str, object]) -> None:
    require_extra()
    config = small(name)
    case = TraceCase(**{"micro_batch": 2, "sequence_length": 1024, **changes})  # type: ignore[arg-type]
    model = Architecture.from_hf_config(config, name)
    assert model.family in FAMILIES
    traced = trace_peak(config, case)
    assert closed_form_peak(model, case) == pytest.approx(traced.peak_bytes, rel=0.01)


def test_a_whole_model_is_traced_without_its_memory() -> None:
    require_extra()
    config = CONFIGS["llama-3.1-8b"]
    case = TraceCase(micro_batch=1, sequence_length=2048)
    traced = trace_peak(config, case)
    assert traced.weights_bytes == pytest.approx(2 * 8_030_261_248, rel=1e-6)
    assert traced.peak_bytes > 4 * traced.weights_bytes * 0.99  # weights, gradients, two moments
    model = Architecture.from_hf_config(config, "llama-3.1-8b")
    assert closed_form_peak(model, case) == pytest.approx(traced.peak_bytes, rel=0.001)


def test_checkpointing_and_adapters_lower_the_traced_peak() -> None:
    require_extra()
    config = small("llama-3.2-1b")
    shape = {"micro_batch": 4, "sequence_length": 1024}
    cases = (
        TraceCase(**shape),
        TraceCase(**shape, checkpointing=True),
        TraceCase(**shape, method="lora"),
    )
    full, checkpointed, adapted = (trace_peak(config, case).peak_bytes for case in cases)
    assert adapted < full
    assert checkpointed < full


def test_what_cannot_be_traced_is_one_line() -> None:
    require_extra()
    with pytest.raises(InputError, match=r"gemma2: .*does not support"):
        trace_peak(small("gemma-2-2b"), FULL)
    with pytest.raises(InputError, match="trace of gpt2: "):
        trace_peak({**small("gpt2"), "n_head": 7}, FULL)
    with pytest.raises(InputError, match="cannot run this step under fake tensors") as refused:
        trace_peak(small("mixtral-8x7b"), TraceCase(weights_dtype="fp32"))
    assert "\n" not in str(refused.value)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tuneroi\[benchmark\]'"):
        trace_peak(CONFIGS["gpt2"], FULL)
