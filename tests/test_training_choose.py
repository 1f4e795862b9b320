"""Recipes that the planner picks: they fit, they are fast, and refusals say what would fit."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import InfeasiblePlan
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.training.choose import TOKENS_PER_STEP, choose_recipe
from estimator.training.fits import fits
from estimator.training.memory import estimate_memory
from estimator.training.recipe import TrainingRecipe
from estimator.training.throughput import step_time
from pricing import gpu_spec

H100, RTX_4090, T4 = (gpu_spec(x) for x in ("h100-sxm5-80gb", "rtx-4090-24gb", "t4-16gb"))


def llama(layers=32, hidden=4096, ffn=14336, heads=32, kv_heads=8, vocab=128256):
    config = {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "tie_word_embeddings": False,
        "max_position_embeddings": 131072,
    }
    return Architecture.from_hf_config(config, "llama-like")


LLAMA_8B, LLAMA_70B = llama(), llama(80, 8192, 28672, 64)
LLAMA_1B = llama(16, 2048, 8192, 32)


def speed(architecture, recipe, cluster):
    return float(step_time(architecture, recipe, cluster).tokens_per_second_per_gpu)


@pytest.mark.parametrize(
    ("architecture", "method", "gpu", "gpus"),
    [
        (LLAMA_8B, "lora", H100, 1),
        (LLAMA_8B, "full", H100, 8),
        (LLAMA_8B, "qlora", RTX_4090, 1),
        (LLAMA_70B, "qlora", H100, 1),
        (LLAMA_70B, "lora", H100, 8),
        (LLAMA_8B, "full", H100, 512),
    ],
)
def test_the_chosen_recipe_fits_and_beats_what_also_fits(architecture, method, gpu, gpus):
    cluster = Cluster.of(gpu, gpus)
    chosen = choose_recipe(architecture, method=method, cluster=cluster)
    assert chosen.method == method
    assert fits(estimate_memory(architecture, chosen, gpus=gpus), gpu.memory_gib)
    tried = 0
    for checkpointing in ("none", "full"):
        for sharding in ("none", "zero3"):
            other = chosen.model_copy(
                update={"checkpointing": checkpointing, "sharding": sharding, "micro_batch": 1}
            )
            memory = estimate_memory(architecture, other, gpus=gpus)
            if fits(memory, gpu.memory_gib, safely=True):
                tried += 1
                best = speed(architecture, chosen, cluster)
                assert best >= 0.98 * speed(architecture, other, cluster)
    assert tried


def test_checkpointing_only_where_memory_needs_it():
    roomy = choose_recipe(LLAMA_1B, method="lora", cluster=Cluster.of(H100, 1))
    assert roomy.checkpointing == "none"
    tight = choose_recipe(LLAMA_8B, method="lora", cluster=Cluster.of(RTX_4090, 1))
    assert tight.checkpointing == "full"


def test_weights_are_sharded_only_where_memory_needs_it():
    eight = Cluster.of(H100, 8)
    assert choose_recipe(LLAMA_1B, method="lora", cluster=eight).sharding == "none"
    assert choose_recipe(LLAMA_70B, method="lora", cluster=eight).sharding == "zero3"


@given(st.sampled_from([1, 2, 8, 64]), st.sampled_from([512, 2048, 8192]))
@settings(deadline=None, max_examples=12)
def test_a_step_holds_about_the_tokens_asked_for(gpus, sequence_length):
    recipe = choose_recipe(
        LLAMA_1B,
        method="lora",
        cluster=Cluster.of(H100, gpus),
        sequence_length=sequence_length,
        tokens_per_step=TOKENS_PER_STEP,
    )
    tokens = recipe.micro_batch * recipe.gradient_accumulation * sequence_length * gpus
    assert max(TOKENS_PER_STEP, sequence_length * gpus) <= tokens
    assert tokens < TOKENS_PER_STEP + recipe.tokens_per_micro_batch * gpus


def test_full_tuning_on_a_desktop_card_is_refused_with_what_would_fit():
    with pytest.raises(InfeasiblePlan) as refusal:
        choose_recipe(LLAMA_8B, method="full", cluster=Cluster.of(RTX_4090, 1))
    message = str(refusal.value)
    assert "\n" not in message
    assert "Full fine-tuning of llama-like does not fit on 1 x rtx-4090-24gb" in message
    assert "the card has 24 GiB" in message
    for way in ("LoRA", "QLoRA", "rtx-4090-24gb with ZeRO-3", "1 x "):
        assert way in message.partition("what would fit: ")[2]


def test_a_card_without_bf16_computes_in_fp16():
    recipe = choose_recipe(LLAMA_8B, method="qlora", cluster=Cluster.of(T4, 1))
    assert recipe.precision == "fp16"


@given(
    st.sampled_from(["full", "lora", "qlora"]),
    st.integers(1, 5),
    st.sampled_from([1, 4]),
    st.booleans(),
)
@settings(deadline=None, max_examples=20)
def test_more_gpus_never_need_more_memory_each_under_zero3(method, power, batch, accumulates):
    recipe = TrainingRecipe(
        method=method,
        sharding="zero3",
        micro_batch=batch,
        gradient_accumulation=4 if accumulates else 1,
    )
    few, many = (
        estimate_memory(LLAMA_1B, recipe, gpus=gpus).allocated_bytes
        for gpus in (2**power, 2 ** (power + 1))
    )
    assert many <= few
