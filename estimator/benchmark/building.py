"""The real model with random weights, its adapters and its optimizer: what a child steps."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KERNELS = {"sdpa": "sdpa", "eager": "eager", "flash": "flash_attention_2"}
RANDOM_WIDTH = 0.03  # half width of the uniform weights: activations neither vanish nor overflow


@dataclass(frozen=True, slots=True)
class Built:
    """A model ready to be stepped, and how many of its layers take part."""

    model: Any
    optimizer: Any
    ids: Any
    autocast: Any
    """Makes the context in which the forward pass runs."""
    layers: tuple[Any, ...]
    owner: Any
    """The module that holds the layers, under `attribute`."""
    attribute: str

    def cut_to(self, depth: int) -> None:
        """Let only the first `depth` layers take part; the others keep no gradient."""
        from torch.nn import ModuleList

        if len(getattr(self.owner, self.attribute)) != depth:
            setattr(self.owner, self.attribute, ModuleList(self.layers[:depth]))


def build(case: Mapping[str, Any], device: str) -> Built:
    """The model of a case on `device` at the case's depth, ready for its first step."""
    import torch

    recipe = case["recipe"]
    model = _model(case, device)
    if recipe["method"] == "qlora":
        _quantise(model, device)
    if recipe["method"] != "full":
        model = _with_adapters(model, recipe)
    model.train()
    if recipe["checkpointing"] == "full":
        with _quiet():  # newer versions of transformers have another name for it
            kwargs = {"use_reentrant": False}
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=kwargs)
        if recipe["method"] != "full":
            model.enable_input_require_grads()
    owner, attribute = _layer_list(model, case["depth"])
    shape = (recipe["micro_batch"], recipe["sequence_length"])
    kind = torch.device(device).type
    amp = recipe["precision"] == "amp" or recipe["autocast"]
    autocast = {"device_type": kind, "dtype": torch.bfloat16, "enabled": amp}
    return Built(
        model=model,
        optimizer=_optimizer(model, recipe["optimizer"]),
        ids=torch.randint(0, case["vocabulary"], shape, device=device),
        autocast=lambda: torch.autocast(**autocast),
        layers=tuple(getattr(owner, attribute)),
        owner=owner,
        attribute=attribute,
    )


def _model(case: Mapping[str, Any], device: str) -> Any:
    """The class that `transformers` has for the config, weights uniform; no remote code."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.initialization import no_init_weights

    config = dict(case["config"])
    kind = str(config.pop("model_type"))
    config.pop("auto_map", None)
    settings = AutoConfig.for_model(kind, **config)
    settings.use_cache = False
    settings.num_hidden_layers = case["depth"]
    if getattr(settings, "layer_types", None):
        settings.layer_types = settings.layer_types[: case["depth"]]
    types = {"bf16": torch.bfloat16, "fp16": torch.float16}
    with no_init_weights(), torch.device(device):
        model = AutoModelForCausalLM.from_config(
            settings,
            dtype=types.get(case["recipe"]["precision"], torch.float32),
            attn_implementation=KERNELS[case["recipe"]["attention"]],
            trust_remote_code=False,
        )
    model.tie_weights()  # left out where weights are not initialised
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            _fill(name, parameter)
    return model


def _quantise(model: Any, device: str) -> None:
    """Keep the matrices of the layers in NF4, as bitsandbytes does on loading; the head stays.

    Dettmers et al., QLoRA, arXiv 2305.14314: blocks of 64, their scales quantised again.
    """
    import torch
    from bitsandbytes.nn import Linear4bit, Params4bit

    head = model.get_output_embeddings()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is not torch.nn.Linear or child is head:
                continue
            packed = Linear4bit(
                child.in_features,
                child.out_features,
                bias=child.bias is not None,
                compute_dtype=child.weight.dtype,
                quant_type="nf4",
                device="meta",
            )
            packed.weight = Params4bit(
                child.weight.data.cpu(), requires_grad=False, quant_type="nf4", module=packed
            )
            packed.bias = child.bias
            setattr(parent, name, packed.to(device))
    model.requires_grad_(requires_grad=False)
    model.is_loaded_in_4bit = True  # peft then takes its adapters for 4-bit matrices


def _fill(name: str, parameter: Any) -> None:
    """Norm scales 1, biases 0, matrices small and random, so that no step meets a bad number."""
    if parameter.ndim > 1:
        parameter.uniform_(-RANDOM_WIDTH, RANDOM_WIDTH)
    else:
        parameter.fill_(0.0 if name.endswith("bias") else 1.0)


def _with_adapters(model: Any, recipe: Mapping[str, Any]) -> Any:
    """Adapters in fp32, as `peft` makes them on a 16-bit base."""
    from peft import LoraConfig, get_peft_model

    targets = recipe["lora_targets"]
    config = LoraConfig(
        r=recipe["lora_rank"],
        target_modules=targets if isinstance(targets, str) else list(targets),
        lora_dropout=0.0,
    )
    with _quiet():
        model = get_peft_model(model, config)
    for parameter in model.parameters():
        if parameter.requires_grad and recipe["adapter_precision"] != "base":
            parameter.data = parameter.data.float()
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _optimizer(model: Any, name: str) -> Any:
    """The optimizer over what is trained, its fused kernel where it has one."""
    import torch

    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if name == "adamw":
        return torch.optim.AdamW(trained, lr=1e-5, fused=True)
    if name == "sgd":
        return torch.optim.SGD(trained, lr=1e-5, fused=True)
    return torch.optim.Adafactor(trained, lr=1e-5)


def _layer_list(model: Any, depth: int) -> tuple[Any, str]:
    """The module that holds the stack of `depth` layers, and under which name."""
    from torch.nn import ModuleList

    for owner in model.modules():
        for name, child in owner.named_children():
            if isinstance(child, ModuleList) and len(child) == depth:
                return owner, name
    raise ValueError(f"{type(model).__name__} has no list of {depth} layers")
