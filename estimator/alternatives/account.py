"""The account of one alternative: its line items, its project and when it goes live."""

from dataclasses import dataclass

from estimator.alternatives.items import LineItem
from estimator.project.plan import ProjectDraws
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId

LABELS: dict[AlternativeId, str] = {
    "status_quo": "Do nothing",
    "prompting": "Prompt an API model",
    "rag": "RAG on an API model",
    "managed_finetune": "Managed fine-tuning",
    "self_hosted_finetune": "Fine-tune and host yourself",
    "finetune_rag": "Fine-tune, host and add RAG",
    "saas": "Buy a SaaS assistant",
    "pretrain": "Train from scratch",
    "staged": "Pilot first, then decide",
}

PHRASES: dict[AlternativeId, str] = {
    "status_quo": "doing nothing",
    "prompting": "prompting an API model",
    "rag": "RAG on an API model",
    "managed_finetune": "managed fine-tuning",
    "self_hosted_finetune": "fine-tuning and hosting it yourself",
    "finetune_rag": "fine-tuning and hosting it yourself, with RAG",
    "saas": "buying a SaaS assistant",
    "pretrain": "training from scratch",
    "staged": "a pilot first",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Account:
    """Everything an alternative costs and brings, per draw and month."""

    id: AlternativeId
    items: tuple[LineItem, ...]
    go_live_months: FloatArray
    """Months from now until it serves, shape (n,); 0 for doing nothing, nan where a pilot is
    followed by nothing."""
    project: ProjectDraws | None
    """The project behind it (of a pilot: the pilot alone); None for doing nothing."""
    notes: tuple[str, ...] = ()
    """What a reader must know: assumptions made, services that end, physics that bind."""

    @property
    def label(self) -> str:
        """The alternative in plain words."""
        return LABELS[self.id]

    @property
    def phrase(self) -> str:
        """The alternative as it reads inside a sentence."""
        return PHRASES[self.id]
