"""Train a model from scratch, then tune and host it: to show what fine-tuning saves."""

import numpy as np

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labels import labelling_days
from estimator.alternatives.labour import project, project_people
from estimator.alternatives.outcome import outcome
from estimator.alternatives.own_model import own_model
from estimator.alternatives.serving_gpus import fleet
from estimator.alternatives.training_gpus import pretraining
from estimator.alternatives.world import Timeline, World
from estimator.project.plan import RunHours


def account(world: World) -> Account:
    """Self-hosted fine-tuning after a pre-training run of tokens-per-parameter times the size."""
    run = pretraining(world)
    done = project(
        world,
        "pretrain",
        runs=RunHours(training=run.wall_hours),
        label_days=labelling_days(world.draws),
    )
    timeline = Timeline(world, done.go_live_months)
    d = world.draws
    size = ("model", "pretrain.tokens_per_parameter")
    return Account(
        id="pretrain",
        items=(
            project_people(timeline, done, "pretrain"),
            LineItem(
                name="Training text",
                category="data",
                amount_usd=np.asarray(run.tokens / 1e6 * d["pretrain.data_usd_per_mtok"]),
                profile=timeline.building,
                formula="parameters x tokens per parameter x price of a million tokens",
                inputs=(*size, "pretrain.data_usd_per_mtok"),
            ),
            LineItem(
                name="GPUs for pre-training",
                category="GPUs for training",
                amount_usd=np.asarray(
                    run.gpu_hours * d["training.failed_run_factor"] * d["training.gpu_usd_per_hour"]
                ),
                profile=timeline.building,
                formula="tokens / speed of the GPUs x failed-run factor x price of a GPU hour",
                inputs=(
                    *size,
                    "training.speed_factor",
                    "training.failed_run_factor",
                    "training.gpu_usd_per_hour",
                ),
            ),
            *own_model(timeline, "pretrain", done, fleet(world, retrieves=False)),
            *outcome(timeline, "finetune"),
        ),
        go_live_months=timeline.go_live_months,
        project=done,
        notes=(
            f"{run.parameters / 1e9:.3g}B parameters on {run.gpus:,} GPUs: "
            f"{np.median(run.tokens) / 1e9:,.0f} billion tokens at the median",
        ),
    )
