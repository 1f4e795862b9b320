"""`tuneroi plan`: which GPUs, how many, from whom, with which settings, how long, how much."""

from pathlib import Path
from typing import TYPE_CHECKING

from estimator.cli import arguments as given
from estimator.cli import plan_arguments as wanted

if TYPE_CHECKING:
    from estimator.llm.resolve import ResolvedModel
    from estimator.training.planning.plan import Plans


def plan(
    model: given.ModelArgument,
    dataset: given.DatasetOption = None,
    tokens: given.TokensOption = None,
    examples: given.ExamplesOption = None,
    mean_tokens: given.MeanTokensOption = None,
    tokenizer: given.TokenizerOption = "",
    epochs: given.EpochsOption = 3.0,
    deadline: wanted.DeadlineOption = "",
    budget: wanted.BudgetOption = None,
    objective: wanted.ObjectiveOption = "cost",
    sure: wanted.SureOption = 0.8,
    max_gpus: wanted.MaxGpusOption = 64,
    provider: given.OnlyProvidersOption = None,
    region: wanted.OnlyRegionsOption = None,
    gpu: given.OnlyGpusOption = None,
    tier: given.TiersOption = None,
    spot: wanted.SpotOption = False,
    prices: given.ContractOption = None,
    method: wanted.MethodsOption = None,
    stack: wanted.StacksOption = None,
    seq_len: given.SequenceLengthOption = None,
    lora_rank: given.LoraRankOption = 16,
    precision: given.PrecisionOption = None,
    packing: given.PackingOption = True,
    fp8: wanted.Fp8Option = False,
    offload: wanted.OffloadOption = False,
    global_batch: wanted.GlobalBatchOption = "",
    headroom: wanted.HeadroomOption = 0.05,
    search_runs: wanted.SearchRunsOption = 0.0,
    failed_runs: wanted.FailedRunFactorOption = 1.0,
    evaluation_tokens: wanted.EvaluationTokensOption = 0.0,
    why_not: wanted.WhyNotOption = "",
    top: wanted.TopOption = 10,
    launch: wanted.LaunchOption = False,
    calibration: given.CalibrationOption = "",
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Find the GPUs, the provider and the settings for a fine-tuning run within its limits."""
    from estimator.cli import options, plan_options
    from estimator.training.planning.plan import PlanWish

    resolved = options.given_model(model, offline=offline)
    length = options.sequence_length(seq_len, resolved)
    wish = PlanWish(
        effort=plan_options.effort(epochs, search_runs, failed_runs, evaluation_tokens),
        limits=plan_options.limits(objective, deadline, budget, sure),
        offers=plan_options.offer_wish(provider, region, gpu, tier, spot=spot, max_gpus=max_gpus),
        form=plan_options.form_wish(
            method, stack, length, lora_rank, precision, packing=packing, offload=offload, fp8=fp8
        ),
        batch=plan_options.batch_range(global_batch, length) if global_batch else None,
        headroom=headroom,
    )
    data = options.given_dataset(dataset, tokens, examples, mean_tokens, tokenizer, resolved)
    plans = plan_options.searched(resolved, data, wish, prices, calibration, top)
    _print(plans, resolved, dataset, why_not, launch=launch, as_json=as_json)


def _print(
    plans: "Plans",
    resolved: "ResolvedModel",
    dataset: Path | None,
    why_not: str,
    *,
    launch: bool,
    as_json: bool,
) -> None:
    """The plans as asked for; `InfeasiblePlan` where there is none."""
    from estimator.cli.show import print_json, print_lines, print_parts
    from estimator.errors import InfeasiblePlan
    from estimator.report.plan import (
        launch_dict,
        launch_lines,
        nearest_misses,
        plans_dict,
        plans_parts,
    )
    from estimator.training.launch import job_of
    from estimator.training.launch import launch as make_launch
    from pricing import dates

    today, name = dates.today(), resolved.architecture.id
    made = None
    if launch and plans.best is not None:
        path = str(dataset) if dataset else "data"
        epochs = plans.wish.effort.epochs.median()
        job = job_of(resolved.architecture, plans.best, model=name, dataset=path, epochs=epochs)
        made = make_launch(plans.best, job)
    if as_json:
        data = plans_dict(plans, name, today, why_not)
        print_json(data | ({"launch": launch_dict(made)} if made else {}))
    elif plans.best is not None or why_not:
        print_parts(plans_parts(plans, name, today, why_not))
        if made is not None:
            print_lines(launch_lines(made))
    if plans.best is None and not why_not:
        nearest = "; ".join(nearest_misses(plans, shown=3))
        raise InfeasiblePlan(f"no offer keeps every limit. {nearest}")
