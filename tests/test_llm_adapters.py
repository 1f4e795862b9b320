"""Trainable parameters against `peft` on the meta device, NF4 bytes against bitsandbytes."""

import json
import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from estimator.errors import InputError
from estimator.llm.adapters import AdapterSpec, count_trainable, is_target, lora_parameters
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import catalogue_architecture
from estimator.llm.parameters import count_parameters
from estimator.llm.quantised import nf4_bytes, nf4_constants_bytes

VARIANTS = json.loads((Path(__file__).parent / "data/llm/variants.json").read_text("utf-8"))
# Two configs of every family that peft adapts: its Mamba refuses `all-linear` altogether.
CHOSEN = [
    pytest.param(variant["config"], id=f"{variant['config']['model_type']}-{index}")
    for index, variant in enumerate(VARIANTS)
    if index % 4 < 2
    and "_vl" not in variant["config"]["model_type"]
    and variant["config"]["model_type"] not in ("mamba", "mamba2", "nemotron_h")
    and "architectures" not in variant["config"]
]


def trainable(config: dict[str, Any], adapter: Any) -> int:
    """What `peft` would train of the class that `config` describes."""
    torch = pytest.importorskip("torch")
    peft = pytest.importorskip("peft")
    transformers = pytest.importorskip("transformers")
    stated = {key: value for key, value in config.items() if key != "model_type"}
    described = transformers.AutoConfig.for_model(config["model_type"], **stated)
    kind = Architecture.from_hf_config(config).kind
    maker = {
        "decoder": transformers.AutoModelForCausalLM,
        "encoder": transformers.AutoModel,
        "encoder-decoder": transformers.AutoModelForSeq2SeqLM,
    }[kind]
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft's own advice
        model = peft.get_peft_model(maker.from_config(described), adapter)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def names(architecture: Architecture) -> list[str]:
    """Every leaf name of a module that adapters can target, the head left out."""
    return sorted(
        {x.name for x, _ in architecture.linears() if x.form != "tensor" and x.role != "head"}
    )


def lora(**options: Any) -> Any:
    peft = pytest.importorskip("peft")
    return peft.LoraConfig(**{"target_modules": "all-linear", **options})


@pytest.mark.parametrize("config", CHOSEN)
def test_lora_on_every_matrix(config: dict[str, Any]) -> None:
    architecture = Architecture.from_hf_config(config)
    expected = trainable(config, lora(r=5))
    assert count_trainable(architecture, AdapterSpec(rank=5)) == expected


@pytest.mark.parametrize("config", [case for case in CHOSEN if "bart" not in str(case.id)])
def test_lora_on_some_matrices_with_modules_to_save(config: dict[str, Any]) -> None:
    architecture = Architecture.from_hf_config(config)
    reachable = [name for name in names(architecture) if reached(architecture, name)]
    targets = tuple(random.Random(str(config)).sample(reachable, min(2, len(reachable))))
    saved = [architecture.embeddings[0].name]
    saved += [norm.name for norm in architecture.norms[-1:] if norm.parameters]
    saved += [architecture.head.name] if architecture.head else []
    adapter = lora(r=4, target_modules=list(targets), modules_to_save=saved)
    spec = AdapterSpec(rank=4, targets=targets, modules_to_save=tuple(saved))
    assert count_trainable(architecture, spec) == trainable(config, adapter)


def reached(architecture: Architecture, name: str) -> bool:
    """Whether `peft` reaches a plain module of that name."""
    return any(
        is_target(linear, (name,)) and linear.form != "tensor"
        for linear, _ in architecture.linears()
    )


