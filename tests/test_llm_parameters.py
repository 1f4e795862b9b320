"""Parameters by formula against the `transformers` classes and against published totals."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import CatalogError, EstimatorError, InputError
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import catalogue, catalogue_architecture
from estimator.llm.class_defaults import TABLE, class_defaults, read_classes
from estimator.llm.families import FAMILIES
from estimator.llm.parameters import count_parameters

# Small odd configs of every family, with the parameters of the class built from each.
VARIANTS = json.loads((Path(__file__).parent / "data/llm/variants.json").read_text("utf-8"))
NAMED = [
    pytest.param(variant, id=f"{variant['config']['model_type']}-{index}")
    for index, variant in enumerate(VARIANTS)
]


def build(config: Mapping[str, Any]) -> Any:
    """The class that `config` describes, on the meta device."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    family = config["model_type"]
    stated = {key: value for key, value in config.items() if key != "model_type"}
    described = transformers.AutoConfig.for_model(family, **stated)
    with torch.device("meta"):
        if classes := config.get("architectures"):
            return getattr(transformers, classes[0])(described)
        if "_vl" in family:
            return with_head(transformers.AutoModel.from_config(described), config)
        if family in ("t5", "mt5", "bart"):
            return transformers.AutoModelForSeq2SeqLM.from_config(described)
        if FAMILIES[family].read.__module__.endswith("encoders"):
            return transformers.AutoModel.from_config(described)
        return transformers.AutoModelForCausalLM.from_config(described)


def with_head(text_model: Any, config: Mapping[str, Any]) -> Any:
    """The text part of a multimodal class has no head of its own: the whole model holds it."""
    from torch import nn

    head = nn.Linear(config["hidden_size"], config["vocab_size"], bias=False)
    if config.get("tie_word_embeddings"):
        head.weight = text_model.embed_tokens.weight
    return nn.ModuleDict({"text": text_model, "lm_head": head})


