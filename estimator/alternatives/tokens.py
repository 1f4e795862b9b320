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


def cached_tokens(draws: Draws) -> FloatArray:
    """Tokens of one request to an untuned model that its provider reads from its cache.

    The instructions, which stand first and are the same in every request, if they are long enough.
    """
    instructions = draws["knowledge.instruction_tokens_per_request"]
    long_enough = instructions >= draws["api.cache_minimum_tokens"]
    return np.where(long_enough, instructions * draws["api.cached_share"], 0.0)


def api_tokens(
    timeline: Timeline, *, prices: tuple[str, str], tuned: bool, retrieves: bool
) -> LineItem:
    """Input, cached and output tokens of every request in scope, at prices that move.

    A tuned model's instructions are too short to be cached.
    """
    d = timeline.world.draws
    input_price, output_price = prices
    saved = 0.0 if tuned else cached_tokens(d) * (d[input_price] - d["api.cached_usd_per_mtok"])
    per_request = (
        input_tokens(d, tuned=tuned, retrieves=retrieves) * d[input_price]
        - saved
        + d["demand.output_tokens_per_request"] * d[output_price]
    ) / 1e6
    return LineItem(
        name="Tokens of the model's API",
        category="tokens",
        amount_usd=in_scope(timeline.world) * per_request,
        profile=timeline.requests_at_price("api.price_change_per_year"),
        formula="requests in scope x (input, cached and output tokens x the price of each)",
        inputs=(
            *VOLUME,
            "demand.in_scope_share",
            "demand.input_tokens_per_request",
            "demand.output_tokens_per_request",
            *prices,
            *(() if tuned else ("api.cached_share", "api.cached_usd_per_mtok")),
            "api.price_change_per_year",
        ),
    )


def retrieval(timeline: Timeline) -> tuple[LineItem, ...]:
    """What retrieval costs besides tokens and people: embedding, the store, queries, reranking."""
    world = timeline.world
    d = world.draws
    requests = in_scope(world)
    stored = np.asarray(d["knowledge.corpus_tokens"] * d["knowledge.chunk_overhead"])
    embed_all = stored * d["api.embedding_usd_per_mtok"] / 1e6
    corpus = ("knowledge.corpus_tokens", "knowledge.chunk_overhead")
    embedding = (*corpus, "api.embedding_usd_per_mtok")
    gigabytes = stored * d["knowledge.stored_bytes_per_token"] / 1e9
    per_request = (
        d["demand.input_tokens_per_request"] * d["api.embedding_usd_per_mtok"]
        + d["knowledge.read_usd_per_million_queries"]
    ) / 1e6
    return (
        LineItem(
            name="Embedding the documents once",
            category="retrieval",
            amount_usd=embed_all,
            profile=timeline.at_start,
            formula="tokens in the documents x overlap x embedding price",
            inputs=embedding,
        ),
        LineItem(
            name="Embedding what changes",
            category="retrieval",
            amount_usd=embed_all * d["knowledge.changed_share_per_month"],
            profile=timeline.operating,
            formula="tokens in the documents x overlap x share that changes x embedding price",
            inputs=(*embedding, "knowledge.changed_share_per_month"),
        ),
        LineItem(
            name="Vector store",
            category="retrieval",
            amount_usd=d["knowledge.vector_store_usd_per_month"]
            + gigabytes * d["knowledge.storage_usd_per_gb_month"],
            profile=timeline.operating,
            formula="fixed fee + tokens embedded x bytes x price of storage, per month",
            inputs=(
                "knowledge.vector_store_usd_per_month",
                *corpus,
                "knowledge.stored_bytes_per_token",
                "knowledge.storage_usd_per_gb_month",
            ),
        ),
        LineItem(
            name="Looking up passages",
            category="retrieval",
            amount_usd=requests * per_request,
            profile=timeline.requests,
            formula="requests in scope x (embedding the request + one query of the store)",
            inputs=(
                *VOLUME,
                "demand.input_tokens_per_request",
                "api.embedding_usd_per_mtok",
                "knowledge.read_usd_per_million_queries",
            ),
        ),
        LineItem(
            name="Reranking",
            category="retrieval",
            amount_usd=requests * d["knowledge.rerank_usd_per_thousand_requests"] / 1000,
            profile=timeline.requests,
            formula="requests in scope x fee of the reranker",
            inputs=(*VOLUME, "knowledge.rerank_usd_per_thousand_requests"),
        ),
    )
