"""A plan as files to run it: accelerate configuration, training command, SkyPilot task.

Formats: `accelerate.commands.config.config_args.ClusterConfig` (github.com/huggingface/accelerate)
and docs.skypilot.co/en/latest/reference/yaml-spec.html.
"""

import csv
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from estimator.hardware.cluster import GB
from estimator.llm.architecture import Architecture
from estimator.llm.parameters import count_parameters
from estimator.training.launch_arguments import (
    ACCELERATED,
    Job,
    distribution,
    megatron_arguments,
    torchtune_arguments,
    trl_arguments,
)
from estimator.training.planning.costs import SPOT
from estimator.training.planning.market import Plan
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import STORED_BYTES
from estimator.training.spot import trained_gb

NAMES_FILE = Path(__file__).parent / "data" / "skypilot.csv"
ACCELERATE_FILE, TASK_FILE = "accelerate.yaml", "task.yaml"
PORT = 29500
DISK_BESIDE_GB = 100
"""Room for system, packages and data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything that runs a plan."""

    accelerate: str | None
    """`accelerate.yaml`; None where the stack has a launcher of its own."""
    command: str
    """The training command, for one machine of the job."""
    task: str
    """`task.yaml` for SkyPilot, which rents the machines and runs the command."""
    notes: tuple[str, ...]

    @property
    def files(self) -> dict[str, str]:
        """Text by file name."""
        files = {TASK_FILE: self.task}
        return files if self.accelerate is None else {ACCELERATE_FILE: self.accelerate, **files}


def launch(plan: Plan, job: Job) -> Launch:
    """The files and the command of a plan."""
    config = accelerate_config(plan)
    command = training_command(plan, job)
    return Launch(
        accelerate=None if config is None else _yaml(config),
        command=command,
        task=_yaml(skypilot_task(plan, job, config, command)),
        notes=tuple(_notes(plan)),
    )


def accelerate_config(plan: Plan) -> dict[str, Any] | None:
    """The configuration of `accelerate launch`; None for a stack that it does not launch."""
    recipe = plan.recipe
    if recipe.stack not in ACCELERATED:
        return None
    autocasts = recipe.precision == "amp" or recipe.autocast
    config: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": distribution(plan),
        "mixed_precision": "bf16" if autocasts else "no",
        "num_machines": plan.option.nodes,
        "num_processes": plan.gpus,
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": True,
        "use_cpu": False,
    }
    if config["distributed_type"] == "FSDP":
        config["fsdp_config"] = _fsdp(recipe)
    if config["distributed_type"] == "DEEPSPEED":
        config["deepspeed_config"] = _deepspeed(recipe)
    return config


def _fsdp(recipe: TrainingRecipe) -> dict[str, Any]:
    """FSDP2: ZeRO-3 gives gathered weights back after the forward pass, ZeRO-2 keeps them."""
    return {
        "fsdp_version": 2,
        "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        "fsdp_reshard_after_forward": recipe.sharding == "zero3",
        "fsdp_activation_checkpointing": recipe.checkpointing == "full",
        "fsdp_offload_params": recipe.offload == "parameters",
        "fsdp_cpu_ram_efficient_loading": True,
        "fsdp_state_dict_type": "SHARDED_STATE_DICT",
    }


def _deepspeed(recipe: TrainingRecipe) -> dict[str, Any]:
    stage = int(recipe.sharding.removeprefix("zero")) if recipe.sharding != "none" else 0
    return {
        "zero_stage": stage,
        "zero3_init_flag": stage == 3,
        "zero3_save_16bit_model": stage == 3,
        "gradient_accumulation_steps": recipe.gradient_accumulation,
        "offload_optimizer_device": "none" if recipe.offload == "none" else "cpu",
        "offload_param_device": "cpu" if recipe.offload == "parameters" else "none",
    }


def training_command(plan: Plan, job: Job) -> str:
    """The command that one machine of the job runs, with the variables that SkyPilot sets."""
    recipe = plan.recipe
    if recipe.stack in ACCELERATED:
        head = ["accelerate", "launch", "--config_file", ACCELERATE_FILE, *_where(plan)]
        return _joined([*head, "--module", "trl.scripts.sft"], trl_arguments(plan, job))
    if recipe.stack == "torchtune":
        name = (
            "full_finetune_distributed" if recipe.method == "full" else "lora_finetune_distributed"
        )
        nodes = ["--nnodes", str(plan.option.nodes), "--nproc_per_node", str(_per_node(plan))]
        return _joined(
            ["tune", "run", *nodes, name, "--config", "config.yaml"], torchtune_arguments(plan, job)
        )
    return _joined(["torchrun", *_torchrun(plan), "pretrain_gpt.py"], megatron_arguments(plan, job))


def _per_node(plan: Plan) -> int:
    return min(plan.gpus, plan.offer.gpus_per_node)


def _where(plan: Plan) -> list[str]:
    """Which of several machines this is, as SkyPilot says it."""
    if plan.option.nodes == 1:
        return []
    return ["--machine_rank", "$SKYPILOT_NODE_RANK", "--main_process_ip", "$MASTER_ADDR",
            "--main_process_port", str(PORT)]  # fmt: skip


