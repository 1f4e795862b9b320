"""How a model is trained: the choices that decide memory, time and cost.

A `TrainingRecipe` holds names and counts only; the formulas that read it are in `memory.py`,
`throughput.py` and `estimator/llm/flops.py`.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from estimator.hardware.rates import NumberFormat

Method = Literal["full", "lora", "qlora"]
Precision = Literal["bf16", "fp16", "fp32", "amp"]
MatmulFormat = Literal["fp8", "fp4"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw_8bit", "adafactor", "sgd", "lion", "muon"]
Checkpointing = Literal["none", "selective", "full"]
AttentionKernel = Literal["flash", "sdpa", "eager"]
Sharding = Literal["none", "zero1", "zero2", "zero3"]
Loss = Literal["plain", "kernel", "chunked", "fused"]
AdapterPrecision = Literal["fp32", "base"]
OptimizerKernel = Literal["fused", "foreach"]
Offload = Literal["none", "optimizer", "parameters"]
Stack = Literal[
    "huggingface", "huggingface_fused", "torchtune", "deepspeed", "megatron", "vendor_tuned"
]


class TrainingRecipe(BaseModel):
    """One way to run a fine-tuning job; every field has a default that a careful engineer uses."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    method: Method = "lora"
    """Full fine-tuning, LoRA adapters, or LoRA on a 4-bit (NF4) base."""
    precision: Precision = "bf16"
    """`bf16`/`fp16`/`fp32`: weights and arithmetic alike; `amp`: fp32 weights under autocast."""
    matmul_format: MatmulFormat | None = None
    """Format of the layers' matrix products where it is narrower than `precision`: FP8 and FP4
    recipes keep weights, attention and head in 16 bits. None: that of `precision`."""
    autocast: bool = False
    """Whether a 16-bit model runs under autocast, as with a Trainer's `bf16=True`: fp32 adapters
    then compute in 16 bits."""
    optimizer: Optimizer = "adamw"
    """The optimizer; its states are kept per trainable parameter."""
    sequence_length: int = Field(default=2048, ge=1, le=10_000_000)
    """Tokens in one training sequence, padding included."""
    micro_batch: int = Field(default=1, ge=1, le=65_536)
    """Sequences in one forward pass on one GPU."""
    gradient_accumulation: int = Field(default=16, ge=1, le=1_000_000)
    """Micro-batches per optimizer step on each data-parallel rank."""
    checkpointing: Checkpointing = "full"
    """Activation checkpointing: what the forward pass forgets and the backward pass recomputes."""
    attention: AttentionKernel = "sdpa"
    """The attention kernel; `eager` materialises the score matrix."""
    packing: bool = True
    """Whether examples share a sequence (packing) or are padded to it."""
    lora_rank: int = Field(default=16, ge=1, le=65_536)
    """Rank of the adapters (LoRA and QLoRA only)."""
    lora_targets: str | tuple[str, ...] = "all-linear"
    """Which linear layers get adapters: `all-linear` or leaf names such as `q_proj`."""
    sharding: Sharding = "none"
    """What data-parallel ranks share: optimizer (1), gradients too (2), weights too (3, FSDP)."""
    tensor_parallel: int = Field(default=1, ge=1, le=1024)
    """GPUs that split each layer's matrices."""
    pipeline_parallel: int = Field(default=1, ge=1, le=1024)
    """GPUs that split the layers."""
    context_parallel: int = Field(default=1, ge=1, le=1024)
    """GPUs that split each sequence."""
    expert_parallel: int = Field(default=1, ge=1, le=1024)
    """GPUs that split the experts of a mixture-of-experts layer."""
    compiled: bool = False
    """Whether torch.compile fuses the element-wise work."""
    stack: Stack = "huggingface"
    """The training software: the gap between stacks is as large as that between GPUs."""
    loss: Loss | None = None
    """`plain`: softmax over all logits at once; `kernel`: one kernel that overwrites the logits;
    `chunked`: a part at a time; `fused`: logits are never whole. None: what the stack does."""
    adapter_precision: AdapterPrecision | None = None
    """Type of the adapters' weights: fp32 (`peft` on a 16-bit base) or that of the base. None:
    what the stack does."""
    optimizer_kernel: OptimizerKernel = "fused"
    """`fused`: updates in place; `foreach`: makes temporaries as large as the weights."""
    optimizer_in_backward: bool = False
    """Whether each weight is updated as soon as its gradient is there, so that gradients never
    add up."""
    offload: Offload = "none"
    """What is kept in CPU memory between its uses."""

    @model_validator(mode="after")
    def _adapters_keep_a_base(self) -> Self:
        if self.method == "qlora" and self.precision not in ("bf16", "fp16"):
            raise ValueError("qlora computes in bf16 or fp16; set precision to one of them")
        return self

    @model_validator(mode="after")
    def _narrow_products_have_16_bit_weights(self) -> Self:
        if self.matmul_format is not None and self.precision == "fp32":
            raise ValueError("matmul_format needs 16-bit arithmetic; set precision to bf16 or amp")
        return self

    @property
    def number_format(self) -> NumberFormat:
        """Number format of the layers' matrix products."""
        wide: NumberFormat = "bf16" if self.precision == "amp" else self.precision
        return self.matmul_format or wide

    @property
    def loss_kernel(self) -> Loss:
        """How the loss is computed: as the recipe says, else as the stack does by default."""
        if self.loss is not None:
            return self.loss
        defaults: dict[str, Loss] = {"huggingface_fused": "fused", "torchtune": "chunked"}
        return defaults.get(self.stack, "plain")

    @property
    def has_adapters(self) -> bool:
        """Whether the base is frozen and LoRA adapters are trained."""
        return self.method != "full"

    @property
    def tokens_per_micro_batch(self) -> int:
        """Tokens in one forward pass on one data-parallel rank, padding included."""
        return self.micro_batch * self.sequence_length

    @property
    def model_parallel(self) -> int:
        """GPUs that hold one copy of the model between them (tensor x pipeline x context)."""
        return self.tensor_parallel * self.pipeline_parallel * self.context_parallel

    def data_parallel(self, gpus: int) -> int:
        """Copies of the model that run side by side on `gpus` GPUs."""
        return max(gpus // self.model_parallel, 1)
