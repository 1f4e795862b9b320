"""How `peft` reaches experts that `transformers` 5 fuses into tensors.

Since the fusion `peft` maps the former names of experts and router to the tensors
(peft/utils/transformers_weight_conversion.py), for the families below. A module that bears one of
these names in such a family (a shared expert, a dense layer) is no longer reached by it.
"""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Layer, Linear

_MIXTRAL = {"gate": ("gate",), "gate_up_proj": ("w1", "w3"), "down_proj": ("w2",)}
_QWEN = {
    "gate": ("gate",),
    "gate_up_proj": ("gate_proj", "up_proj"),
    "down_proj": ("down_proj",),
}
_MAPPED: dict[str, dict[str, tuple[str, ...]]] = {
    "mixtral": _MIXTRAL,
    "qwen3_moe": _QWEN,
    "qwen3_next": _QWEN,
    "olmoe": _QWEN,
    "deepseek_v2": _QWEN,
    "deepseek_v3": _QWEN,
    "kimi_k2": _QWEN,
    "glm4_moe": _QWEN,
    "mamba": {"out_proj": ()},
    "mamba2": {"out_proj": ()},
    "nemotron_h": {"out_proj": ()},
}
"""Former names by tensor, for each family; Mamba's output projection is closed to adapters."""


def with_adapter_names(architecture: Architecture) -> Architecture:
    """`architecture` with the names by which adapters reach its experts and router."""
    mapped = _MAPPED.get(architecture.family)
    if mapped is None:
        return architecture
    return replace(architecture, layers=tuple(_renamed(x, mapped) for x in architecture.layers))


def _renamed(layer: Layer, mapped: dict[str, tuple[str, ...]]) -> Layer:
    former = {name for names in mapped.values() for name in names}
    former |= {name for name, names in mapped.items() if not names}

    def rename(linear: Linear) -> Linear:
        if linear.form == "tensor":
            return replace(linear, adapter_names=mapped.get(linear.name, ()))
        return replace(linear, adapter_names=()) if linear.name in former else linear

    return replace(layer, linears=tuple(rename(linear) for linear in layer.linears))
