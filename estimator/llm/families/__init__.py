"""From a config.json to an Architecture: one small function per family, found by `model_type`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from estimator.errors import InputError, unknown
from estimator.llm.architecture import Architecture
from estimator.llm.config import ModelConfig
from estimator.llm.families import (
    bloom,
    deepseek,
    delta_net,
    encoders,
    experts,
    gpt,
    layernorm,
    llama,
    remote,
    seq2seq,
    state_space,
)
from estimator.llm.families.adapter_names import with_adapter_names
from estimator.llm.families.build import read_task
from estimator.llm.families.multimodal import text_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How a `model_type` is read."""

    read: Callable[[ModelConfig], Architecture]
    defaults: str
    """The `model_type` whose config class gives missing keys."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Names of keys in older configs, beyond those that the class maps by itself."""


_READERS: dict[str, Callable[[ModelConfig], Architecture]] = {
    "gpt2": gpt.gpt2,
    "gpt_bigcode": gpt.gpt_bigcode,
    "gpt_neo": gpt.gpt_neo,
    "gpt_neox": gpt.gpt_neox,
    "gptj": gpt.gptj,
    "opt": gpt.opt,
    "bloom": bloom.bloom,
    "falcon": bloom.falcon,
    "mpt": bloom.mpt,
    "llama": llama.llama,
    "granite": llama.llama,
    "internlm3": llama.llama,
    "mistral": llama.mistral,
    "ministral": llama.ministral,
    "smollm3": llama.smollm3,
    "qwen2": llama.qwen2,
    "qwen3": llama.qwen3,
    "gemma": llama.gemma,
    "gemma2": llama.gemma2,
    "gemma3_text": llama.gemma3,
    "olmo": llama.olmo,
    "olmo2": llama.olmo2,
    "olmo3": llama.olmo2,
    "phi3": llama.phi3,
    "glm": llama.glm,
    "glm4": llama.glm4,
    "seed_oss": llama.seed_oss,
    "exaone4": llama.exaone4,
    "phi": layernorm.phi,
    "stablelm": layernorm.stablelm,
    "starcoder2": layernorm.starcoder2,
    "cohere": layernorm.cohere,
    "cohere2": layernorm.cohere2,
    "nemotron": layernorm.nemotron,
    "mixtral": experts.mixtral,
    "qwen2_moe": experts.qwen2_moe,
    "qwen3_moe": experts.qwen3_moe,
    "qwen3_next": delta_net.qwen3_next,
    "olmoe": experts.olmoe,
    "phimoe": experts.phimoe,
    "granitemoe": experts.granitemoe,
    "granitemoeshared": experts.granitemoe,
    "gpt_oss": experts.gpt_oss,
    "llama4_text": experts.llama4,
    "dbrx": experts.dbrx,
    "deepseek_v2": deepseek.deepseek_v2,
    "deepseek_v3": deepseek.deepseek_v3,
    "glm4_moe": deepseek.glm4_moe,
    "mamba": state_space.mamba,
    "mamba2": state_space.mamba2,
    "jamba": state_space.jamba,
    "granitemoehybrid": state_space.granitemoehybrid,
    "nemotron_h": state_space.nemotron_h,
    "bert": encoders.bert,
    "roberta": encoders.roberta,
    "xlm-roberta": encoders.roberta,
    "distilbert": encoders.distilbert,
    "deberta-v2": encoders.deberta_v2,
    "modernbert": encoders.modernbert,
    "t5": seq2seq.t5,
    "mt5": seq2seq.t5,
    "bart": seq2seq.bart,
    "internlm": remote.internlm,
    "internlm2": remote.internlm2,
    "baichuan": remote.baichuan,
    "qwen": remote.qwen,
    "chatglm": remote.chatglm,
}
_SAME_AS: dict[str, tuple[str, str]] = {
    "Yi": ("llama", "llama"),
    "kimi_k2": ("deepseek_v3", "deepseek_v3"),
    "RefinedWeb": ("falcon", "falcon"),
    "RefinedWebModel": ("falcon", "falcon"),
    "stablelm_epoch": ("stablelm", "stablelm"),
    "camembert": ("roberta", "camembert"),
    "qwen2_vl": ("qwen2", "qwen2_vl_text"),
    "qwen2_vl_text": ("qwen2", "qwen2_vl_text"),
    "qwen2_5_vl": ("qwen2", "qwen2_5_vl_text"),
    "qwen2_5_vl_text": ("qwen2", "qwen2_5_vl_text"),
    "qwen3_vl_text": ("qwen3", "qwen3_vl_text"),
    "qwen3_vl_moe_text": ("qwen3_moe", "qwen3_vl_moe_text"),
}
"""Other names: the family that reads them, and the one whose class gives missing keys."""