@pytest.mark.parametrize("config", [case for case in CHOSEN if case.id.endswith(("0", "4", "8"))])
@pytest.mark.parametrize("method", ["dora", "rslora", "ia3", "layernorm", "prompt"])
def test_other_methods(config: dict[str, Any], method: Any) -> None:
    peft = pytest.importorskip("peft")
    architecture = Architecture.from_hf_config(config)
    reachable = [name for name in names(architecture) if reached(architecture, name)]
    targets = tuple(random.Random(str(config)).sample(reachable, min(2, len(reachable))))
    norms = tuple({norm.name for norm in architecture.norms if norm.parameters})
    if method == "layernorm" and not norms:
        pytest.skip("the class has no norm with parameters")
    if method == "prompt" and architecture.family in ("mpt", "dbrx", "distilbert"):
        pytest.skip("peft cannot read the width of this config")
    task = {"decoder": "CAUSAL_LM", "encoder": "FEATURE_EXTRACTION"}.get(
        architecture.kind, "SEQ_2_SEQ_LM"
    )
    adapter = {
        "dora": lambda: lora(r=3, target_modules=list(targets), use_dora=True),
        "rslora": lambda: lora(r=3, target_modules=list(targets), use_rslora=True),
        "ia3": lambda: peft.IA3Config(
            target_modules=list(targets), feedforward_modules=[targets[0]]
        ),
        "layernorm": lambda: peft.LNTuningConfig(target_modules=list(norms)),
        "prompt": lambda: peft.PromptTuningConfig(task_type=task, num_virtual_tokens=7),
    }[method]()
    spec = AdapterSpec(
        method=method,
        rank=3,
        targets=norms if method == "layernorm" else targets,
        feedforward=targets[:1],
        virtual_tokens=7,
    )
    assert count_trainable(architecture, spec) == trainable(config, adapter)


@pytest.mark.parametrize(
    ("config_id", "adapter", "spec"),
    [
        ("gpt2", {"target_modules": ["c_attn", "mlp.c_proj"]}, ("c_attn", "mlp.c_proj")),
        ("bert", {"target_modules": ["key", "output.dense"]}, ("key", "output.dense")),
        ("mixtral", {"target_modules": ["w1", "w2", "w3"]}, ("w1", "w2", "w3")),
        ("qwen3_moe", {"target_modules": ["gate", "q_proj"]}, ("gate", "q_proj")),
        ("llama", {"target_modules": ["embed_tokens", "v_proj"]}, ("embed_tokens", "v_proj")),
        ("opt", {"target_modules": ["lm_head", "fc1"]}, ("lm_head", "fc1")),
    ],
)
def test_targets_beyond_plain_leaf_names(
    config_id: str, adapter: dict[str, Any], spec: tuple[str, ...]
) -> None:
    config = next(x["config"] for x in VARIANTS if x["config"]["model_type"] == config_id)
    architecture = Architecture.from_hf_config(config)
    expected = trainable(config, lora(r=6, **adapter))
    assert count_trainable(architecture, AdapterSpec(rank=6, targets=spec)) == expected


@pytest.mark.parametrize(
    ("id", "expected"),
    [
        ("meta-llama/Llama-3.1-8B", 41_943_040),
        ("meta-llama/Llama-2-7b-hf", 39_976_960),
        ("Qwen/Qwen2.5-7B", 40_370_176),
        ("google/gemma-2-9b", 54_018_048),
        ("microsoft/phi-4", 55_705_600),
        ("openai-community/gpt2", 2_359_296),
        ("EleutherAI/pythia-6.9b", 33_554_432),
        ("tiiuae/falcon-7b", 32_636_928),
        ("mistralai/Mixtral-8x7B-v0.1", 359_665_664),
        ("Qwen/Qwen3-30B-A3B", 996_507_648),
        ("deepseek-ai/DeepSeek-V2-Lite", 358_994_944),
        ("openai/gpt-oss-20b", 24 * 2 * 16 * (2880 + 4096 + 2880 + 512)),
    ],
)
def test_rank_16_on_real_models(id: str, expected: int) -> None:
    assert count_trainable(catalogue_architecture(id), AdapterSpec()) == expected


