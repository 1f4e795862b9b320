"""`tuneroi model`: published parameter counts, adapters as peft counts them, names and mistakes."""

import json
from pathlib import Path

import pytest
from command import Tuneroi


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("name", "total", "active"),
    [
        ("meta-llama/Llama-3.1-8B", 8_030_261_248, 8_030_261_248),  # model card
        ("gpt2", 124_439_808, 124_439_808),  # transformers: GPT2LMHeadModel
        ("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704, 12_879_925_248),  # arXiv 2401.04088
    ],
)
def test_parameters_are_the_published_ones(
    tuneroi: Tuneroi, name: str, total: int, active: int
) -> None:
    parameters = tuneroi("model", name, "--json").json["parameters"]
    assert (parameters["total"], parameters["active"]) == (total, active)
    assert sum(parameters["by_kind"].values()) == total
    assert f"{total:,}" in tuneroi("model", name).out


def test_the_shape_of_the_document(tuneroi: Tuneroi) -> None:
    data = tuneroi("model", "meta-llama/Llama-3.1-8B", "--seq-len", 4096, "--json").json
    assert data["id"] == "meta-llama/Llama-3.1-8B" and data["family"] == "llama"
    assert data["source"] == "catalogue" and data["exact"] and data["notes"] == []
    assert data["parameters"]["embedding"] == 128_256 * 4096
    flops = data["flops_per_token"]
    # Matrices of 7,504,658,432 entries, twice; 32 layers of scores and values over the square.
    assert flops["forward"] == 2 * 7_504_658_432 + 32 * 4 * 4096 * 4096
    assert flops["train"] == pytest.approx(3 * flops["forward"])
    assert flops["six_nd"] == 6 * data["parameters"]["total"]
    assert flops["six_nd_error"] == pytest.approx(flops["six_nd"] / flops["train"] - 1)
    assert "trainable_parameters" not in data


@pytest.mark.parametrize(
    ("options", "trainable"),
    [
        # Of a layer: q and o 2 x 4096, k and v 4096 + 1024, the MLP's three 4096 + 14336.
        (("--method", "lora"), 32 * 16 * (2 * 8192 + 2 * 5120 + 3 * 18432)),
        (("--lora-rank", "8", "--targets", "q_proj, v_proj"), 32 * 8 * (8192 + 5120)),
        (("--targets", "all-linear", "--method", "qlora"), 32 * 16 * (2 * 8192 + 2 * 5120 + 55296)),
        (("--method", "layernorm"), 65 * 4096),
    ],
)
def test_trainable_parameters(tuneroi: Tuneroi, options: tuple[str, ...], trainable: int) -> None:
    data = tuneroi("model", "meta-llama/Llama-3.1-8B", *options, "--json").json
    assert data["trainable_parameters"] == trainable
    assert f"{trainable:,}" in tuneroi("model", "meta-llama/Llama-3.1-8B", *options).out


def test_an_adapter_trains_cheaper_than_the_whole(tuneroi: Tuneroi) -> None:
    whole = tuneroi("model", "gpt2", "--json").json["flops_per_token"]
    full = tuneroi("model", "gpt2", "--method", "full", "--json").json["flops_per_token"]
    adapted = tuneroi("model", "gpt2", "--method", "lora", "--json").json["flops_per_token"]
    assert full == whole and whole["method"] == "full" and adapted["method"] == "lora"
    assert adapted["train"] < whole["train"] and adapted["forward"] > whole["forward"]


def test_a_file_and_a_bare_size_are_models_too(tuneroi: Tuneroi, tmp_path: Path) -> None:
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    own = tuneroi("model", tmp_path / "config.json", "--json").json
    # Two tables of 100 x 64; of a layer four 64 x 64, three 64 x 128, two norms; a last norm.
    assert own["parameters"]["total"] == 2 * 6400 + 2 * (4 * 4096 + 3 * 8192 + 128) + 64
    assert own["source"] == "file"
    typical = tuneroi("model", "1.5e9", "--json").json
    assert not typical["exact"] and "not a real one" in " ".join(typical["notes"])
    assert typical["parameters"]["total"] == pytest.approx(1.5e9, rel=0.01)


def test_a_sequence_beyond_the_context_is_pointed_out(tuneroi: Tuneroi) -> None:
    assert "context of 1,024" in tuneroi("model", "gpt2", "--seq-len", 2048).out
    assert "context of" not in tuneroi("model", "gpt2", "--seq-len", 1024).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("lama-8b",), "nearest known"),
        (("nobody/nothing", "--offline"), "network is off"),
        (("missing/config.json",), "does not exist"),
        ((), "MODEL"),
        (("",), "empty"),
        (("gpt2", "--seq-len", "0"), "'0'"),
        (("gpt2", "--method", "lorra"), "'lora'"),
        (("gpt2", "--lora-rank", "0"), "rank is 0"),
        (("gpt2", "--targets", "q_proj"), "c_proj"),
        (("gpt2", "--method", "full", "--lora-rank", "8"), "--method full"),
        (("3",), "unknown model"),
    ],
)
def test_mistakes(tuneroi: Tuneroi, arguments: tuple[str, ...], said: str) -> None:
    assert said in tuneroi("model", *arguments).refusal


def test_trace_shows_pytorch_beside_the_closed_form(tuneroi: Tuneroi) -> None:
    pytest.importorskip("transformers")
    ran = tuneroi("model", "HuggingFaceTB/SmolLM2-135M", "--trace", "--seq-len", 64, "--json")
    assert ran.status == 0, ran.err
    steps = ran.json["traced"]
    assert [step["checkpointing"] for step in steps] == ["none", "full"]
    for step in steps:
        assert abs(step["error"]) < 0.01
        assert step["traced_peak_bytes"] > 8 * ran.json["parameters"]["total"]


def test_trace_refuses_what_it_cannot_run(tuneroi: Tuneroi) -> None:
    assert "drop other options" in tuneroi("model", "gpt2", "--trace", "--method", "ia3").refusal
