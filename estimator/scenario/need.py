"""What the company needs: demand, what an answer is worth, the knowledge behind it, quality."""

from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field

from estimator.quantity import Quantity
from estimator.scenario.inputs import (
    Factor,
    In,
    Section,
    Share,
    TokensPerRequest,
    UsdPerMonth,
    UsdPerRequest,
    YearlyChange,
    sourced,
)
from pricing import assumption

TaskFamily = Literal["classic_nlp", "knowledge", "reasoning", "coding", "math"]


class Demand(Section):
    """How many requests arrive, how they grow, and how long they are."""

    requests_per_month: Annotated[Quantity, In("requests/month", 0)]
    """Requests (conversations, documents, questions) that arrive in a mean month of now."""
    growth_per_year: YearlyChange = sourced("demand.growth_per_year")
    """Growth of the requests per year, compounding monthly."""
    seasonal_swing_share: Share = sourced("demand.seasonal_swing_share")
    """Requests of the busiest month of a year over its mean month, less one."""
    peak_month: Annotated[int, Field(ge=1, le=12)] = 12
    """The busiest month of each year, counted from the decision."""
    in_scope_share: Share = sourced("demand.in_scope_share")
    """Share of the requests that an assistant may try at all."""
    input_tokens_per_request: TokensPerRequest = sourced("demand.input_tokens_per_request")
    """Tokens of the request itself with its history, before instructions and retrieved text."""
    output_tokens_per_request: TokensPerRequest = sourced("demand.output_tokens_per_request")
    """Tokens that the model writes for one request."""
    peak_to_mean: Factor = sourced("demand.peak_to_mean")
    """Busiest hour of the month over the mean hour: it sizes what serves."""


class Value(Section):
    """What a request costs or brings, by how it ends."""

    human_cost_usd_per_request: UsdPerRequest = sourced("value.human_cost_usd_per_request")
    """Loaded cost of a person handling one request from start to end."""
    gain_usd_per_resolved_request: UsdPerRequest = Field(default_factory=lambda: Quantity.of(0))
    """Extra worth of a request resolved at once by the assistant (speed, revenue); often 0."""
    handover_cost_usd_per_request: UsdPerRequest = sourced("value.handover_cost_usd_per_request")
    """Extra cost when an assistant tries, fails and hands over to a person."""
    error_cost_usd: Annotated[Quantity, In("USD/error", 0)] = sourced("value.error_cost_usd")
    """Cost of one wrong answer that was given: repair, goodwill, churn. One that review finds
    costs a share of it."""
    found_error_share: Share = sourced("value.found_error_share")
    """Cost of a wrong answer that a reviewer finds in time, as a share of one that nobody finds."""
    review_share: Share = sourced("value.review_share")
    """Cost of a person reviewing one answer, as a share of handling the request."""
    incident_cost_usd: Annotated[Quantity, In("USD/incident", 0)] = sourced(
        "value.incident_cost_usd"
    )
    """Cost of one public or regulated incident caused by an answer."""


class ErrorRates(Section):
    """Share of the given answers that are wrong, by who gives them."""

    people: Share = sourced("quality.error_rate.people")
    """Share of people's answers that are wrong."""
    prompting: Share = sourced("quality.error_rate.prompting")
    """Share of wrong answers from an API model without retrieval."""
    rag: Share = sourced("quality.error_rate.rag")
    """Share of wrong answers from an API model grounded in retrieved text."""
    finetune: Share = sourced("quality.error_rate.finetune")
    """Share of wrong answers from a tuned model; tuning does not stop it from making things up."""
    finetune_rag: Share = sourced("quality.error_rate.finetune_rag")
    """Share of wrong answers from a tuned model grounded in retrieved text."""
    saas: Share = sourced("quality.error_rate.saas")
    """Share of wrong answers from a bought assistant; vendors' claims are not evidence."""


class Quality(Section):
    """How well each way answers: skill at the task times access to the knowledge it needs."""

    task_family: TaskFamily = "knowledge"
    """Kind of task; sets what tuning is known to gain on such tasks."""
    skill: Share = sourced("quality.skill")
    """Share of in-scope requests that a well-prompted large API model resolves given all it needs
    to know."""
    knowledge_share: Share = sourced("quality.knowledge_share")
    """Share of in-scope requests that cannot be resolved without the company's own knowledge."""
    retrieval_recall: Share = sourced("quality.retrieval_recall")
    """Share of those for which retrieval finds the right passage."""
    prompt_knowledge_share: Share = sourced("quality.prompt_knowledge_share")
    """Share of those whose knowledge fits into a fixed prompt."""
    memorised_share: Share = sourced("quality.memorised_share")
    """Share of the knowledge gain of retrieval that tuning alone achieves."""
    tuning_gain: Annotated[Quantity, In("score", -1, 1)] = Field(
        default_factory=lambda data: assumption(
            f"quality.tuning_gain.{data.get('task_family', 'knowledge')}"
        )
    )
    """Score of a tuned small model minus that of a large general one, as a share of all tasks."""
    tuning_gain_kept: Share = sourced("quality.tuning_gain_kept")
    """Share of that gain left once the large model is prompted with care and newer."""
    saas_skill_ratio: Factor = sourced("quality.saas_skill_ratio")
    """Resolution rate of the bought assistant over that of RAG built in-house."""
    error_rate: ErrorRates = Field(default_factory=ErrorRates)
    """Share of wrong answers among those given."""
    incidents_per_million_answers: Annotated[Quantity, In("1/million answers", 0)] = sourced(
        "quality.incidents_per_million_answers"
    )
    """Public or regulated incidents per million answers of an untuned, guarded model."""
    tuning_incident_multiplier: Factor = sourced("quality.tuning_incident_multiplier")
    """How many times more often a benignly tuned model answers harmfully."""
    moderated_share: Share = sourced("quality.moderated_share")
    """Share of such answers that a guard catches before they are seen."""
    tuning_worse_than_base: Share = sourced("quality.tuning_worse_than_base")
    """Share of tunings that come out worse than their own base, are thrown away and repeated."""
    reviewed_answers_per_month: Annotated[Quantity, In("answers/month", 0)] = sourced(
        "quality.reviewed_answers_per_month"
    )
    """Answers of an assistant that a person reviews in a mean month of now; all, if fewer."""
    review_finds_share: Share = sourced("quality.review_finds_share")
    """Share of the wrong answers among those reviewed that the reviewer finds."""
    monitoring_usd_per_month: UsdPerMonth = sourced("quality.monitoring_usd_per_month")
    """Tools that log, sample and score answers."""