def test_the_last_layers_are_counted_whole() -> None:
    model = catalogue_architecture("deepseek-ai/DeepSeek-V2-Lite")
    dense, sparse = model.layers
    one = count_trainable(model, AdapterSpec(method="last_layers"))
    every = count_trainable(model, AdapterSpec(method="last_layers", last_layers=27))
    assert one == sparse.parameters
    assert every == dense.parameters + 26 * sparse.parameters
    t5 = catalogue_architecture("google-t5/t5-small")
    decoder = next(layer for layer in t5.layers if layer.stack == "decoder")
    assert count_trainable(t5, AdapterSpec(method="last_layers")) == decoder.parameters
    with pytest.raises(InputError, match="last_layers is 7; allowed: 1 to 6"):
        count_trainable(t5, AdapterSpec(method="last_layers", last_layers=7))


def test_every_norm_is_the_default_of_layernorm_tuning() -> None:
    model = catalogue_architecture("Qwen/Qwen3-8B")
    counted = count_trainable(model, AdapterSpec(method="layernorm"))
    assert counted == count_parameters(model).by_kind["norm"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (AdapterSpec(rank=0), "adapter rank is 0; allowed: 1 to"),
        (AdapterSpec(targets=("q_prj",)), "'q_prj' are not in .*; nearest: q_proj"),
        (AdapterSpec(targets=("block.q_proj",)), "give a leaf name, or one after a module of"),
        (AdapterSpec(targets=("w1",)), "targets w1 also need w3: they are fused"),
        (AdapterSpec(modules_to_save=("head",), targets=("q_proj",)), ""),
        (AdapterSpec(modules_to_save=("hed",)), "modules_to_save 'hed' is not in .*; nearest"),
        (AdapterSpec(method="dora"), "DoRA on fused experts does not exist"),
        (AdapterSpec(method="layernorm", targets=("ln",)), "norms 'ln' have no parameters; known"),
        (AdapterSpec(method="ia3", targets=("w1",)), "'w1' are not in"),
    ],
)
def test_a_wish_that_cannot_be_met_is_explained(spec: AdapterSpec, message: str) -> None:
    model = catalogue_architecture("mistralai/Mixtral-8x7B-v0.1")
    if not message:  # a name takes every module that ends in it, as in peft
        saved = count_trainable(model, spec) - 32 * 2 * 4096 * 16
        assert saved == 32000 * 4096
        return
    with pytest.raises(InputError, match=message):
        count_trainable(model, spec)


def test_a_fused_expert_takes_the_rank_of_each_of_its_matrices() -> None:
    layer = catalogue_architecture("mistralai/Mixtral-8x7B-v0.1").main_layer
    fused = next(linear for linear in layer.linears if linear.name == "gate_up_proj")
    assert lora_parameters(fused, 16) == 8 * 2 * 16 * (4096 + 2 * 14336)


# As bitsandbytes 0.50.2 holds them after quantize_4bit(blocksize=64, quant_type="nf4"): absmax,
# quant_map, nested_absmax, nested_quant_map and the offset's four bytes.
@pytest.mark.parametrize(
    ("shape", "plain", "nested"),
    [
        ((128, 192), 1600, 1480 + 4),
        ((65, 33), 200, 1126 + 4),
        ((1000, 777), 48_628, 13_421 + 4),
        ((2048, 512), 65_600, 17_728 + 4),
    ],
)
def test_constants_of_nf4_are_those_of_bitsandbytes(
    shape: tuple[int, int], plain: int, nested: int
) -> None:
    weights = shape[0] * shape[1]
    assert nf4_constants_bytes(weights, double_quantisation=False) == plain
    assert nf4_constants_bytes(weights) == nested


def test_nf4_keeps_embeddings_head_and_norms() -> None:
    model = catalogue_architecture("meta-llama/Llama-3.1-8B")
    stored = nf4_bytes(model)
    kept = 2 * 128256 * 4096 + 65 * 4096
    assert stored.unquantised == 2 * kept
    assert stored.codes == (count_parameters(model).total - kept) // 2
    bits = 8 * stored.constants / (count_parameters(model).total - kept)
    assert bits == pytest.approx(0.127, abs=0.002)  # QLoRA, section 3: 0.127 bit per parameter
    assert nf4_bytes(model, double_quantisation=False).constants > 3.8 * stored.constants
