"""The ways of getting there: each turns a scenario and draws into line items per month."""

from collections.abc import Callable

from estimator.alternatives import (
    finetune_rag,
    managed_finetune,
    pretrain,
    prompting,
    rag,
    saas,
    self_hosted_finetune,
    status_quo,
)
from estimator.alternatives.account import Account
from estimator.alternatives.world import World
from estimator.scenario import AlternativeId

BUILDERS: dict[AlternativeId, Callable[[World], Account]] = {
    "status_quo": status_quo.account,
    "prompting": prompting.account,
    "rag": rag.account,
    "managed_finetune": managed_finetune.account,
    "self_hosted_finetune": self_hosted_finetune.account,
    "finetune_rag": finetune_rag.account,
    "saas": saas.account,
    "pretrain": pretrain.account,
}


def build_alternative(name: AlternativeId, world: World) -> Account:
    """The account of one alternative in this world."""
    return BUILDERS[name](world)