def total(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("variant", NAMED)
def test_the_formula_equals_the_recorded_class(variant: dict[str, Any]) -> None:
    architecture = Architecture.from_hf_config(variant["config"])
    count = count_parameters(architecture)
    assert count.total == variant["parameters"]
    assert sum(count.by_kind.values()) == count.total
    assert (count.active < count.total) == architecture.is_moe


@pytest.mark.parametrize("variant", NAMED)
def test_the_inventory_names_what_the_installed_class_holds(variant: dict[str, Any]) -> None:
    model = build(variant["config"])
    assert total(model) == variant["parameters"]
    held: Counter[str] = Counter()
    for path, parameter in model.named_parameters():
        *_, owner, leaf = path.split(".")
        if leaf not in ("weight", "bias"):
            owner = leaf.removesuffix("_bias")
        held[owner] += parameter.numel()
    architecture = Architecture.from_hf_config(variant["config"])
    named = inventory(architecture)
    unnamed = architecture.other_parameters + sum(
        layer.other_parameters * layer.count for layer in architecture.layers
    )
    # A list of norms, three names for one table, heads whose bias stands beside the matrix.
    if architecture.family not in ("stablelm", "bart") and "architectures" not in variant["config"]:
        assert sum((held - named).values()) == unnamed
        assert not named - held


def inventory(architecture: Architecture) -> Counter[str]:
    """Parameters by leaf name, as the inventory has them."""
    named: Counter[str] = Counter()
    for table in architecture.embeddings:
        named[table.name] += table.parameters
    for linear, count in architecture.linears():
        tied = linear is architecture.head
        named[linear.name] += architecture.head_parameters if tied else linear.parameters * count
    for norm in architecture.norms:
        named[norm.name] += norm.parameters
    for layer in architecture.layers:
        for norm in layer.norms:
            named[norm.name] += norm.parameters * layer.count
    return +named


@pytest.mark.parametrize(
    "variant",
    [case for case in NAMED if "layer_types" in class_defaults(case.id.rsplit("-", 1)[0]).values],
)
def test_windows_stand_where_the_class_puts_them(variant: dict[str, Any]) -> None:
    model = build(variant["config"])
    listed = (
        model["text"] if "_vl" in variant["config"]["model_type"] else model
    ).config.layer_types
    seen = {}
    for layer in Architecture.from_hf_config(variant["config"]).layers:
        windowed = layer.attention is not None and layer.attention.window is not None
        seen.update(dict.fromkeys(layer.indices, windowed))
    slides = [kind in ("sliding_attention", "chunked_attention") for kind in listed]
    assert [seen[index] for index in range(len(listed))] == slides


PUBLISHED = {id: entry.published_parameters for id, entry in catalogue().items()}


@pytest.mark.parametrize("id", [id for id, published in PUBLISHED.items() if published])
def test_the_total_equals_the_published_one(id: str) -> None:
    assert count_parameters(catalogue_architecture(id)).total == PUBLISHED[id]


LARGEST = {entry.config["model_type"]: id for id, entry in catalogue().items()}


@pytest.mark.parametrize(
    "id", [id for family, id in LARGEST.items() if class_defaults(str(family)).values]
)
def test_one_shipped_model_per_family_equals_its_class(id: str) -> None:
    config: dict[str, Any] = dict(catalogue()[id].config)
    if config["model_type"] == "dbrx":  # its class needs a key that has no part in the count
        config["attn_config"] = {**config["attn_config"], "rope_theta": 5e5}
    assert total(build(config)) == count_parameters(catalogue_architecture(id)).total


@pytest.mark.parametrize(
    ("id", "billions"),
    [
        ("mistralai/Mixtral-8x7B-v0.1", 12.9),
        ("deepseek-ai/DeepSeek-V2-Lite", 2.66),
        ("deepseek-ai/DeepSeek-V3", 37.5),
        ("Qwen/Qwen3-30B-A3B", 3.35),
        ("Qwen/Qwen3-235B-A22B", 22.2),
        ("databricks/dbrx-base", 36.5),
        ("microsoft/Phi-3.5-MoE-instruct", 6.6),
        ("ai21labs/Jamba-v0.1", 12.0),
    ],
)
def test_active_parameters_are_those_that_makers_state(id: str, billions: float) -> None:
    active = count_parameters(catalogue_architecture(id)).active
    assert active / 1e9 == pytest.approx(billions, rel=0.02)


@pytest.mark.parametrize(
    ("id", "with_unbuilt"),
    [
        ("google/flan-t5-base", 247_577_856),  # an own head in the checkpoint
        ("google/flan-t5-xxl", 11_135_332_352),
        ("moonshotai/Kimi-K2-Instruct", 1_026_408_232_448),  # router biases are buffers
    ],
)
def test_what_a_class_leaves_out_is_told_apart(id: str, with_unbuilt: int) -> None:
    architecture = catalogue_architecture(id)
    assert count_parameters(architecture).total < with_unbuilt
    assert count_parameters(architecture).total + architecture.unbuilt_parameters == with_unbuilt


def test_gpt2_by_hand() -> None:
    count = count_parameters(catalogue_architecture("openai-community/gpt2"))
    width = 768
    assert count.by_kind == {
        "embedding": 50257 * width,
        "position": 1024 * width,
        "attention": 12 * (4 * width * width + 4 * width),
        "mlp": 12 * (8 * width * width + 5 * width),
        "norm": (2 * 12 + 1) * 2 * width,
    }


def test_latent_attention_caches_its_latent() -> None:
    attention = catalogue_architecture("deepseek-ai/DeepSeek-V3").main_layer.attention
    assert attention is not None
    assert attention.cache_width == 512 + 64


def test_convenience_figures_of_a_mixed_model() -> None:
    model = catalogue_architecture("deepseek-ai/DeepSeek-V3")
    assert (model.num_layers, model.head_dim, model.num_attention_heads) == (61, 192, 128)
    assert model.intermediate_size == 2048 * (8 + 1)
    assert [(layer.kind, layer.count) for layer in model.layers] == [("dense", 3), ("moe", 58)]


def test_the_text_part_of_a_multimodal_config_is_taken_and_said_so() -> None:
    config = {
        "model_type": "gemma3",
        "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34},
        "vision_config": {"hidden_size": 1152},
    }
    model = Architecture.from_hf_config(config, "google/gemma-3-4b-pt")
    assert model == model and model.tied_embeddings
    assert count_parameters(model).total == 3_880_263_168
    assert "text part of a gemma3 model" in model.notes[0]
    assert "vocab_size 262208" in model.notes[1]


@pytest.mark.parametrize("whole", [None, True, False])
@pytest.mark.parametrize("text", [None, True, False])
@pytest.mark.parametrize(
    "family", ["gemma3", "llama4", "llava", "mistral3", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"]
)
def test_a_multimodal_head_is_tied_as_its_class_ties_it(
    family: str, whole: bool | None, text: bool | None
) -> None:
    transformers = pytest.importorskip("transformers")
    tie = "tie_word_embeddings"
    config: dict[str, Any] = {"model_type": family, "text_config": {"num_hidden_layers": 2}}
    config["text_config"] |= {} if text is None else {tie: text}
    config |= {} if whole is None else {tie: whole}
    stated = {key: value for key, value in config.items() if key != "model_type"}
    described = transformers.CONFIG_MAPPING[family](**json.loads(json.dumps(stated)))
    assert Architecture.from_hf_config(config).tied_embeddings == described.tie_word_embeddings


def test_an_absent_key_is_the_class_default_and_null_is_none() -> None:
    stated = {"model_type": "mistral", "hidden_size": 4096}
    absent = Architecture.from_hf_config(stated)
    null = Architecture.from_hf_config({**stated, "sliding_window": None})
    windows = [model.main_layer.attention.window for model in (absent, null)]  # type: ignore[union-attr]
    assert windows == [4096, None]
    assert count_parameters(absent).total == 7_241_732_096
    assert "leaves out" in absent.notes[0]


@pytest.mark.parametrize(
    ("config", "total_parameters"),
    [
        (
            {"model_type": "RefinedWebModel", "hidden_size": 4544, "n_layer": 32, "n_head": 71,
             "multi_query": True, "parallel_attn": True, "bias": False, "vocab_size": 65024},
            6_921_720_704,
        ),
        (
            {"model_type": "RefinedWeb", "hidden_size": 8192, "n_layer": 60, "n_head": 128,
             "n_head_kv": 8, "parallel_attn": True, "bias": False, "vocab_size": 65024},
            41_303_293_952,
        ),
        (
            {"model_type": "bloom", "n_embed": 1024, "n_layer": 24, "num_attention_heads": 16,
             "vocab_size": 250880},
            559_214_592,
        ),
    ],
)  # fmt: skip
def test_older_keys_are_understood(config: dict[str, Any], total_parameters: int) -> None:
    architecture = Architecture.from_hf_config(config)
    assert count_parameters(architecture).total == total_parameters
    assert architecture.notes == ()


def test_the_shipped_defaults_are_those_of_the_installed_classes() -> None:
    pytest.importorskip("transformers")
    path = Path(__file__).parent.parent / "estimator/llm/data" / TABLE
    shipped = json.loads(path.read_text("utf-8"))
    assert read_classes(family.defaults for family in FAMILIES.values()) == shipped


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_hidden_layers": 10**12}, "num_hidden_layers is 1000000000000; allowed: .* 10000"),
        ({"hidden_size": "4096"}, "hidden_size is '4096'; allowed: a whole number"),
        ({"hidden_size": 4096.0}, "hidden_size is 4096.0"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": -8}, "hidden_size is -8"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"vocab_size": 10**8}, "vocab_size is 100000000; allowed: .* 10000000"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0"),
        ({"num_key_value_heads": 3}, "num_key_value_heads is 3; allowed: a divisor of .* 4"),
        ({"tie_word_embeddings": "yes"}, "tie_word_embeddings is 'yes'; allowed: true or false"),
        ({"attention_dropout": 7}, "attention_dropout is 7; allowed: a number from 0 to 1"),
        ({"layer_types": ["full_attention"]}, "layer_types .* one entry for each of the 3"),
        ({"layer_types": "full"}, "layer_types is 'full'; allowed: a list of strings"),
        ({"architectures": 5}, "architectures is 5; allowed: a list"),
        ({"model_type": 5}, "model_type is 5"),
        ({"model_type": "qwen2" * 99}, "unknown model family"),
        ({"hidden_size": [1] * 999}, r"hidden_size is \[1, 1.*\.\.\.; allowed"),
    ],
)
def test_a_value_that_no_model_can_have_is_named(changes: dict[str, Any], message: str) -> None:
    config = {
        "model_type": "qwen2",
        "hidden_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        **changes,
    }
    with pytest.raises(EstimatorError, match=message) as caught:
        Architecture.from_hf_config(config)
    assert len(str(caught.value)) < 400


