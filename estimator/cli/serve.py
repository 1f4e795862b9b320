"""`tuneroi serve`: what serving a model costs on every suitable offer, beside hosted ways."""

from typing import TYPE_CHECKING

from estimator.cli import arguments as given
from estimator.cli import serve_arguments as wanted

if TYPE_CHECKING:
    from estimator.cli.serve_options import Found

IDLE_SECONDS_TO_ZERO = 300.0


def serve(
    model: given.ModelArgument,
    requests: wanted.RequestsOption,
    input_tokens: wanted.InputTokensOption,
    output_tokens: wanted.OutputTokensOption,
    peak_factor: wanted.PeakFactorOption = None,
    diurnal: wanted.DiurnalOption = "",
    cached_share: wanted.CachedShareOption = 0.0,
    ttft: wanted.TtftOption = 2.0,
    tpot: wanted.TpotOption = 0.1,
    wait_probability: wanted.WaitShareOption = 0.05,
    weights: wanted.WeightsOption = "bf16",
    program: wanted.ProgramOption = "vllm",
    adapters: wanted.AdaptersOption = 0,
    adapter_rank: wanted.AdapterRankOption = 16,
    redundancy: wanted.RedundancyOption = 1,
    autoscale: wanted.AutoscaleOption = False,
    scale_to_zero: wanted.ScaleToZeroOption = False,
    gpus: given.OnlyGpusOption = None,
    provider: given.OnlyProvidersOption = None,
    tiers: given.TiersOption = None,
    api: wanted.ApiOption = None,
    prices: given.ContractOption = None,
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Plan serving: GPUs, replicas, latency, use and cost on every offer, beside hosted ways."""
    from estimator.cli import serve_options as typed
    from estimator.serving.need import ServingNeed
    from pricing.own import own_price_files

    files = own_price_files(prices)
    offers = typed.allowed_offers(files, gpus, provider, tiers)
    day = typed.load_of_day(diurnal)
    need = ServingNeed(
        requests_per_month=requests,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        ttft_seconds=ttft,
        tpot_seconds=tpot,
        peak_to_mean=typed.peak_to_mean(day, peak_factor),
        day=day,
        cached_share=cached_share,
        adapters=adapters,
        adapter_rank=adapter_rank,
        redundancy=redundancy,
        autoscale=autoscale,
        idle_seconds_to_zero=IDLE_SECONDS_TO_ZERO if scale_to_zero else None,
        wait_probability=wait_probability,
    )
    found = typed.planned(model, need, offers, weights, program, files, api, offline=offline)
    _print(found, as_json=as_json)


def _print(found: "Found", *, as_json: bool) -> None:
    """The plan as asked for; `InfeasiblePlan` where no offer can serve it."""
    from estimator.cli.show import print_result
    from estimator.errors import InfeasiblePlan
    from estimator.report.serving import serving_dict, serving_parts
    from pricing import dates

    plan, said = found.plan, (found.plan, found.rivals, found.notes, dates.today())
    print_result(lambda: serving_dict(*said), lambda: serving_parts(*said), as_json=as_json)
    if not plan.options:
        raise InfeasiblePlan(
            f"none of {len(plan.refused)} offers can serve it; {plan.refused[0].offer.id} "
            f"{plan.refused[0].reason}; loosen --ttft or --tpot, or choose --precision fp8 or int4"
        )
