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
    staged,
    status_quo,
)
from estimator.alternatives.account import Account
from estimator.alternatives.policy import PilotPolicy
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
    """The account of one alternative in this world; `staged` builds on those of the others."""
    built = world.accounts.get(name)
    if built is None:
        staging = name == "staged"
        built = staged.account(world, build_alternative) if staging else BUILDERS[name](world)
        world.accounts[name] = built
    return built


def plan_pilot(world: World) -> PilotPolicy:
    """What `staged` would try and take, planned on the draws of this world."""
    return staged.pilot_policy(world, build_alternative)
