"""`tuneroi train`: memory, speed, hours and cost of one fine-tuning run, as ranges."""

from typing import TYPE_CHECKING

from estimator.cli import arguments as given

if TYPE_CHECKING:
    from estimator.hardware.calibration_file import UsedCalibration
    from estimator.training.job import JobEstimate


def train(
    model: given.ModelArgument,
    dataset: given.DatasetOption = None,
    tokens: given.TokensOption = None,
    examples: given.ExamplesOption = None,
    mean_tokens: given.MeanTokensOption = None,
    tokenizer: given.TokenizerOption = "",
    epochs: given.EpochsOption = 3.0,
    gpu: given.GpuOption = "h100-sxm5-80gb",
    gpus: given.GpusOption = 1,
    price: given.PriceOption = None,
    tier: given.TierOption = "on_demand",
    method: given.MethodOption = "lora",
    seq_len: given.SequenceLengthOption = None,
    lora_rank: given.LoraRankOption = 16,
    micro_batch: given.MicroBatchOption = None,
    checkpointing: given.CheckpointingOption = None,
    sharding: given.ShardingOption = None,
    precision: given.PrecisionOption = None,
    packing: given.PackingOption = True,
    stack: given.StackOption = "huggingface",
    calibration: given.CalibrationOption = "",
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Estimate one fine-tuning run: does it fit, how long does it take, what does it cost?"""
    from estimator.cli import options
    from estimator.cli.show import working
    from estimator.hardware.calibration_file import calibration_to_use
    from estimator.hardware.cluster import Cluster
    from estimator.training.job import plan_job
    from estimator.training.wish import RecipeWish

    cluster = Cluster.of(options.given_gpu(gpu), gpus)
    used = calibration_to_use(cluster.gpu, calibration)
    usd = options.given_price(price, cluster.gpu.id, tier)
    resolved = options.given_model(model, offline=offline)
    data = options.given_dataset(dataset, tokens, examples, mean_tokens, tokenizer, resolved)
    wish = RecipeWish(
        method=method,
        sequence_length=options.sequence_length(seq_len, resolved),
        lora_rank=lora_rank,
        stack=stack,
        packing=packing,
        micro_batch=micro_batch,
        checkpointing=checkpointing,
        sharding=sharding,
        precision=precision,
    )
    with working("estimating"):
        estimate = plan_job(
            resolved.architecture,
            data,
            cluster,
            wish,
            epochs=options.given_epochs(epochs),
            price_usd_per_gpu_hour=usd,
            calibration=used.own,
        )
    _print(estimate, used, resolved.notes, as_json=as_json)


def _print(
    estimate: "JobEstimate", used: "UsedCalibration", remarks: tuple[str, ...], *, as_json: bool
) -> None:
    """The estimate as asked for; `InfeasiblePlan` where it does not fit."""
    from estimator.cli.show import print_json, print_parts
    from estimator.errors import InfeasiblePlan
    from estimator.report.training import training_dict, training_parts
    from pricing import dates

    today = dates.today()
    if as_json:
        print_json(training_dict(estimate, remarks, today, used))
    if estimate.run is None:
        raise InfeasiblePlan(estimate.refusal)
    if not as_json:
        print_parts(training_parts(estimate, estimate.run, remarks, today, used))
