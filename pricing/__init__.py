"""Dated, sourced facts: GPUs, offers, managed tuning, SaaS, wages, assumptions and findings.

Every figure is a row of a CSV file in `pricing/data/` with its source, date and evidence.
"""

from pricing.dates import prices_as_of, stale, staleness
from pricing.defaults import (
    Assumption,
    assumption,
    assumptions,
    rag_component,
    rag_components,
    wage,
    wages,
)
from pricing.findings import Evidence, TunedScore, evidence, evidence_topics, tuned_scores
from pricing.gpus import GpuSpec, gpu_spec, gpu_specs
from pricing.managed import ManagedOffer, managed_offer, managed_offers
from pricing.offers import GpuOffer, gpu_offers, gpu_price, load_offers, offers_of
from pricing.own import PriceFiles, own_price_files
from pricing.saas import SaasPlan, saas_plan, saas_plans
from pricing.tokens import (
    TokenPrice,
    TokenPriceBook,
    embedding_price_usd_per_mtok,
    token_price,
    token_prices_as_of,
)

__all__ = [
    "Assumption",
    "Evidence",
    "GpuOffer",
    "GpuSpec",
    "ManagedOffer",
    "PriceFiles",
    "SaasPlan",
    "TokenPrice",
    "TokenPriceBook",
    "TunedScore",
    "assumption",
    "assumptions",
    "embedding_price_usd_per_mtok",
    "evidence",
    "evidence_topics",
    "gpu_offers",
    "gpu_price",
    "gpu_spec",
    "gpu_specs",
    "load_offers",
    "managed_offer",
    "managed_offers",
    "offers_of",
    "own_price_files",
    "prices_as_of",
    "rag_component",
    "rag_components",
    "saas_plan",
    "saas_plans",
    "stale",
    "staleness",
    "token_price",
    "token_prices_as_of",
    "tuned_scores",
    "wage",
    "wages",
]