def _torchrun(plan: Plan) -> list[str]:
    here = ["--nproc_per_node", str(_per_node(plan))]
    if plan.option.nodes == 1:
        return here
    return ["--nnodes", str(plan.option.nodes), *here, "--node_rank", "$SKYPILOT_NODE_RANK",
            "--master_addr", "$MASTER_ADDR", "--master_port", str(PORT)]  # fmt: skip


def _joined(head: list[str], arguments: Mapping[str, object]) -> str:
    """A shell command over several lines; variables stay open to the shell."""
    lines = [f"{name} {_quoted(str(value))}".rstrip() for name, value in arguments.items()]
    return " \\\n  ".join([" ".join(head), *lines])


def _quoted(text: str) -> str:
    return text if text.startswith(("$", "~/")) or not text else shlex.quote(text)


def skypilot_task(
    plan: Plan, job: Job, config: Mapping[str, Any] | None, command: str
) -> dict[str, Any]:
    """The task that rents the plan's machines and trains on them."""
    names, offer = skypilot_names(), plan.offer
    accelerator = names["accelerator"].get(offer.gpu, offer.gpu)
    resources: dict[str, Any] = {
        "accelerators": f"{accelerator}:{_per_node(plan)}",
        "use_spot": offer.tier == SPOT,
        "disk_size": round(job.download_gb + 4.0 * job.trained_gb) + DISK_BESIDE_GB,
        "autostop": {"idle_minutes": 10, "down": True},
    }
    if cloud := names["cloud"].get(offer.provider):
        region = (offer.region or "").split(";")[0].strip().lower().replace(" ", "")
        resources = {"infra": f"{cloud}/{region}" if region else cloud, **resources}
    if offer.tier == SPOT:
        resources["job_recovery"] = {"strategy": "EAGER_NEXT_REGION", "max_restarts_on_errors": 2}
    return {
        "name": "fine-tune",
        "resources": resources,
        "num_nodes": plan.option.nodes,
        "file_mounts": {_mounted(job.dataset): job.dataset},
        "setup": _setup(plan, config),
        "run": _run(plan, command),
    }


def _mounted(dataset: str) -> str:
    """Where the data lie on the rented machine: a file in the folder that is trained on."""
    path = Path(dataset)
    return f"~/data/{path.name}" if path.suffix else "~/data"


def _setup(plan: Plan, config: Mapping[str, Any] | None) -> str:
    packages = {
        "torchtune": "torchtune torchao",
        "deepspeed": "trl peft accelerate deepspeed bitsandbytes",
        "huggingface": "trl peft accelerate bitsandbytes",
        "huggingface_fused": "trl peft accelerate bitsandbytes liger-kernel",
    }.get(plan.recipe.stack, "megatron-core")
    lines = [f"pip install {packages}"]
    if config is not None:
        lines += [f"cat > {ACCELERATE_FILE} <<'END'", _yaml(dict(config)).rstrip(), "END"]
    return "\n".join(lines) + "\n"


def _run(plan: Plan, command: str) -> str:
    master = 'export MASTER_ADDR=$(echo "$SKYPILOT_NODE_IPS" | head -n1)\n'
    return (master if plan.option.nodes > 1 else "") + command + "\n"


@cache
def skypilot_names() -> Mapping[str, Mapping[str, str]]:
    """SkyPilot's names of accelerators by our GPU ids, and of clouds by provider."""
    found: dict[str, dict[str, str]] = {"accelerator": {}, "cloud": {}}
    with NAMES_FILE.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            found[row["kind"]][row["ours"]] = row["skypilot"]
    return MappingProxyType(found)


def _notes(plan: Plan) -> list[str]:
    offer, recipe, names = plan.offer, plan.recipe, skypilot_names()
    notes = ["the data must have the fields that the trainer reads: messages, or prompt and "
             "completion, or text"]  # fmt: skip
    if offer.provider not in names["cloud"]:
        notes.append(
            f"SkyPilot rents from none called {offer.provider}: the task asks for the GPUs anywhere"
        )
    if offer.gpu not in names["accelerator"]:
        notes.append(f"look up SkyPilot's name of {offer.gpu} with: sky show-gpus --all")
    if offer.tier == SPOT:
        notes.append(
            "start it with: sky jobs launch task.yaml, which comes back after a preemption; the "
            "training script must go on from the last checkpoint"
        )
    if recipe.stack not in ACCELERATED:
        notes.append(f"the {recipe.stack} command lacks what the model itself needs (its config)")
    return notes


def job_of(
    architecture: Architecture, plan: Plan, *, model: str, dataset: str, epochs: float
) -> Job:
    """The job of a plan, its sizes from the architecture."""
    return Job(
        model=model,
        dataset=dataset,
        epochs=epochs,
        download_gb=count_parameters(architecture).total * STORED_BYTES / GB,
        trained_gb=trained_gb(architecture, plan.recipe),
    )


def _yaml(data: Mapping[str, Any]) -> str:
    """YAML with blocks of text as they are written."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    pass


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
