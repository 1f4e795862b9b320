"""The load that a scenario's own model would have to serve, for a serving plan."""

from estimator.scenario import Scenario
from estimator.serving.need import ServingNeed


def serving_need(scenario: Scenario) -> ServingNeed:
    """Requests of a month that a tuned model gets now, their tokens and limits: all medians.

    Requests = requests x share in scope; input = the request and the tuned model's instructions.
    Left out: growth and season, and retrieved text.
    """
    demand, serving = scenario.demand, scenario.serving
    instructions = scenario.knowledge.tuned_instruction_tokens_per_request
    return ServingNeed(
        requests_per_month=demand.requests_per_month.median() * demand.in_scope_share.median(),
        input_tokens=demand.input_tokens_per_request.median() + instructions.median(),
        output_tokens=demand.output_tokens_per_request.median(),
        ttft_seconds=serving.ttft_seconds,
        tpot_seconds=serving.tpot_seconds,
        peak_to_mean=demand.peak_to_mean.median(),
        redundancy=serving.spare_replicas,
    )
