"""Bytes and FLOPs of a served model against PyTorch and the transformers classes."""

from typing import Any

import numpy as np
import pytest

from estimator.errors import CatalogError, InputError
from estimator.llm.architecture import Architecture
from estimator.serving.constants import (
    serving_constants,
    serving_stack,
    throughput_spread,
    weight_format,
)
from estimator.serving.model import (
    cache_read_bytes,
    kv_cache_bytes,
    prefill_attention_flops,
    read_bytes,
    served_model,
)

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
MOE: dict[str, Any] = LLAMA | {
    "model_type": "qwen3_moe",
    "num_experts": 8,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 48,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
}
EIGHT_BILLION: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
}


def built(config: dict[str, Any]) -> Any:
    transformers = pytest.importorskip("transformers")
    given = {k: v for k, v in config.items() if k != "model_type"}
    made = transformers.AutoConfig.for_model(config["model_type"], **given)
    return transformers.AutoModelForCausalLM.from_config(made, attn_implementation="eager").eval()


def architecture(config: dict[str, Any]) -> Architecture:
    return Architecture.from_hf_config(config, "tiny")


@pytest.mark.parametrize("config", [LLAMA, MOE, LLAMA | {"tie_word_embeddings": True}])
def test_weights_are_those_of_the_class(config: dict[str, Any]) -> None:
    parameters = sum(p.numel() for p in built(config).parameters())
    assert served_model(architecture(config)).weights_bytes == 2 * parameters


def test_cache_is_that_of_the_class() -> None:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        cache = built(LLAMA)(torch.zeros((1, 11), dtype=torch.long), use_cache=True).past_key_values
    held = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    served = served_model(architecture(LLAMA), cache_bytes_per_value=2.0)
    assert float(kv_cache_bytes(served, 11)) == 2 * held


@pytest.mark.parametrize("config", [LLAMA, MOE])
def test_flops_are_those_that_pytorch_counts(config: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    counter = pytest.importorskip("torch.utils.flop_counter").FlopCounterMode(display=False)
    model, n = built(config), 16
    with torch.no_grad(), counter:
        model(torch.zeros((1, n), dtype=torch.long), use_cache=False)
    served = served_model(architecture(config))
    matrices = n * (served.layer_flops_per_token + served.head_flops_per_token)
    square = 2 * float(prefill_attention_flops(served, n))  # eager attention computes all pairs
    if config is LLAMA:
        assert matrices + square == counter.get_total_flops()
    else:  # the experts' products may run through kernels that the counter does not know
        assert matrices + square >= counter.get_total_flops() * 0.999


def test_published_cache_size_of_llama_3_8b() -> None:
    # 2 x 32 layers x 8 heads x 128 x 2 bytes = 128 KiB a token
    assert float(kv_cache_bytes(served_model(architecture(EIGHT_BILLION)), 1)) == 131_072


def test_window_bounds_the_cache() -> None:
    config = EIGHT_BILLION | {"model_type": "mistral", "sliding_window": 4096}
    full, sliding = served_model(architecture(EIGHT_BILLION)), served_model(architecture(config))
    lengths = np.array([100.0, 4096.0, 20_000.0])
    expected = kv_cache_bytes(full, np.minimum(lengths, 4096))
    np.testing.assert_allclose(kv_cache_bytes(sliding, lengths), expected)
    # pairs seen: sum over tokens of min(i, 4096), which the closed form gives within its half token
    pairs = np.minimum(np.arange(1, 20_001), 4096).sum()
    per_pair = sum(g.attention_flops_per_token_pair for g in sliding.cache_groups)
    ours = float(prefill_attention_flops(sliding, 20_000)) / per_pair
    assert ours == pytest.approx(pairs, rel=1e-3)


def test_experts_touched_by_a_batch() -> None:
    served = served_model(architecture(MOE))
    rng = np.random.default_rng(0)
    chosen = [
        len({e for _ in range(6) for e in rng.choice(8, 2, replace=False)}) for _ in range(4000)
    ]
    read = float(read_bytes(served, 6)) - served.shared_read_bytes
    assert read / served.expert_read_bytes == pytest.approx(np.mean(chosen) / 8, rel=0.01)
    assert float(read_bytes(served, 1e6)) == pytest.approx(
        served.shared_read_bytes + served.expert_read_bytes
    )


@pytest.mark.parametrize(("name", "layer_share"), [("fp8", 1 / 2), ("int4", 4.16 / 16)])
def test_quantising_leaves_the_ends_in_16_bits(name: str, layer_share: float) -> None:
    full = served_model(architecture(EIGHT_BILLION))
    small = served_model(architecture(EIGHT_BILLION), weights=name)
    ends = 2 * 2 * 128256 * 4096  # token table and head, two bytes each
    norms = 2 * 32 * 2 * 4096
    layers = full.weights_bytes - ends - norms
    assert small.weights_bytes == pytest.approx(layers * layer_share + ends + norms, rel=1e-5)


def test_what_cannot_be_served_is_refused() -> None:
    bert = {"model_type": "bert", "vocab_size": 100, "hidden_size": 32, "num_attention_heads": 4}
    with pytest.raises(InputError, match="cannot be served"):
        served_model(architecture(bert))
    with pytest.raises(CatalogError, match=r"weight format 'fp9'.*fp8"):
        weight_format("fp9")
    with pytest.raises(CatalogError, match=r"serving stack 'vlm'.*vllm"):
        serving_stack("vlm")


def test_every_constant_names_its_source() -> None:
    constants = serving_constants()
    for row in (*constants.weight_formats.values(), *constants.programs.values()):
        assert len(row.source) > 15, row
    for parameter in constants.parameters.values():
        assert parameter.source.startswith("prior: ")
    for spread in constants.spread.values():
        assert spread.source
        p10, p50, p90 = spread.factor.p10_p50_p90()
        assert 0 < p10 < p50 < p90


def test_ranges_are_narrower_where_the_program_was_measured_on_such_gpus() -> None:
    general = throughput_spread("single_stream")
    seen = throughput_spread("single_stream", program="vllm", generation="ampere")
    assert seen.numbers[0] > general.numbers[0] and seen.numbers[-1] < general.numbers[-1]
    assert throughput_spread("single_stream", program="vllm", generation="cdna") == general


def test_a_cache_copied_out_has_every_query_head() -> None:
    served = served_model(architecture(EIGHT_BILLION))  # 32 query heads on 8 key-value heads
    stored = float(kv_cache_bytes(served, 1000))
    assert float(cache_read_bytes(served, 1000, 0.0)) == stored
    assert float(cache_read_bytes(served, 1000, 1.0)) == 4 * stored
