"""What runs a plan: accepted by accelerate's own loader, by YAML, with the plan's own numbers."""

import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from estimator.dataset import typed_profile
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.training.launch import ACCELERATE_FILE, TASK_FILE, Launch, job_of, launch
from estimator.training.planning.costs import Effort
from estimator.training.planning.market import Plan
from estimator.training.planning.plan import PlanWish, plan
from pricing.offers import gpu_offers

LLAMA = resolve_model("meta-llama/Llama-3.1-8B", offline=True).architecture
OFFERS = {offer.id: offer for offer in gpu_offers()}
SKYPILOT_FIELDS = {"name", "resources", "num_nodes", "file_mounts", "setup", "run", "envs"}
SKYPILOT_RESOURCES = {"infra", "accelerators", "use_spot", "disk_size", "autostop", "job_recovery"}
"""Fields named at docs.skypilot.co/en/latest/reference/yaml-spec.html."""


@cache
def some_plan() -> Plan:
    offer = OFFERS["aws-p5.48xlarge-on-demand"]
    wish = PlanWish(effort=Effort(epochs=Quantity(value=3.0)))
    found = plan(LLAMA, typed_profile(total_tokens=1e8), wish, offers=(offer,))
    return max(found.plans, key=lambda one: one.gpus)


def plan_with(*, gpus: int = 16, offer: str = "", **recipe: Any) -> Plan:
    """The plan with another recipe, number of GPUs or offer."""
    base = some_plan()
    candidate = base.option.candidate
    changed = candidate.recipe.model_copy(update=recipe)
    option = replace(
        base.option,
        offer=OFFERS[offer] if offer else base.offer,
        candidate=replace(candidate, recipe=changed, gpus=gpus),
    )
    return replace(base, option=option)


def launched(one: Plan, dataset: str = "/data/rows.jsonl") -> Launch:
    return launch(one, job_of(LLAMA, one, model=LLAMA.id, dataset=dataset, epochs=3.0))


def loaded(tmp_path: Path, text: str) -> Any:
    config_args = pytest.importorskip("accelerate.commands.config.config_args")
    path = tmp_path / ACCELERATE_FILE
    path.write_text(text, "utf-8")
    return config_args.load_config_from_file(str(path))


@pytest.mark.parametrize(
    ("recipe", "gpus", "kind"),
    [
        ({"sharding": "zero3", "checkpointing": "full"}, 16, "FSDP"),
        ({"sharding": "zero2", "checkpointing": "none"}, 8, "FSDP"),
        ({"sharding": "none"}, 8, "MULTI_GPU"),
        ({"sharding": "none"}, 1, "NO"),
        ({"stack": "deepspeed", "sharding": "zero3", "offload": "optimizer"}, 16, "DEEPSPEED"),
    ],
)
def test_accelerate_accepts_its_configuration(tmp_path, recipe, gpus, kind) -> None:
    one = plan_with(gpus=gpus, **recipe)
    text = launched(one).accelerate
    assert text is not None
    config = loaded(tmp_path, text)
    assert config.distributed_type.value == kind
    assert config.num_processes == gpus and config.num_machines == one.option.nodes
    if kind == "FSDP":
        fsdp = config.fsdp_config
        assert fsdp["fsdp_version"] == 2
        assert fsdp["fsdp_reshard_after_forward"] == (recipe["sharding"] == "zero3")
        assert fsdp["fsdp_activation_checkpointing"] == (recipe["checkpointing"] == "full")
    if kind == "DEEPSPEED":
        deepspeed = config.deepspeed_config
        assert deepspeed["zero_stage"] == 3
        assert deepspeed["offload_optimizer_device"] == "cpu"
        assert deepspeed["gradient_accumulation_steps"] == one.recipe.gradient_accumulation


def test_accelerate_launch_takes_every_option_of_the_fsdp_file(tmp_path: Path) -> None:
    """Each key of `fsdp_config` is an option of `accelerate launch`."""
    launcher = pytest.importorskip("accelerate.commands.launch")
    options = {
        name.lstrip("-")
        for action in launcher.launch_command_parser()._actions
        for name in action.option_strings
    }
    text = launched(plan_with(sharding="zero3")).accelerate
    assert text is not None
    config = yaml.safe_load(text)
    assert set(config["fsdp_config"]) <= options
    assert {"num_machines", "num_processes", "mixed_precision", "machine_rank"} <= set(config)


def test_mixed_precision_is_that_of_the_recipe() -> None:
    for precision, expected in (("bf16", "no"), ("amp", "bf16")):
        text = launched(plan_with(precision=precision, method="full")).accelerate
        assert text is not None and yaml.safe_load(text)["mixed_precision"] == expected