class Knowledge(Section):
    """The company's documents and what it takes to keep them within reach of a model."""

    corpus_tokens: Annotated[Quantity, In("tokens", 0)] = sourced("knowledge.corpus_tokens")
    """Tokens in the documents that answers must draw on."""
    changed_share_per_month: Share = sourced("knowledge.changed_share_per_month")
    """Share of that knowledge that changes within a month."""
    tolerated_stale_share: Share = sourced("knowledge.tolerated_stale_share")
    """Share of the knowledge that may be out of date before the index is rebuilt."""
    instruction_tokens_per_request: TokensPerRequest = sourced(
        "knowledge.instruction_tokens_per_request"
    )
    """Instructions and examples sent with every request to an untuned model."""
    tuned_instruction_tokens_per_request: TokensPerRequest = sourced(
        "knowledge.tuned_instruction_tokens_per_request"
    )
    """The same for a tuned model, which has learnt most of them."""
    retrieved_tokens_per_request: TokensPerRequest = sourced(
        "knowledge.retrieved_tokens_per_request"
    )
    """Retrieved text sent with every request by RAG."""
    vector_store_usd_per_month: UsdPerMonth = sourced("knowledge.vector_store_usd_per_month")
    """Fixed fee of the vector store."""
    chunk_overhead: Factor = sourced("knowledge.chunk_overhead")
    """Tokens embedded over tokens of the text, because chunks overlap."""
    stored_bytes_per_token: Annotated[Quantity, In("bytes/token", 0)] = sourced(
        "knowledge.stored_bytes_per_token"
    )
    """Bytes in the vector store for each token embedded."""
    storage_usd_per_gb_month: Annotated[Quantity, In("USD/GB-month", 0)] = sourced(
        "knowledge.storage_usd_per_gb_month"
    )
    """Price of storage in the vector store."""
    read_usd_per_million_queries: Annotated[Quantity, In("USD/million queries", 0)] = sourced(
        "knowledge.read_usd_per_million_queries"
    )
    """Price of queries to the vector store."""
    rerank_usd_per_thousand_requests: Annotated[Quantity, In("USD/thousand requests", 0)] = sourced(
        "knowledge.rerank_usd_per_thousand_requests"
    )
    """Fee of the reranker."""


class TuningData(Section):
    """The examples a model is tuned on."""

    examples: Annotated[Quantity, In("examples", 1)] = sourced("data.examples")
    """Examples in the training set."""
    tokens_per_example: Annotated[Quantity, In("tokens/example", 1)] = sourced(
        "data.tokens_per_example"
    )
    """Tokens of one example, question and answer together."""
    ready_share: Share = sourced("data.ready_share")
    """Share of the examples that exist already, with answers good enough to learn from."""
    label_usd_per_example: Annotated[Quantity, In("USD/example", 0)] = sourced(
        "labelling.written_general_usd_per_example"
    )
    """Price of having one missing example written and checked."""
    labels_per_day: Annotated[Quantity, In("examples/day", 1)] = sourced("data.labels_per_day")
    """Examples written or checked in a working day by all who label."""
    reference_examples: Annotated[Quantity, In("examples", 1)] = sourced("data.reference_examples")
    """Examples in the training set behind `quality.tuning_gain`; of your own pilot, its labels."""
    curve_exponent: Factor = sourced("data.curve_exponent")
    """Exponent c with which errors fall as examples grow: errors = a + b x examples ** -c."""
    irreducible_error_share: Share = sourced("data.irreducible_error_share")
    """Share of the tuned model's errors that no number of examples removes: a over the whole."""
    renewed_share: Share = sourced("data.renewed_share")
    """Share of the examples replaced at each retraining."""
    rework_factor: Factor = sourced("labelling.rework_factor")
    """Examples paid for over examples kept."""
    padding_factor: Factor = sourced("data.padding_factor")
    """Tokens processed over tokens learnt from: 1.0 when packed perfectly."""


class Correlation(Section):
    """Two uncertain inputs that move together."""

    a: str
    """Path of one input, such as `quality.skill`."""
    b: str
    """Path of the other."""
    rank: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]
    """Spearman rank correlation."""


def errors_move_together(quality: Quality) -> tuple[Correlation, ...]:
    """The correlations of the assistants' uncertain error rates with one another."""
    rank = round(assumption("quality.error_rate_correlation").median(), 2)
    uncertain = [
        f"quality.error_rate.{name}"
        for name in ErrorRates.model_fields
        if name != "people" and not getattr(quality.error_rate, name).is_fixed
    ]
    return tuple(Correlation(a=a, b=b, rank=rank) for a, b in combinations(uncertain, 2))
