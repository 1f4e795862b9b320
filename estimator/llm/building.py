"""The inventory of a family that has no formula here, read from its `transformers` class.

The class is built on the meta device, so no weight exists and nothing from a model repository
runs. Parameters are exact; what a matrix is for is told from its name, so FLOPs and activations of
such a model are estimates, and its notes say so.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from estimator.errors import CatalogError, InputError, MissingExtra
from estimator.llm.architecture import (
    Architecture,
    Attention,
    Embedding,
    Layer,
    Linear,
    Norm,
    Reads,
    Role,
)
from estimator.llm.families.build import group_layers
from estimator.llm.parameters import count_parameters

if TYPE_CHECKING:
    from torch import nn

MAX_BUILT_LAYERS = 1_000
MAX_BUILT_NUMBER = 1_000_000_000
_LAYER = re.compile(r"^(?P<stack>[^\d]*?)\.(?P<index>\d+)\.(?P<rest>.+)$")
_ACTIVE_KEYS = ("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "top_k", "moe_topk")
_OUTPUTS = frozenset({"o_proj", "out_proj", "dense", "wo", "c_proj", "o", "Wo", "out_lin"})


def inventory_of(config: Mapping[str, object], id: str = "") -> Architecture:
    """The architecture of the `transformers` class of `config`, of a multimodal one the text part.

    Raises `MissingExtra` without `transformers`, `CatalogError` for a family that it does not
    know and `InputError` for a config that its class refuses.
    """
    nested = config.get("text_config")
    text = nested if isinstance(nested, Mapping) else config
    family = str(text.get("model_type") or config.get("model_type"))[:80]
    _refuse_monsters(text, id or family)
    model = _build(text, family, id or family)
    architecture = _Reader(model, family, id).architecture()
    built = sum(parameter.numel() for parameter in model.parameters())
    counted = count_parameters(architecture).total
    assert counted == built, f"{family}: inventory {counted}, class {built}"
    return architecture


def _refuse_monsters(config: Mapping[str, object], where: str) -> None:
    """Numbers that would make building take for ever."""
    for key, value in config.items():
        most = MAX_BUILT_LAYERS if re.search(r"(layers?|blocks?)$", key) else MAX_BUILT_NUMBER
        if isinstance(value, int) and not isinstance(value, bool) and value > most:
            raise InputError(f"config of {where}: {key} is {value}; allowed: at most {most}")


def _build(config: Mapping[str, object], family: str, where: str) -> "nn.Module":
    try:
        import torch
        from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, AutoModelForCausalLM
    except ImportError:
        raise MissingExtra(
            f"model family {family!r} is counted by building it, which needs the benchmark extra: "
            "pip install 'tuneroi[benchmark]'"
        ) from None
    if family not in CONFIG_MAPPING:
        raise CatalogError(f"model family {family!r} is not known to the installed transformers")
    stated = {str(key): value for key, value in config.items() if key != "model_type"}
    try:
        described = AutoConfig.for_model(family, **stated)
        decodes = type(described) in AutoModelForCausalLM._model_mapping
        maker = AutoModelForCausalLM if decodes else AutoModel
        with torch.device("meta"):
            model: nn.Module = maker.from_config(described, trust_remote_code=False)
    except Exception as error:
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"config of {where}: the {family} class of transformers refuses it ({cause[0][:160]})"
        ) from None
    return model


@dataclass(frozen=True, slots=True)
class _Part:
    """One item of a layer, before the layers are put together."""

    linear: Linear | None = None
    norm: Norm | None = None
    embedding: Embedding | None = None
    other: int = 0


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a built model module by module."""

    model: Any
    family: str
    id: str

    @property
    def text(self) -> Any:
        """The model's config."""
        return self.model.config

    def number(self, *names: str) -> int | None:
        """The first whole number that the config has under one of `names`."""
        found = (getattr(self.text, name, None) for name in names)
        return next((value for value in found if isinstance(value, int) and value > 0), None)

    @property
    def hidden(self) -> int:
        """Width of the model."""
        return self.number("hidden_size", "d_model", "dim", "n_embd") or 1

    def architecture(self) -> Architecture:
        """The inventory."""
        head, tied = self._head()
        inside: dict[tuple[str, int], list[_Part]] = {}
        outside: list[_Part] = []
        for path, part in self._parts():
            place = _LAYER.match(path)
            if place is None:
                outside.append(part)
            else:
                key = (place["stack"], int(place["index"]))
                inside.setdefault(key, []).append(part)
        tables = tuple(part.embedding for part in outside if part.embedding)
        return Architecture(
            id=self.id,
            family=self.family,
            kind=self._kind(),
            hidden_size=self.hidden,
            vocab_size=max((table.rows for table in tables), default=1),
            layers=self._layers(inside),
            embeddings=tables,
            norms=tuple(part.norm for part in outside if part.norm),
            projections=tuple(part.linear for part in outside if part.linear),
            head=head,
            tied_embeddings=tied,
            other_parameters=sum(part.other for part in outside),
            context_length=self.number("max_position_embeddings", "n_positions", "max_seq_len"),
            notes=(
                f"no formula for family {self.family}: its transformers class was built to count "
                "it; what its matrices are for is told from their names",
            ),
        )

    def _kind(self) -> Literal["decoder", "encoder", "encoder-decoder"]:
        if getattr(self.text, "is_encoder_decoder", False):
            return "encoder-decoder"
        return "decoder" if self.model.get_output_embeddings() is not None else "encoder"

    def _head(self) -> tuple[Linear | None, bool]:
        module = self.model.get_output_embeddings()
        if module is None:
            return None, False
        outputs, inputs = module.weight.shape
        table = self.model.get_input_embeddings()
        tied = table is not None and table.weight is module.weight
        name = next(path for path, child in self.model.named_modules() if child is module)
        bias = getattr(module, "bias", None) is not None
        head = Linear(
            name=name.rpartition(".")[2],
            inputs=inputs,
            outputs=outputs,
            bias=bias,
            role="head",
            reads="final",
        )
        return head, tied

    def _parts(self) -> Iterator[tuple[str, _Part]]:
        """Every module that owns parameters, once, the head left out."""
        seen: set[int] = set()
        head = self.model.get_output_embeddings()
        if head is not None:
            seen |= {id(parameter) for parameter in head.parameters(recurse=False)}
            table = self.model.get_input_embeddings()
            if table is not None:
                seen.discard(id(table.weight))
        for path, module in self.model.named_modules():
            own = {
                name: parameter
                for name, parameter in module.named_parameters(recurse=False)
                if id(parameter) not in seen and module is not head
            }
            seen |= {id(parameter) for parameter in own.values()}
            yield from ((f"{path}.", part) for part in self._module_parts(path, module, own))

    def _module_parts(self, path: str, module: Any, own: Mapping[str, Any]) -> Iterator[_Part]:
        kind, name = type(module).__name__, path.rpartition(".")[2]
        weight = own.get("weight")
        if weight is None or set(own) - {"weight", "bias"}:
            yield from (self._tensor(path, key, value) for key, value in own.items())
        elif "Embedding" in kind and weight.ndim == 2:
            rows, width = weight.shape
            role: Literal["token", "position"] = "position" if "pos" in name.lower() else "token"
            yield _Part(embedding=Embedding(name=name, rows=rows, width=width, role=role))
        elif "Norm" in kind and weight.ndim == 1:
            yield _Part(
                norm=Norm(
                    name=name,
                    width=weight.numel(),
                    kind="layer" if "bias" in own else "rms",
                    bias="bias" in own,
                )
            )
        elif weight.ndim == 2 and kind != "Conv1d":
            yield _Part(linear=self._linear(path, module, weight, bias="bias" in own))
        else:
            yield _Part(other=sum(value.numel() for value in own.values()))

    def _tensor(self, path: str, name: str, value: Any) -> _Part:
        """A bare parameter: fused experts if it has three axes, otherwise only counted."""
        if value.ndim != 3 or "expert" not in path.lower():
            return _Part(other=value.numel())
        copies, first, second = value.shape
        outward = second == self.hidden and first != self.hidden
        inputs, outputs = (first, second) if outward == ("down" in name) else (second, first)
        active = min(copies, self.number(*_ACTIVE_KEYS) or copies)
        return _Part(
            linear=Linear(
                name=name,
                inputs=inputs,
                outputs=outputs,
                role="expert",
                reads="hidden" if "down" in name or name == "w2" else "residual",
                copies=copies,
                active=active,
                form="tensor",
            )
        )

    def _linear(self, path: str, module: Any, weight: Any, *, bias: bool) -> Linear:
        name = path.rpartition(".")[2]
        transposed = type(module).__name__ == "Conv1D"
        outputs, inputs = reversed(weight.shape) if transposed else weight.shape
        role = _role(path, inside=_LAYER.match(f"{path}.") is not None)
        return Linear(
            name=name,
            inputs=inputs,
            outputs=outputs,
            bias=bias,
            role=role,
            reads=_reads(name, role, outputs=outputs, hidden=self.hidden),
            form="conv1d" if transposed else "linear",
        )

    def _layers(self, inside: Mapping[tuple[str, int], list[_Part]]) -> tuple[Layer, ...]:
        layers: list[Layer] = []
        for stack in dict.fromkeys(stack for stack, _ in inside):
            parts = {index: tuple(found) for (own, index), found in inside.items() if own == stack}
            kinds = [parts.get(index, ()) for index in range(max(parts) + 1)]
            grouped = group_layers(kinds, lambda kind, stack=stack: self._layer(stack, kind))  # type: ignore[misc]
            layers.extend(grouped)
        return tuple(layers)

    def _layer(self, stack: str, parts: tuple[_Part, ...]) -> Layer:
        linears = tuple(part.linear for part in parts if part.linear)
        side: Literal["encoder", "decoder"] = (
            "encoder" if "encoder" in stack or self._kind() == "encoder" else "decoder"
        )
        attends = any(linear.role == "attention" for linear in linears)
        crosses = any(linear.role == "cross_attention" for linear in linears)
        attention = replace(self._attention(), causal=side == "decoder")
        return Layer(
            kind="built",
            indices=(),
            linears=linears,
            norms=tuple(part.norm for part in parts if part.norm),
            attention=attention if attends else None,
            cross_attention=replace(attention, causal=False) if crosses else None,
            other_parameters=sum(
                part.other + (part.embedding.parameters if part.embedding else 0) for part in parts
            ),
            gated=any("gate" in linear.name or "w3" in linear.name for linear in linears),
            activation=str(getattr(self.text, "hidden_act", "gelu")),
            stack=side,
        )

    def _attention(self) -> Attention:
        heads = self.number("num_attention_heads", "n_head", "num_heads") or 1
        width = self.number("head_dim", "d_kv") or max(1, self.hidden // heads)
        shared = self.number("num_key_value_heads", "num_kv_heads") or heads
        return Attention(heads=heads, kv_heads=shared, head_dim=width, value_head_dim=width)


def _role(path: str, *, inside: bool) -> Role:
    lower = path.lower()
    if not inside:
        return "projection"
    if "router" in lower or lower.endswith(".gate"):
        return "router"
    if "shared_expert" in lower:
        return "shared_expert"
    if "expert" in lower:
        return "expert"
    if re.search(r"cross|encoder_attn|encdec", lower):
        return "cross_attention"
    if re.search(r"mamba|mixer|ssm|linear_attn|conv|rwkv|time_", lower):
        return "mixer"
    return "attention" if re.search(r"attn|attention", lower) else "mlp"


def _reads(name: str, role: Role, *, outputs: int, hidden: int) -> Reads:
    if role == "projection":
        return "final"
    if role in ("attention", "mixer", "cross_attention"):
        return "context" if name in _OUTPUTS else "input"
    return "hidden" if outputs == hidden and role != "router" else "residual"
