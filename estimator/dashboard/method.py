"""What the page "Method" shows: formulas in words, errors against measurements, and limits."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from estimator.dashboard.results import _keep
from estimator.report.benchmark_charts import agreement_chart
from estimator.report.charts import Chart
from estimator.report.validation import counted, score_cells
from estimator.serving.constants import serving_constants
from estimator.validation.fitting import MEMORY_FILE, THROUGHPUT_FILE
from estimator.validation.memory import validate_memory
from estimator.validation.scoring import Score, Validation
from estimator.validation.throughput import validate_throughput


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """How one quantity is computed, in words."""

    title: str
    words: str
    source: str
    code: str
    """Where it stands: module and function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Predictions of one quantity against published measurements."""

    counted: str
    agreement: Chart | None
    groups: Mapping[str, tuple[tuple[str, ...], ...]]
    """Rows of scores by what they are grouped by."""


DECISION = (
    Formula(
        title="Worth (net present value)",
        words="All benefits less all costs of an alternative, month by month, each month divided "
        "by (1 + yearly rate) to the power of its years from now. Against doing nothing, whose "
        "own worth is 0.",
        source="any textbook of corporate finance",
        code="estimator.alternatives.items.present_value_usd",
    ),
    Formula(
        title="Chance of being the best",
        words="The share of simulated futures in which no alternative is worth more. All "
        "alternatives meet the same futures, so that what is common to them cancels.",
        source="common random numbers",
        code="estimator.decision.choose.probability_best",
    ),
    Formula(
        title="Worth of information",
        words="What the decision would gain, on average, if it could be made after an input is "
        "known: the best expected worth given the input, averaged over the input, less the best "
        "expected worth now. By regression on the simulated futures.",
        source="Strong, Oakley and Brennan, Medical Decision Making 2014",
        code="estimator.decision.information.evppi",
    ),
    Formula(
        title="What decides",
        words="The largest distance between the distributions of an input in the futures that an "
        "alternative wins and in the others.",
        source="Hornberger and Spear, Journal of Environmental Management 1981",
        code="estimator.decision.sensitivity.decision_sensitivity",
    ),
    Formula(
        title="What inputs do together",
        words="Sobol' indices: the share of the spread that goes when an input is known (alone), "
        "and the share that stays when all others are known (with interactions).",
        source="Sobol' 1993; Saltelli et al., Computer Physics Communications 2010",
        code="estimator.decision.indices.variance_indices",
    ),
    Formula(
        title="Break-even",
        words="The values of one input at which the expected worth of two alternatives is equal: "
        "a grid over ten times what is thought possible, then halving.",
        source="bisection",
        code="estimator.decision.thresholds.find_break_even",
    ),
    Formula(
        title="Time to go-live",
        words="Activities wait for those before them, and the longest chain decides, in every "
        "future anew. Effort is a range, multiplied by a factor from the record of finished IT "
        "projects.",
        source="critical path: Kelley and Walker 1959; efforts and factor: see Assumptions",
        code="estimator.project.schedule.schedule",
    ),
)
TRAINING = (
    Formula(
        title="Parameters and operations",
        words="Counted matrix by matrix from the model's configuration: two operations for each "
        "weight and token going forward, as many again twice going back where weights are "
        "trained, and those of attention, which grow with the length.",
        source="equal to transformers and peft, and to PyTorch's own counter",
        code="estimator.llm.flops.count_flops",
    ),
    Formula(
        title="Seconds of a step",
        words="The sum of its kernels: matrix products at the share of the peak rate that their "
        "shapes reach, attention, and traffic of memory. Starting kernels and gathering weights "
        "run beside it, and the longer counts. Then what else GPUs exchange, waiting between "
        "pipeline stages, and the optimizer.",
        source="roofline: Williams, Waterman and Patterson, CACM 2009; rates fitted to published "
        "measurements",
        code="estimator.training.throughput.step_time",
    ),
    Formula(
        title="Peak memory",
        words="Weights, gradients and optimizer states by their formats and how they are shared, "
        "activations by what the backward pass keeps, logits, buffers, and what the allocator "
        "and the driver take.",
        source="closed form, checked against traced training steps",
        code="estimator.training.memory.estimate_memory",
    ),
    Formula(
        title="Cost of a run",
        words="GPUs times hours times price, with starting, checkpoints, evaluation, failures "
        "and what spot machines lose.",
        source="checkpoints: Young, CACM 1974; Daly, Future Generation Computer Systems 2006",
        code="estimator.training.run.estimate_run",
    ),
    Formula(
        title="Serving",
        words="A step of decoding reads the weights once and each request's cache; replicas are "
        "as many as hold the wished latency in the busiest hour, with the day's course.",
        source="roofline; queueing after Erlang",
        code="estimator.serving.plan.plan_serving",
    ),
    Formula(
        title="Buy or rent",
        words="Price less what is left of it at the end, as equal payments, plus power, rack and "
        "repair, against the hours in use times the rent.",
        source="annuity; ranges in estimator/hardware/data/ownership.csv",
        code="estimator.decision.buy_or_rent.buy_or_rent",
    ),
)
LIMITS = (
    "Prices, wages and rents are ranges of a date, not quotes; Assumptions shows how old they are.",
    "How well each way answers is the least known input of all. Ranges marked as guesses are "
    "guesses: a pilot with your own requests says more than any of them.",
    "Training speed is known for GPUs and software among the measurements above; for others the "
    "range is as wide as for GPU generations that were left out of the fit.",
    "Closed forms of memory do not know every library's habits: near the edge of a card, try it.",
    "A benchmark here extrapolates from some layers on one machine; several machines are "
    "predicted from their links, not measured.",
    "Inputs are independent unless the scenario correlates them.",
    "Left out: tax, financing, law and licences, worth beyond the horizon, and whether the "
    "project is the best use of your people at all.",
)

LOADS = {
    "batched": "Many requests at once",
    "single_stream": "One request at a time",
    "batched_seen": "Many, on GPUs and programs of the fit",
    "single_stream_seen": "One, on GPUs and programs of the fit",
}


@_keep(st.cache_data, 2)
def training_speed() -> Errors:
    """Training throughput on the published rows of the package."""
    found = validate_throughput(THROUGHPUT_FILE)
    groups = {"method": found.scores.by_method, "software": found.by_stack, "GPU": found.by_gpu}
    return _errors(found.scores, "tokens per second and GPU", groups)


@_keep(st.cache_data, 2)
def peak_memory() -> Errors:
    """Peak memory on the published rows of the package."""
    found = validate_memory(MEMORY_FILE)
    return _errors(found, "GiB per GPU", {"method": found.by_method})


def _errors(found: Validation, what: str, groups: Mapping[str, Mapping[str, Score]]) -> Errors:
    every = {**groups, "source": found.by_source}
    said = counted(found.rows, found.total.rows, 0)
    return Errors(
        counted=f"{said[:1].upper()}{said[1:]}; {found.suspect_left_out} that no accounting "
        "explains are left out.",
        agreement=agreement_chart(found, what),
        groups={
            name: (
                score_cells("all", found.total),
                *(score_cells(each.replace("_", " "), score) for each, score in group.items()),
            )
            for name, group in every.items()
        },
    )


@_keep(st.cache_data, 2)
def serving_spreads() -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """How far published serving speeds lay from predictions without them, and by which rows."""
    spreads = serving_constants().spread
    rows = tuple(
        (LOADS.get(name, name), *(f"×{q:.2f}" for q in known.factor.p10_p50_p90()))
        for name, known in spreads.items()
    )
    return rows, tuple(f"{LOADS.get(name, name)}: {k.source}" for name, k in spreads.items())
