"""What parameter-efficient methods train: counts equal to `peft`'s own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, NoReturn

from estimator.errors import InputError, nearest
from estimator.llm.architecture import MLP_ROLES, Architecture, Embedding, Linear, Norm

Method = Literal["lora", "rslora", "qlora", "dora", "ia3", "prompt", "layernorm", "last_layers"]

ALL_LINEAR = "all-linear"
_CONTAINERS: dict[str, Callable[[Linear], bool]] = {
    "mlp": lambda linear: linear.role in MLP_ROLES,
    "attn": lambda linear: linear.role == "attention",
    "attention": lambda linear: linear.role == "attention",
    "self_attn": lambda linear: linear.role == "attention",
    "self_attention": lambda linear: linear.role == "attention",
    "output": lambda linear: linear.reads in ("context", "hidden"),
}
"""Modules that may stand before a leaf name in a target, such as `mlp.c_proj`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec:
    """A parameter-efficient method and what it is applied to."""

    method: Method = "lora"
    rank: int = 16
    """Rank of the low-rank factors (LoRA and its kin)."""
    targets: str | tuple[str, ...] = ALL_LINEAR
    """`all-linear` or leaf names such as `q_proj`. For `layernorm` the names of norms; there
    `all-linear` stands for every norm."""
    modules_to_save: tuple[str, ...] = ()
    """Modules trained whole beside the adapter, such as `lm_head`; a name also takes every module
    that ends in it, as in `peft`."""
    feedforward: tuple[str, ...] = ()
    """IA3 targets that scale their input instead of their output."""
    virtual_tokens: int = 20
    """Length of the soft prompt (prompt tuning)."""
    last_layers: int = 1
    """How many of the last layers are trained (method `last_layers`)."""


def is_target(linear: Linear, targets: str | tuple[str, ...]) -> bool:
    """Whether LoRA with these targets adapts `linear`.

    `all-linear` takes every matrix but the head (Dettmers et al., QLoRA, section 4), as far as
    `peft` sees it as a module or maps names to it.
    """
    if targets == ALL_LINEAR:
        return linear.role != "head" and bool(linear.adapter_targets)
    return bool(_named(linear, (targets,) if isinstance(targets, str) else targets))


def _named(linear: Linear, targets: tuple[str, ...]) -> list[str]:
    """The names of `linear` that one of `targets` means."""
    return [
        name
        for name in linear.adapter_targets
        if any(_means(linear, name, target) for target in targets)
    ]


def _means(linear: Linear, name: str, target: str) -> bool:
    container, _, leaf = target.rpartition(".")
    if leaf != name:
        return False
    if not container:
        return True
    if container not in _CONTAINERS:
        allowed = ", ".join(sorted(_CONTAINERS))
        raise InputError(
            f"adapter target {target!r}: give a leaf name, or one after a module of {allowed}"
        )
    return _CONTAINERS[container](linear)


def lora_parameters(linear: Linear, rank: int) -> int:
    """Entries of the two low-rank factors on all copies of `linear` (Hu et al., LoRA, 4.1).

    r x (inputs + outputs) per matrix; a tensor fused from several matrices takes the rank of each.
    """
    names = max(1, len(linear.adapter_targets))
    return names * rank * (linear.inputs + linear.outputs) * linear.copies


def count_trainable(architecture: Architecture, spec: AdapterSpec) -> int:
    """Trainable parameters of `architecture` under `spec`, as `peft` counts them.

    Left out: biases trained beside LoRA (`bias="all"`) and per-layer rank patterns.
    """
    _validate(architecture, spec)
    saved = _saved_parameters(architecture, spec.modules_to_save)
    if spec.method == "prompt":
        stacks = 2 if architecture.kind == "encoder-decoder" else 1
        return spec.virtual_tokens * stacks * architecture.hidden_size + saved
    if spec.method == "layernorm":
        return _norm_parameters(architecture, spec) + saved
    if spec.method == "last_layers":
        return _last_layer_parameters(architecture, spec.last_layers) + saved
    if spec.method == "ia3":
        return _ia3_parameters(architecture, spec) + saved
    return _low_rank_parameters(architecture, spec) + saved


def _validate(architecture: Architecture, spec: AdapterSpec) -> None:
    limits = {
        "rank": (spec.rank, 1_000_000),
        "virtual_tokens": (spec.virtual_tokens, 1_000_000),
        "last_layers": (spec.last_layers, architecture.num_layers),
    }
    for name, (value, most) in limits.items():
        if not 1 <= value <= most:
            raise InputError(f"adapter {name} is {value}; allowed: 1 to {most}")


def _adaptable(architecture: Architecture, spec: AdapterSpec) -> Iterator[tuple[Linear, int]]:
    """The matrices that the targets of `spec` mean, with their number of layers."""
    kept = tuple(spec.modules_to_save)
    for linear, count in architecture.linears():
        if linear.name not in kept and is_target(linear, spec.targets):
            yield linear, count


