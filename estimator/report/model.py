"""A model for people and for JSON: parameters by kind, FLOPs per token, what an adapter trains."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from estimator.decision.wording import significant
from estimator.errors import InputError
from estimator.llm.adapters import ALL_LINEAR, AdapterSpec, count_trainable
from estimator.llm.architecture import Architecture
from estimator.llm.flops import FlopsPerToken, flops_per_token
from estimator.llm.parameters import ParameterCount, count_parameters
from estimator.llm.resolve import ResolvedModel
from estimator.report.layout import GIB, bars, facts, gib, heading, notes, table
from estimator.training.trace import TraceCase, closed_form_peak, trace_peak

LOW_RANK = ("lora", "rslora", "qlora", "dora")
"""Methods whose FLOPs are those of LoRA; the FLOPs of others are given as of full training."""
BYTES_16_BIT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedStep:
    """A traced training step of the real class, and the closed form for the same step."""

    case: TraceCase
    traced_bytes: int
    closed_bytes: int

    @property
    def error(self) -> float:
        """Closed form over trace, less one."""
        return self.closed_bytes / self.traced_bytes - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """What `tuneroi model` says of a model."""

    resolved: ResolvedModel
    sequence_length: int
    adapter: AdapterSpec | None
    parameters: ParameterCount
    flops: FlopsPerToken
    trainable_parameters: int | None
    """None without an adapter."""
    traced: tuple["TracedStep", ...] = ()
    """Real training steps traced beside the closed form, where asked for."""

    @property
    def architecture(self) -> Architecture:
        """The dimensions."""
        return self.resolved.architecture

    @property
    def flops_method(self) -> str:
        """Whose training the FLOPs are: `lora` or `full`."""
        return "lora" if self.adapter and self.adapter.method in LOW_RANK else "full"

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know before using the figures."""
        longest = self.architecture.context_length
        if longest is None or self.sequence_length <= longest:
            return self.resolved.notes
        beyond = f"{self.sequence_length:,} tokens are more than its context of {longest:,}"
        return (*self.resolved.notes, beyond)


def model_report(
    resolved: ResolvedModel,
    *,
    sequence_length: int,
    adapter: AdapterSpec | None,
    traced: tuple[TracedStep, ...] = (),
) -> ModelReport:
    """Parameters, FLOPs per token and trainable parameters of a resolved model."""
    architecture = resolved.architecture
    low_rank = adapter if adapter and adapter.method in LOW_RANK else None
    return ModelReport(
        resolved=resolved,
        sequence_length=sequence_length,
        adapter=adapter,
        parameters=count_parameters(architecture),
        flops=flops_per_token(
            architecture,
            sequence_length=sequence_length,
            method="lora" if low_rank else "full",
            lora_rank=low_rank.rank if low_rank else 1,
            lora_targets=low_rank.targets if low_rank else "all-linear",
        ),
        trainable_parameters=count_trainable(architecture, adapter) if adapter else None,
        traced=traced,
    )


def trace_cases(adapter: AdapterSpec | None, *, sequence_length: int) -> tuple[TraceCase, ...]:
    """Full training, or LoRA as the adapter says, with and without checkpointing."""
    if adapter is not None and (adapter.method != "lora" or adapter.targets != ALL_LINEAR):
        raise InputError("--trace runs full training, or lora on all-linear; drop other options")
    return tuple(
        TraceCase(
            method="lora" if adapter else "full",
            checkpointing=checkpointing,
            sequence_length=sequence_length,
            lora_rank=adapter.rank if adapter else 1,
        )
        for checkpointing in (False, True)
    )


def trace_steps(
    config: Mapping[str, object], architecture: Architecture, cases: Iterable[TraceCase]
) -> tuple[TracedStep, ...]:
    """Traced training steps of the model that a config.json describes, a batch of one sequence."""
    return tuple(
        TracedStep(
            case=case,
            traced_bytes=trace_peak(config, case).peak_bytes,
            closed_bytes=closed_form_peak(architecture, case),
        )
        for case in cases
    )


def model_dict(report: ModelReport) -> dict[str, Any]:
    """The report in the shape that `--json` promises."""
    architecture, count = report.architecture, report.parameters
    data: dict[str, Any] = {
        "id": architecture.id,
        "family": architecture.family,
        "kind": architecture.kind,
        "source": report.resolved.source,
        "origin": report.resolved.origin,
        "as_of": report.resolved.as_of,
        "exact": report.resolved.exact,
        "parameters": {
            "total": count.total,
            "active": count.active,
            "embedding": count.embedding,
            "by_kind": dict(count.by_kind),
        },
        "flops_per_token": {
            "forward": report.flops.forward,
            "train": report.flops.train,
            "six_nd": report.flops.six_n,
            "six_nd_error": report.flops.six_n_error,
            "sequence_length": report.sequence_length,
            "method": report.flops_method,
        },
        "shape": dict(_shape(architecture)),
        "weights_bytes_16_bit": count.total * BYTES_16_BIT,
        "notes": list(report.notes),
    }
    if report.traced:
        data["traced"] = [
            {
                "method": step.case.method,
                "checkpointing": "full" if step.case.checkpointing else "none",
                "sequence_length": step.case.sequence_length,
                "traced_peak_bytes": step.traced_bytes,
                "closed_form_peak_bytes": step.closed_bytes,
                "error": step.error,
            }
            for step in report.traced
        ]
    if report.adapter is not None:
        data["trainable_parameters"] = report.trainable_parameters
        data["adapter"] = _adapter(report.adapter)
    return data


