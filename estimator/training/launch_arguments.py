"""A plan's recipe as the arguments of the programs that train: TRL, torchtune, Megatron-LM.

Arguments of TRL's `trl/scripts/sft.py` (`SFTConfig`, `ModelConfig`), of `tune run` (torchtune)
and of Megatron-LM's `pretrain_gpt.py`. Learning rate and schedule are left to their defaults: no
plan knows them.
"""

from dataclasses import dataclass

from estimator.training.planning.market import Plan

OUTPUT = "~/checkpoints"
ACCELERATED = ("huggingface", "huggingface_fused", "deepspeed")
"""Stacks that `accelerate` launches."""
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "amp": "float32"}
OPTIMIZERS = {
    "adamw": "adamw_torch_fused",
    "adamw_8bit": "adamw_bnb_8bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
    "adafactor": "adafactor",
    "sgd": "sgd",
    "lion": "lion_32bit",
}
ATTENTION = {"sdpa": "sdpa", "eager": "eager", "flash": "flash_attention_2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a plan does not know of the job: names and places."""

    model: str
    dataset: str
    """Path of the data as the user gave it; a name such as `data.jsonl` where only a size was."""
    epochs: float
    download_gb: float
    """Size of the model's weights in 16 bits."""
    trained_gb: float
    """Size of the trained weights in 16 bits."""


def distribution(plan: Plan) -> str:
    """The kind of job, in accelerate's words."""
    if plan.recipe.stack == "deepspeed":
        return "DEEPSPEED"
    if plan.recipe.sharding != "none":
        return "FSDP"
    return "MULTI_GPU" if plan.gpus > 1 else "NO"


def trl_arguments(plan: Plan, job: Job) -> dict[str, object]:
    """Arguments of `trl.scripts.sft`."""
    recipe = plan.recipe
    arguments: dict[str, object] = {
        "--model_name_or_path": job.model,
        "--dtype": DTYPES[recipe.precision],
        "--attn_implementation": ATTENTION[recipe.attention],
        "--dataset_name": "~/data",
        "--num_train_epochs": f"{job.epochs:g}",
        "--max_length": recipe.sequence_length,
        "--packing": recipe.packing,
        "--per_device_train_batch_size": recipe.micro_batch,
        "--gradient_accumulation_steps": recipe.gradient_accumulation,
        "--gradient_checkpointing": recipe.checkpointing == "full" and not _checkpoints(plan),
        "--bf16": recipe.precision == "amp" or recipe.autocast,
        "--optim": OPTIMIZERS.get(recipe.optimizer, recipe.optimizer),
        "--use_liger_kernel": recipe.stack == "huggingface_fused",
        "--output_dir": OUTPUT,
        "--save_strategy": "steps",
        "--save_steps": _save_every(plan),
    }
    if recipe.has_adapters:
        targets = recipe.lora_targets
        arguments |= {
            "--use_peft": "",
            "--lora_r": recipe.lora_rank,
            "--lora_alpha": 2 * recipe.lora_rank,
            "--lora_target_modules": targets if isinstance(targets, str) else " ".join(targets),
        }
    if recipe.method == "qlora":
        arguments |= {"--load_in_4bit": "", "--bnb_4bit_quant_type": "nf4"}
    return arguments


def _checkpoints(plan: Plan) -> bool:
    """Whether FSDP does the activation checkpointing, so that the Trainer must not."""
    return distribution(plan) == "FSDP"


def _save_every(plan: Plan) -> int:
    """Optimizer steps between checkpoints, at the interval that loses least time."""
    seconds = plan.cost.stretch.checkpoint_every_hours * 3600.0
    return max(round(seconds / plan.cost.run.step_seconds.p50), 1)


def torchtune_arguments(plan: Plan, job: Job) -> dict[str, object]:
    """Settings of `tune run`, each as NAME=VALUE."""
    recipe = plan.recipe
    settings = {
        "batch_size": recipe.micro_batch,
        "gradient_accumulation_steps": recipe.gradient_accumulation,
        "epochs": f"{job.epochs:g}",
        "tokenizer.max_seq_len": recipe.sequence_length,
        "dataset.packed": recipe.packing,
        "dtype": "fp32" if recipe.precision in ("fp32", "amp") else recipe.precision,
        "enable_activation_checkpointing": recipe.checkpointing != "none",
        "fsdp_reshard_after_forward": recipe.sharding == "zero3",
        "compile": recipe.compiled,
        "output_dir": OUTPUT,
    }
    if recipe.tensor_parallel > 1:
        settings["tensor_parallel_dim"] = recipe.tensor_parallel
    if recipe.has_adapters:
        settings["model.lora_rank"] = recipe.lora_rank
    return {f"{name}={value}": "" for name, value in settings.items()}


def megatron_arguments(plan: Plan, job: Job) -> dict[str, object]:
    """Arguments of `pretrain_gpt.py`."""
    recipe = plan.recipe
    copies = recipe.data_parallel(plan.gpus)
    arguments: dict[str, object] = {
        "--tensor-model-parallel-size": recipe.tensor_parallel,
        "--pipeline-model-parallel-size": recipe.pipeline_parallel,
        "--context-parallel-size": recipe.context_parallel,
        "--expert-model-parallel-size": recipe.expert_parallel,
        "--micro-batch-size": recipe.micro_batch,
        "--global-batch-size": recipe.micro_batch * recipe.gradient_accumulation * copies,
        "--seq-length": recipe.sequence_length,
        "--train-iters": plan.cost.run.steps,
        "--load": job.model,
        "--data-path": "~/data",
        "--save": OUTPUT,
        "--save-interval": _save_every(plan),
        "--bf16": "",
    }
    if recipe.sharding == "zero1":
        arguments["--use-distributed-optimizer"] = ""
    if recipe.checkpointing != "none":
        arguments["--recompute-granularity"] = recipe.checkpointing
    if recipe.matmul_format == "fp8":
        arguments["--fp8-format"] = "hybrid"
    return arguments