def _low_rank_parameters(architecture: Architecture, spec: AdapterSpec) -> int:
    chosen = list(_adaptable(architecture, spec))
    tables = _embedding_targets(architecture, spec)
    if not chosen and not tables:
        _refuse_targets(architecture, spec)
    if spec.method == "dora" and any(linear.form == "tensor" for linear, _ in chosen):
        raise InputError("DoRA on fused experts does not exist in peft; target modules instead")
    for linear, _ in chosen:
        _refuse_partial(linear, spec.targets)
    total = sum(lora_parameters(linear, spec.rank) * count for linear, count in chosen)
    total += sum(spec.rank * (table.rows + table.width) for table in tables)
    if spec.method == "dora":
        total += sum(linear.outputs * linear.copies * count for linear, count in chosen)
        total += sum(table.width for table in tables)
    return total


def _embedding_targets(architecture: Architecture, spec: AdapterSpec) -> list[Embedding]:
    if isinstance(spec.targets, str):
        return [table for table in architecture.embeddings if table.name == spec.targets]
    return [table for table in architecture.embeddings if table.name in spec.targets]


def _refuse_partial(linear: Linear, targets: str | tuple[str, ...]) -> None:
    """A tensor fused from several matrices takes adapters on all of them or on none."""
    if targets == ALL_LINEAR or len(linear.adapter_targets) < 2:
        return
    named = _named(linear, (targets,) if isinstance(targets, str) else targets)
    missing = sorted(set(linear.adapter_targets) - set(named))
    if missing:
        raise InputError(
            f"adapter targets {', '.join(named)} also need {', '.join(missing)}: "
            f"they are fused into {linear.name}"
        )


def _refuse_targets(architecture: Architecture, spec: AdapterSpec) -> NoReturn:
    names = {name for linear, _ in architecture.linears() for name in linear.adapter_targets}
    wished = spec.targets if isinstance(spec.targets, str) else ", ".join(spec.targets)
    close = nearest(wished, names) or sorted(names)
    raise InputError(
        f"adapter targets {wished!r} are not in {architecture.id or architecture.family}; "
        f"nearest: {', '.join(close)}, or {ALL_LINEAR}"
    )


def _ia3_parameters(architecture: Architecture, spec: AdapterSpec) -> int:
    """One scale per output of each target, per input of the feed-forward ones (Liu et al., 2022,
    section 3.3)."""
    modules = [
        (replace(linear, adapter_names=None), count) for linear, count in _modules(architecture)
    ]
    chosen = [(linear, count) for linear, count in modules if is_target(linear, spec.targets)]
    if not chosen:
        _refuse_targets(architecture, spec)
    return sum(
        (linear.inputs if _named(linear, spec.feedforward) else linear.outputs)
        * linear.copies
        * count
        for linear, count in chosen
    )


def _norms(architecture: Architecture) -> Iterator[tuple[Norm, int]]:
    for layer in architecture.layers:
        for norm in layer.norms:
            yield norm, layer.count
    for norm in architecture.norms:
        yield norm, 1


def _norm_parameters(architecture: Architecture, spec: AdapterSpec) -> int:
    """Weights and biases of the norms (Zhao et al., Tuning LayerNorm in Attention, 2023)."""
    wished = (spec.targets,) if isinstance(spec.targets, str) else spec.targets
    every = spec.targets == ALL_LINEAR
    total = sum(
        norm.parameters * count
        for norm, count in _norms(architecture)
        if every or norm.name in wished
    )
    if not total:
        names = sorted({norm.name for norm, _ in _norms(architecture) if norm.parameters})
        known = ", ".join(names) or "none (its norms have no weights)"
        raise InputError(f"norms {', '.join(wished)!r} have no parameters; known: {known}")
    return total


def _last_layer_parameters(architecture: Architecture, last: int) -> int:
    """All parameters of the last layers of the stack that makes the output."""
    stack = architecture.layers[-1].stack
    layers = [layer for layer in architecture.layers if layer.stack == stack]
    depth = sum(layer.count for layer in layers)
    if last > depth:
        raise InputError(f"adapter last_layers is {last}; allowed: 1 to {depth}")
    return sum(
        layer.parameters * sum(index >= depth - last for index in layer.indices) for layer in layers
    )


def _saved_parameters(architecture: Architecture, names: tuple[str, ...]) -> int:
    """Full copies of the modules whose name ends in one of `names`; a tied head is copied too."""
    modules: list[tuple[str, int]] = [
        *((linear.name, linear.parameters * count) for linear, count in _modules(architecture)),
        *((norm.name, norm.parameters * count) for norm, count in _norms(architecture)),
        *((table.name, table.parameters) for table in architecture.embeddings),
    ]
    for name in names:
        if not any(module.endswith(name) for module, _ in modules):
            close = nearest(name, [module for module, _ in modules])
            raise InputError(
                f"modules_to_save {name!r} is not in {architecture.id or architecture.family}; "
                f"nearest: {', '.join(close) or 'none'}"
            )
    return sum(
        parameters for module, parameters in modules if any(module.endswith(name) for name in names)
    )


def _modules(architecture: Architecture) -> Iterator[tuple[Linear, int]]:
    return ((x, count) for x, count in architecture.linears() if x.form != "tensor")
