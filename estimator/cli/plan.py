"""`tuneroi plan`: which GPUs, how many, from whom, with which settings, how long, how much."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from estimator.cli import arguments as given

if TYPE_CHECKING:
    from estimator.llm.resolve import ResolvedModel
    from estimator.training.planning.plan import Plans

Objective = Literal["cost", "time", "both"]
_limits = partial(typer.Option, rich_help_panel="Limits, and what counts")
_market = partial(typer.Option, rich_help_panel="Offers")
_recipe = partial(typer.Option, rich_help_panel="Recipe")
_output = partial(typer.Option, rich_help_panel="Output")


def plan(
    model: given.ModelArgument,
    dataset: given.DatasetOption = None,
    tokens: given.TokensOption = None,
    examples: given.ExamplesOption = None,
    mean_tokens: given.MeanTokensOption = None,
    tokenizer: given.TokenizerOption = "",
    epochs: given.EpochsOption = 3.0,
    deadline: Annotated[
        str, _limits("--deadline", help="Longest time, such as 24h, 2d or 90m.", metavar="TIME")
    ] = "",
    budget: Annotated[
        float | None, _limits("--budget", help="Most dollars.", metavar="USD")
    ] = None,
    objective: Annotated[
        Objective, _limits("--objective", help="cost, time or both.", metavar="WHAT")
    ] = "cost",
    sure: Annotated[
        float,
        _limits("--sure", help="Chance with which limits must hold, 0.5 to 0.9.", metavar="SHARE"),
    ] = 0.8,
    max_gpus: Annotated[int, _market("--max-gpus", help="Most GPUs.", metavar="GPUS", min=1)] = 64,
    provider: Annotated[
        list[str] | None,
        _market("--provider", help="Only this one; again for more.", metavar="NAME"),
    ] = None,
    region: Annotated[
        list[str] | None,
        _market("--region", help="Only regions with this in the name.", metavar="TEXT"),
    ] = None,
    gpu: Annotated[
        list[str] | None,
        _market("--gpu", help="Only this GPU or family (h100); again for more.", metavar="GPU"),
    ] = None,
    tier: Annotated[
        list[str] | None,
        _market("--tier", help="Kind of price; default: on_demand.", metavar="TIER"),
    ] = None,
    spot: Annotated[
        bool, _market("--spot/--no-spot", help="Allow machines that may be taken away.")
    ] = False,
    prices: Annotated[
        Path | None, _market("--prices", help="Your contract's prices.", metavar="FILE")
    ] = None,
    method: Annotated[
        list[str] | None,
        _recipe("--method", help="full, lora or qlora; again for more.", metavar="METHOD"),
    ] = None,
    stack: Annotated[
        list[str] | None,
        _recipe("--stack", help="Training software; again for more.", metavar="NAME"),
    ] = None,
    seq_len: given.SequenceLengthOption = None,
    lora_rank: given.LoraRankOption = 16,
    precision: given.PrecisionOption = None,
    packing: given.PackingOption = True,
    fp8: Annotated[
        bool, _recipe("--fp8", help="Try products in FP8 where GPU and software have them.")
    ] = False,
    offload: Annotated[
        bool, _recipe("--offload", help="Try keeping states in CPU memory.")
    ] = False,
    global_batch: Annotated[
        str,
        _recipe(
            "--global-batch",
            help="Sequences of an optimizer step, or tokens with a t: 32:128 or 64000t:256000t.",
            metavar="MIN:MAX",
        ),
    ] = "",
    headroom: Annotated[
        float, _recipe("--headroom", help="Share of memory to leave free.", metavar="SHARE")
    ] = 0.05,
    search_runs: Annotated[
        float, _limits("--search-runs", help="Runs before the final one.", metavar="RUNS")
    ] = 0.0,
    failed_runs: Annotated[
        float,
        _limits("--failed-run-factor", help="GPU hours paid over hours used.", metavar="FACTOR"),
    ] = 1.0,
    evaluation_tokens: Annotated[
        float,
        _limits("--evaluation-tokens", help="Tokens evaluated in each run.", metavar="TOKENS"),
    ] = 0.0,
    why_not: Annotated[
        str, _output("--why-not", help="Say why this offer is not the one.", metavar="OFFER")
    ] = "",
    top: Annotated[
        int, _output("--top", help="Offers to list beside the front.", metavar="N", min=1)
    ] = 10,
    launch: Annotated[
        bool, _output("--launch", help="Print what runs the first plan: files and command.")
    ] = False,
    calibration: given.CalibrationOption = "",
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Find the GPUs, the provider and the settings for a fine-tuning run within its limits."""
    from estimator.cli import options, show
    from estimator.cli.plan_options import batch_range, calibrations_of, choices, hours
    from estimator.quantity import Quantity
    from estimator.training.planning.costs import Effort
    from estimator.training.planning.forms import FormWish
    from estimator.training.planning.market import Limits
    from estimator.training.planning.offers import OfferWish
    from estimator.training.planning.plan import PlanWish
    from estimator.training.planning.plan import plan as make_plans
    from pricing.gpus import gpu_family
    from pricing.offers import load_offers
    from pricing.own import own_price_files

    if offline:
        options.stay_offline()
    resolved = options.given_model(model, offline=offline)
    words = tokenizer or options.tokenizer_of(resolved)
    length = options.sequence_length(seq_len, resolved)
    wish = PlanWish(
        effort=Effort(
            epochs=options.given_epochs(epochs),
            search_runs=Quantity(value=options.positive("--search-runs", search_runs, zero=True)),
            failed_run_factor=Quantity(value=options.positive("--failed-run-factor", failed_runs)),
            evaluation_tokens=Quantity(
                value=options.positive("--evaluation-tokens", evaluation_tokens, zero=True)
            ),
        ),
        limits=Limits(
            objective=objective,
            deadline_hours=hours("--deadline", deadline) if deadline else None,
            budget_usd=None if budget is None else options.positive("--budget", budget),
            sure=sure,
        ),
        offers=OfferWish(
            providers=tuple(provider or ()),
            regions=tuple(region or ()),
            gpus=tuple(found for name in gpu or () for found in gpu_family(name)),
            tiers=choices("--tier", tier or ["on_demand"], given.Tier),
            spot=spot,
            max_gpus=max_gpus,
        ),
        form=FormWish(
            methods=choices("--method", method or ["lora"], given.Method),
            stacks=choices("--stack", stack or ["huggingface"], given.Stack),
            sequence_length=length,
            lora_rank=lora_rank,
            packing=packing,
            precision=precision,
            offload=offload,
            fp8=fp8,
        ),
        batch=batch_range(global_batch, length) if global_batch else None,
        headroom=headroom,
    )
    offers = load_offers(own_price_files(prices))
    own = calibrations_of(offers, calibration)
    data = options.given_dataset(dataset, tokens, examples, mean_tokens, words)
    with show.working("searching"):
        plans = make_plans(
            resolved.architecture, data, wish, offers=offers, calibrations=own, listed=top
        )
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
