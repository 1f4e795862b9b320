"""`tuneroi fit`: which ways to train a model fit on a card, and what would make the others fit."""

from typing import Annotated

from estimator.cli import arguments as given

OneMethodOption = Annotated[
    given.Method | None,
    given.recipe("--method", help=f"{given.METHOD_HELP}; default: all.", metavar="METHOD"),
]
FittingMicroBatchOption = Annotated[
    int | None,
    given.recipe(
        "--micro-batch",
        help="Sequences at once that must fit; default: as many as fit.",
        metavar="SEQUENCES",
        min=1,
    ),
]
EitherCheckpointingOption = Annotated[
    given.Checkpointing | None,
    given.recipe(
        "--checkpointing",
        help=f"{given.CHECKPOINTING_HELP}; default: none and full.",
        metavar="KIND",
    ),
]


def fit(
    model: given.ModelArgument,
    gpu: given.GpuOption,
    gpus: given.GpusOption = 1,
    method: OneMethodOption = None,
    seq_len: given.SequenceLengthOption = None,
    micro_batch: FittingMicroBatchOption = None,
    precision: given.PrecisionOption = None,
    checkpointing: EitherCheckpointingOption = None,
    lora_rank: given.LoraRankOption = 16,
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Show which methods fit on a card, with which micro-batch, and what would make others fit."""
    from estimator.cli import options
    from estimator.cli.show import print_result, working
    from estimator.hardware.cluster import Cluster
    from estimator.report.fit import fit_dict, fit_parts, fit_report

    cluster = Cluster.of(options.given_gpu(gpu), gpus)
    methods: tuple[given.Method, ...] = (method,) if method else ("full", "lora", "qlora")
    if precision in ("fp32", "amp") and method is None:
        methods = ("full", "lora")  # 4-bit bases compute in 16 bits
    resolved = options.given_model(model, offline=offline)
    with working("estimating"):
        report = fit_report(
            resolved,
            cluster,
            sequence_length=options.sequence_length(seq_len, resolved),
            lora_rank=lora_rank,
            methods=methods,
            precision=precision,
            checkpointing=checkpointing,
            micro_batch=micro_batch,
        )
    print_result(lambda: fit_dict(report), lambda: fit_parts(report), as_json=as_json)
