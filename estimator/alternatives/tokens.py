"""Tokens bought by the million: answering through an API, and embedding for retrieval."""

import numpy as np

from estimator.alternatives.items import LineItem
from estimator.alternatives.outcome import VOLUME, in_scope
from estimator.alternatives.world import Timeline
from estimator.quantity import FloatArray
from estimator.sampling import Draws

API_PRICES = ("api.input_usd_per_mtok", "api.output_usd_per_mtok")
MANAGED_PRICES = ("managed.input_usd_per_mtok", "managed.output_usd_per_mtok")


def input_tokens(draws: Draws, *, tuned: bool, retrieves: bool) -> FloatArray:
    """Tokens sent with one request: the request, instructions, and retrieved text if any."""
    instructions = "tuned_instruction" if tuned else "instruction"
    tokens = (
        draws["demand.input_tokens_per_request"]
        + draws[f"knowledge.{instructions}_tokens_per_request"]
    )
    if retrieves:
        tokens = tokens + draws["knowledge.retrieved_tokens_per_request"]
    return np.asarray(tokens)


def api_tokens(
    timeline: Timeline, *, prices: tuple[str, str], tuned: bool, retrieves: bool
) -> LineItem:
    """Input and output tokens of every request in scope, at prices that move over the years."""
    d = timeline.world.draws
    input_price, output_price = prices
    per_request = (
        input_tokens(d, tuned=tuned, retrieves=retrieves) * d[input_price]
        + d["demand.output_tokens_per_request"] * d[output_price]
    ) / 1e6
    return LineItem(
        name="Tokens of the model's API",
        category="tokens",
        amount_usd=in_scope(timeline.world) * per_request,
        profile=timeline.requests_at_price("api.price_change_per_year"),
        formula="requests in scope x (input tokens x price + output tokens x price)",
        inputs=(
            *VOLUME,
            "demand.in_scope_share",
            "demand.input_tokens_per_request",
            "demand.output_tokens_per_request",
            *prices,
            "api.price_change_per_year",
        ),
    )


def retrieval(timeline: Timeline) -> tuple[LineItem, ...]:
    """What retrieval costs besides tokens: embedding, the store, reranking."""
    d = timeline.world.draws
    embed_all = np.asarray(d["knowledge.corpus_tokens"] * d["api.embedding_usd_per_mtok"] / 1e6)
    embedding = ("knowledge.corpus_tokens", "api.embedding_usd_per_mtok")
    return (
        LineItem(
            name="Embedding the documents once",
            category="retrieval",
            amount_usd=embed_all,
            profile=timeline.at_start,
            formula="tokens in the documents x embedding price",
            inputs=embedding,
        ),
        LineItem(
            name="Embedding what changes",
            category="retrieval",
            amount_usd=embed_all * d["knowledge.changed_share_per_month"],
            profile=timeline.operating,
            formula="tokens in the documents x share that changes x embedding price",
            inputs=(*embedding, "knowledge.changed_share_per_month"),
        ),
        LineItem(
            name="Vector store",
            category="retrieval",
            amount_usd=d["knowledge.vector_store_usd_per_month"],
            profile=timeline.operating,
            formula="fixed fee per month",
            inputs=("knowledge.vector_store_usd_per_month",),
        ),
        LineItem(
            name="Reranking",
            category="retrieval",
            amount_usd=in_scope(timeline.world)
            * d["knowledge.rerank_usd_per_thousand_requests"]
            / 1000,
            profile=timeline.requests,
            formula="requests in scope x fee of the reranker",
            inputs=(*VOLUME, "knowledge.rerank_usd_per_thousand_requests"),
        ),
    )
