"""The peak and the FLOPs of a real training step of the real model class, without a GPU.

The `transformers` model (with `peft` adapters) is built without weights and run under fake
tensors: every operation allocates a shape instead of memory, and a tracker adds up what is alive.
Two steps are run, so that the second one finds the optimizer's states. Needs the `benchmark` extra.
Ref: PyTorch `torch/_subclasses/fake_tensor.py`, `torch/distributed/_tools/mem_tracker.py`.
"""

import contextlib
import logging
import warnings
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from estimator.errors import InputError, MissingExtra
from estimator.llm.architecture import Architecture
from estimator.training.memory import estimate_memory
from estimator.training.recipe import AttentionKernel, TrainingRecipe

WeightsType = Literal["bf16", "fp16", "fp32"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCase:
    """One training step on one device: fused AdamW, adapters on all linear layers in fp32."""

    method: Literal["full", "lora"] = "full"
    checkpointing: bool = False
    weights_dtype: WeightsType = "bf16"
    amp: bool = False
    """Whether the step runs under bf16 autocast."""
    attention: AttentionKernel = "sdpa"
    micro_batch: int = 1
    sequence_length: int = 512
    lora_rank: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedPeak:
    """What a traced step allocates."""

    peak_bytes: int
    weights_bytes: int
    """Parameters and buffers."""
    peak_at: Literal["forward", "backward", "optimizer"]
    after_forward_bytes: int
    after_backward_bytes: int


def closed_form_peak(architecture: Architecture, case: TraceCase) -> int:
    """Bytes that the closed form gives for a case, as PyTorch dispatches it on a CPU."""
    memory = estimate_memory(architecture, case_recipe(case), dispatch="cpu")
    return round(float(memory.allocated_bytes))


def case_recipe(case: TraceCase) -> TrainingRecipe:
    """The recipe that a case stands for."""
    return TrainingRecipe(
        method=case.method,
        precision="amp" if case.amp and case.weights_dtype == "fp32" else case.weights_dtype,
        autocast=case.amp,
        sequence_length=case.sequence_length,
        micro_batch=case.micro_batch,
        gradient_accumulation=1,
        checkpointing="full" if case.checkpointing else "none",
        attention=case.attention,
        lora_rank=case.lora_rank,
    )


def trace_peak(config: Mapping[str, object], case: TraceCase) -> TracedPeak:
    """The peak of the second training step of the model that a config.json describes."""
    with _quiet():
        torch, mode = _torch()
        model = _build(torch, config, case)
        _make_fake(torch, model, mode)
        try:
            return _run(torch, mode, model, case)
        except RuntimeError as reason:
            raise InputError(
                f"trace of {config['model_type']}: PyTorch cannot run this step under fake "
                f"tensors ({str(reason).splitlines()[0][:160]}); try another precision or kernel"
            ) from None


def trace_flops(config: Mapping[str, object], case: TraceCase) -> int:
    """FLOPs of one forward and backward pass as `torch.utils.flop_counter` counts them.

    Grouped products of experts are added to its list. PyTorch's CPU kernel for `sdpa` is not on
    that list either, so use `attention="eager"` to have attention counted.
    """
    with _quiet():
        torch, mode = _torch()
        from torch.utils.flop_counter import FlopCounterMode

        model = _build(torch, config, case)
        _make_fake(torch, model, mode)
        grouped = {torch.ops.aten._grouped_mm: _grouped_product_flops}
        counter = FlopCounterMode(display=False, custom_mapping=grouped)
        with mode, _no_packing_probe():
            ids = torch.empty((case.micro_batch, case.sequence_length), dtype=torch.long)
            with counter:
                model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        return int(counter.get_total_flops())


def _grouped_product_flops(rows: Any, matrices: Any, *_: Any, **__: Any) -> int:
    """Every row passes one matrix; in the gradient of the matrices both operands are rows."""
    return int(2 * rows[0] * rows[1] * matrices[-1])


def _torch() -> tuple[Any, Any]:
    try:
        import peft  # noqa: F401
        import torch
        import transformers  # noqa: F401
        from torch._subclasses.fake_tensor import FakeTensorMode
    except ImportError as missing:
        raise MissingExtra(
            f"tracing needs {missing.name}; install it with: pip install 'tuneroi[benchmark]'"
        ) from None
    return torch, FakeTensorMode(allow_non_fake_inputs=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No messages of the libraries while tracing."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


BAD_CONFIG = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a model class raises when its config makes no sense to it."""


def _build(torch: Any, config: Mapping[str, object], case: TraceCase) -> Any:
    """The model on the meta device, with adapters and checkpointing as the case says."""
    try:
        with torch.device("meta"):
            model = _bare_model(torch, config, case)
            if case.method == "lora":
                model = _with_adapters(model, case.lora_rank)
    except BAD_CONFIG as reason:
        line = (str(reason).splitlines() or [type(reason).__name__])[0]
        raise InputError(f"trace of {config.get('model_type')}: {line[:200]}") from None
    model.train()
    if case.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        if case.method == "lora":
            model.enable_input_require_grads()
    return model


def _bare_model(torch: Any, config: Mapping[str, object], case: TraceCase) -> Any:
    """The class that `transformers` itself has for the config; no remote code."""
    from transformers import AutoConfig, AutoModelForCausalLM

    values = {key: value for key, value in config.items() if key not in ("model_type", "auto_map")}
    settings = AutoConfig.for_model(str(config.get("model_type")), **values)
    settings.use_cache = False
    types = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    return AutoModelForCausalLM.from_config(
        settings, dtype=types[case.weights_dtype], attn_implementation=case.attention
    )


def _with_adapters(model: Any, rank: int) -> Any:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(model, LoraConfig(r=rank, target_modules="all-linear", lora_dropout=0.0))
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def _make_fake(torch: Any, model: Any, mode: Any) -> None:
    """Replaces every meta parameter and buffer by a fake CPU tensor (`.to` cannot)."""
    made: dict[int, Any] = {}

    def fake(tensor: Any, *, parameter: bool) -> Any:
        if id(tensor) not in made:
            with mode:
                empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
            if parameter:
                empty = torch.nn.Parameter(empty, requires_grad=tensor.requires_grad)
            made[id(tensor)] = empty
        return made[id(tensor)]

    for module in model.modules():
        for name, value in list(module._parameters.items()):
            if value is not None:
                module._parameters[name] = fake(value, parameter=True)
        for name, value in list(module._buffers.items()):
            if value is not None:
                module._buffers[name] = fake(value, parameter=False)


def _run(torch: Any, mode: Any, model: Any, case: TraceCase) -> TracedPeak:
    tracker = _tracker(torch)
    for tensor in (*model.parameters(), *model.buffers()):
        tracker.watch(tensor)
    weights = tracker.alive
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    after: dict[str, int] = {}
    with mode, _no_packing_probe():
        optimizer = torch.optim.AdamW(trained, lr=1e-4, fused=True)
        ids = torch.empty((case.micro_batch, case.sequence_length), dtype=torch.long)
        tracker.watch(ids)
        for _ in range(2):
            tracker.peak = 0
            with tracker:
                _step(torch, model, optimizer, ids, tracker, after, amp=case.amp)
    return TracedPeak(
        peak_bytes=tracker.peak,
        weights_bytes=weights,
        peak_at=tracker.peak_at,
        after_forward_bytes=after["forward"],
        after_backward_bytes=after["backward"],
    )


def _step(
    torch: Any,
    model: Any,
    optimizer: Any,
    ids: Any,
    tracker: Any,
    after: dict[str, int],
    *,
    amp: bool,
) -> None:
    autocast = torch.autocast("cpu", dtype=torch.bfloat16) if amp else contextlib.nullcontext()
    tracker.moment = "forward"
    with autocast:
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    after["forward"] = tracker.alive
    tracker.moment = "backward"
    loss.backward()
    after["backward"] = tracker.alive
    tracker.moment = "optimizer"
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


@contextlib.contextmanager
def _no_packing_probe() -> Iterator[None]:
    """Without `position_ids` nothing is packed; the probe for it would read fake values."""
    from transformers import masking_utils

    probe = getattr(masking_utils, "find_packed_sequence_indices", None)
    if probe is None:
        yield
        return
    masking_utils.find_packed_sequence_indices = lambda *_, **__: None
    try:
        yield
    finally:
        masking_utils.find_packed_sequence_indices = probe


def _tracker(torch: Any) -> Any:
    """A dispatch mode that adds up the storages alive (each once, views share theirs)."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Tracker(TorchDispatchMode):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.alive = 0
            self.peak = 0
            self.moment = "forward"
            self.peak_at = "forward"
            self._sizes: dict[int, int] = {}

        def watch(self, tensor: Any) -> None:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self._sizes:
                return
            self._sizes[key] = storage.nbytes()
            self.alive += storage.nbytes()
            weakref.finalize(storage, self._free, key)
            if self.alive > self.peak:
                self.peak, self.peak_at = self.alive, self.moment

        def _free(self, key: int) -> None:
            self.alive -= self._sizes.pop(key)

        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = function(*args, **(kwargs or {}))
            for leaf in tree_leaves(result):
                if isinstance(leaf, torch.Tensor):
                    self.watch(leaf)
            return result

    return Tracker()