def test_contradicting_spellings_are_refused() -> None:
    with pytest.raises(InputError, match="n_embd 768, hidden_size 1024 contradict"):
        Architecture.from_hf_config({"model_type": "gpt2", "n_embd": 768, "hidden_size": 1024})


def test_a_config_without_dimensions_is_refused() -> None:
    with pytest.raises(InputError, match="states no dimension"):
        Architecture.from_hf_config({"model_type": "llama", "hidden_act": "silu"}, "x")
    with pytest.raises(InputError, match=r"a config\.json is a JSON object"):
        Architecture.from_hf_config([1, 2])  # type: ignore[arg-type]


def test_an_unknown_family_names_the_nearest() -> None:
    with pytest.raises(CatalogError, match="unknown model family 'gema2'; nearest known: gemma2"):
        Architecture.from_hf_config({"model_type": "gema2"})


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(st.sampled_from(VARIANTS), st.data())
def test_junk_gives_an_architecture_or_a_clear_error(
    variant: dict[str, Any], data: st.DataObject
) -> None:
    config = dict(variant["config"])
    for key in data.draw(st.lists(st.sampled_from(sorted(config)), min_size=1, max_size=3)):
        config[key] = data.draw(JUNK, label=key)
    try:
        count = count_parameters(Architecture.from_hf_config(config))
    except EstimatorError as error:
        assert str(error)
        return
    assert 0 < count.active <= count.total