def arguments(command: str) -> dict[str, str]:
    words = shlex.split(command.replace("\\\n", " "))
    pairs = zip(words, [*words[1:], ""], strict=True)
    return {name: value for name, value in pairs if name.startswith("--")}


def test_the_command_carries_the_recipe() -> None:
    one = plan_with(gpus=8, micro_batch=4, gradient_accumulation=3, method="qlora")
    found = arguments(launched(one).command)
    assert found["--model_name_or_path"] == LLAMA.id
    assert found["--per_device_train_batch_size"] == "4"
    assert found["--gradient_accumulation_steps"] == "3"
    assert found["--max_length"] == "2048" and found["--num_train_epochs"] == "3"
    assert found["--lora_r"] == "16" and "--load_in_4bit" in found
    assert found["--dtype"] == "bfloat16" and found["--bf16"] == "False"
    assert found["--optim"] == "adamw_torch_fused" and found["--use_liger_kernel"] == "False"
    assert int(found["--save_steps"]) >= 1
    full = arguments(launched(plan_with(method="full", stack="huggingface_fused")).command)
    assert "--use_peft" not in full and full["--use_liger_kernel"] == "True"


def test_checkpointing_is_asked_for_once() -> None:
    """By FSDP where it shards, else by the Trainer."""
    alone = arguments(launched(plan_with(gpus=8, sharding="none", checkpointing="full")).command)
    assert alone["--gradient_checkpointing"] == "True"
    sharded = arguments(launched(plan_with(sharding="zero3", checkpointing="full")).command)
    assert sharded["--gradient_checkpointing"] == "False"


def test_other_software_has_its_own_launcher() -> None:
    torchtune = launched(plan_with(stack="torchtune", sharding="zero3"))
    assert torchtune.accelerate is None and set(torchtune.files) == {TASK_FILE}
    assert torchtune.command.startswith("tune run --nnodes 2 --nproc_per_node 8 lora_finetune")
    assert "gradient_accumulation_steps=" in torchtune.command
    one = plan_with(stack="megatron", tensor_parallel=2, pipeline_parallel=2, sharding="zero1")
    megatron = launched(one)
    found = arguments(megatron.command)
    assert found["--tensor-model-parallel-size"] == found["--pipeline-model-parallel-size"] == "2"
    recipe = one.recipe
    batch = recipe.micro_batch * recipe.gradient_accumulation * recipe.data_parallel(16)
    assert found["--global-batch-size"] == str(batch)
    assert any("megatron" in note for note in megatron.notes)


def test_the_task_rents_what_was_planned() -> None:
    task = yaml.safe_load(launched(plan_with(gpus=16, sharding="zero3")).task)
    assert set(task) <= SKYPILOT_FIELDS and set(task["resources"]) <= SKYPILOT_RESOURCES
    assert task["resources"]["infra"] == "aws/us-east-1"
    assert task["resources"]["accelerators"] == "H100:8" and task["num_nodes"] == 2
    assert task["resources"]["use_spot"] is False and "job_recovery" not in task["resources"]
    assert task["file_mounts"] == {"~/data/rows.jsonl": "/data/rows.jsonl"}
    assert "--machine_rank $SKYPILOT_NODE_RANK" in task["run"] and "MASTER_ADDR" in task["run"]
    written = task["setup"].split("<<'END'\n")[1].split("END")[0]
    assert yaml.safe_load(written) == yaml.safe_load(
        launched(plan_with(gpus=16, sharding="zero3")).accelerate or ""
    )


def test_spot_and_part_of_a_node() -> None:
    one = plan_with(gpus=4, offer="aws-p5.48xlarge-spot")
    made = launched(one, dataset="rows")
    task = yaml.safe_load(made.task)
    assert task["resources"]["use_spot"] is True and task["resources"]["accelerators"] == "H100:4"
    assert task["resources"]["job_recovery"]["strategy"] == "EAGER_NEXT_REGION"
    assert task["file_mounts"] == {"~/data": "rows"} and task["num_nodes"] == 1
    assert "SKYPILOT_NODE_RANK" not in task["run"]
    assert any("sky jobs launch" in note for note in made.notes)


def test_a_provider_that_skypilot_lacks_is_named() -> None:
    made = launched(plan_with(gpus=8, offer="coreweave-hgx-h100-on-demand"))
    assert "infra" not in yaml.safe_load(made.task)["resources"]
    assert any("CoreWeave" in note for note in made.notes)