def _shape(architecture: Architecture) -> Iterator[tuple[str, Any]]:
    yield "layers", architecture.num_layers
    for name in ("hidden_size", "intermediate_size", "vocab_size", "num_attention_heads"):
        yield name, getattr(architecture, name)
    yield "num_key_value_heads", architecture.num_key_value_heads
    yield "head_dim", architecture.head_dim
    yield "tied_embeddings", architecture.tied_embeddings
    yield "context_length", architecture.context_length


def _adapter(adapter: AdapterSpec) -> dict[str, Any]:
    targets = adapter.targets
    return {
        "method": adapter.method,
        "rank": adapter.rank if adapter.method in LOW_RANK else None,
        "targets": targets if isinstance(targets, str) else list(targets),
    }


def model_parts(report: ModelReport) -> Iterator[RenderableType]:
    """The report as parts to print."""
    resolved, architecture = report.resolved, report.architecture
    kind = f"{architecture.family} {architecture.kind}"
    yield heading(architecture.id, f"{kind}; {resolved.origin}, {resolved.as_of}")
    yield facts("Parameters", _parameters(report))
    kinds = sorted(report.parameters.by_kind.items(), key=lambda pair: -pair[1])
    yield bars("Where they are", [(kind.replace("_", " "), float(n)) for kind, n in kinds])
    title = f"FLOPs per token of a sequence of {report.sequence_length:,} tokens"
    yield facts(title, _flops(report))
    yield facts("Shape", [_shape_line(name, value) for name, value in _shape(architecture)])
    if report.traced:
        yield _traced(report.traced)
    if report.notes:
        yield notes("To know", report.notes)


def _traced(steps: Iterable[TracedStep]) -> RenderableType:
    rows = [
        (
            step.case.method + (", checkpointing" if step.case.checkpointing else ""),
            gib(step.traced_bytes),
            gib(step.closed_bytes),
            f"{100 * step.error:+.2f} %",
        )
        for step in steps
    ]
    title = "Peak of one bf16 training step on one sequence, GiB: PyTorch's and the closed form's"
    return table(title, ("", "Traced", "Closed form", "Error"), rows)


def _parameters(report: ModelReport) -> Iterator[tuple[str, str, str]]:
    count = report.parameters
    size = count.total * BYTES_16_BIT
    yield "total", f"{count.total:,}", f"{size / 1e9:,.2f} GB or {size / GIB:,.2f} GiB in 16 bits"
    if count.active != count.total:
        yield "used by a token", f"{count.active:,}", f"{count.active / count.total:.1%} of them"
    yield "token table", f"{count.embedding:,}", ""
    if report.adapter is not None and report.trainable_parameters is not None:
        share = report.trainable_parameters / count.total
        yield (
            "trainable",
            f"{report.trainable_parameters:,}",
            f"{share:.3%}; {_named(report.adapter)}",
        )


def _named(adapter: AdapterSpec) -> str:
    """The adapter in words: "lora of rank 16 on all-linear"."""
    if adapter.method not in (*LOW_RANK, "ia3"):
        return adapter.method.replace("_", " ")
    targets = adapter.targets if isinstance(adapter.targets, str) else ", ".join(adapter.targets)
    rank = f" of rank {adapter.rank}" if adapter.method in LOW_RANK else ""
    return f"{adapter.method}{rank} on {targets}"


def _flops(report: ModelReport) -> Iterator[tuple[str, str, str]]:
    flops = report.flops
    method = "LoRA" if report.flops_method == "lora" else "full fine-tuning"
    yield "forward", giga(flops.forward), ""
    yield "training", giga(flops.train), f"forward and backward, {method}, nothing recomputed"
    side = "above" if flops.six_n_error > 0 else "below"
    error = significant(100 * abs(flops.six_n_error), 2)
    yield "6 x parameters", giga(flops.six_n), f"the usual rule: {error} % {side} the exact count"


def giga(flops: float) -> str:
    """FLOPs in GFLOP: "45.2 GFLOP"."""
    return f"{significant(flops / 1e9, 4)} GFLOP"


def _shape_line(name: str, value: object) -> tuple[str, str, str]:
    shown = f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    return name.removeprefix("num_").replace("_", " "), "not stated" if value is None else shown, ""