_REFINED_WEB = {
    "n_layer": "num_hidden_layers",
    "n_head": "num_attention_heads",
    "n_head_kv": "num_kv_heads",
    "n_embed": "hidden_size",
}
_OLDER_KEYS: dict[str, dict[str, str]] = {
    "bloom": {"n_embed": "hidden_size"},
    "falcon": {"n_embed": "hidden_size"},
    "RefinedWeb": _REFINED_WEB,
    "RefinedWebModel": _REFINED_WEB,
}

FAMILIES: dict[str, Family] = {
    name: Family(read=_READERS[reader], defaults=defaults, aliases=_OLDER_KEYS.get(name, {}))
    for name, (reader, defaults) in {
        **{name: (name, name) for name in _READERS},
        **_SAME_AS,
    }.items()
}
"""Every `model_type` that is counted exactly."""

_DIMENSIONS = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
)  # fmt: skip


def read_config(values: Mapping[str, object], id: str = "") -> Architecture:
    """The architecture that a config.json describes; of a multimodal one its text part."""
    where = f"config of {id}" if id else "config"
    if not isinstance(values, Mapping):
        raise InputError(f"{where} is {type(values).__name__}; a config.json is a JSON object")
    model_type = values.get("model_type")
    if not isinstance(model_type, str) or not model_type:
        raise InputError(f"{where}: model_type is {model_type!r}; allowed: the name of a family")
    text = text_part(values)
    if text is None:
        return _read(values, model_type, id, whole=True)
    architecture = _read(text, str(text["model_type"]), id, whole=False)
    note = f"text part of a {model_type[:80]} model; its vision and audio parts are not counted"
    return replace(architecture, notes=(note, *architecture.notes))


def _read(values: Mapping[str, object], model_type: str, id: str, *, whole: bool) -> Architecture:
    if model_type not in FAMILIES:
        raise unknown(
            "model family" if whole else "text model of a multimodal family",
            model_type[:80],
            FAMILIES,
            hint="Install the benchmark extra to count it from its transformers class",
        )
    family = FAMILIES[model_type]
    config = ModelConfig.of(
        values,
        family=model_type,
        defaults=family.defaults,
        aliases=family.aliases,
        id=id,
    )
    known = [key for key in _DIMENSIONS if config.defaults.get(config.names(key)[0]) is not None]
    assumed = [key for key in known if not any(name in values for name in config.names(key))]
    if whole and known and assumed == known:
        raise InputError(
            f"{config.where} states no dimension; allowed: a config with {', '.join(known)}"
        )
    notes = []
    if assumed:
        stated = ", ".join(f"{key} {config.get(key)}" for key in assumed)
        notes.append(f"the config leaves out what its transformers class assumes: {stated}")
    classes = config.list_of("architectures", str)
    if classes and read_task(config) is None:
        notes.append(f"class {classes[0][:80]} is not known: the family's usual one is counted")
    architecture = with_adapter_names(family.read(config))
    return replace(architecture, notes=(*architecture.notes, *notes))
