"""Should we fine-tune this model, or do something else? The modelling core of tuneroi.

The names below are the public interface; each is imported when it is first used, so that
`import estimator` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimator.dataset import DatasetProfile, profile_dataset, typed_profile
    from estimator.decision.buy_or_rent import buy_or_rent
    from estimator.decision.cost_only import cost_only
    from estimator.decision.currency import shown_in
    from estimator.decision.indices import total_indices
    from estimator.decision.measures import measures
    from estimator.decision.one_at_a_time import tornado_at_medians
    from estimator.decision.simulate import Comparison, compare
    from estimator.decision.thresholds import find_break_even
    from estimator.decision.worth import value_of_information
    from estimator.errors import EstimatorError
    from estimator.llm.architecture import Architecture
    from estimator.llm.parameters import count_parameters
    from estimator.llm.resolve import resolve_model
    from estimator.quantity import Quantity
    from estimator.report.claims import claims
    from estimator.report.comparison import as_dict
    from estimator.report.drawn import figures
    from estimator.scenario import Scenario
    from estimator.scenario.differences import differences
    from estimator.scenario.edit import with_inputs
    from estimator.scenario.files import load_scenario, parse_scenario, save_scenario
    from estimator.scenario.templates import template
    from estimator.serving.need import ServingNeed
    from estimator.serving.plan import plan_serving
    from estimator.training.planning.plan import PlanWish, plan

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "estimator.llm.architecture",
    "Comparison": "estimator.decision.simulate",
    "DatasetProfile": "estimator.dataset",
    "EstimatorError": "estimator.errors",
    "PlanWish": "estimator.training.planning.plan",
    "Quantity": "estimator.quantity",
    "Scenario": "estimator.scenario",
    "ServingNeed": "estimator.serving.need",
    "as_dict": "estimator.report.comparison",
    "buy_or_rent": "estimator.decision.buy_or_rent",
    "claims": "estimator.report.claims",
    "compare": "estimator.decision.simulate",
    "cost_only": "estimator.decision.cost_only",
    "count_parameters": "estimator.llm.parameters",
    "differences": "estimator.scenario.differences",
    "figures": "estimator.report.drawn",
    "find_break_even": "estimator.decision.thresholds",
    "load_scenario": "estimator.scenario.files",
    "measures": "estimator.decision.measures",
    "parse_scenario": "estimator.scenario.files",
    "plan": "estimator.training.planning.plan",
    "plan_serving": "estimator.serving.plan",
    "profile_dataset": "estimator.dataset",
    "resolve_model": "estimator.llm.resolve",
    "save_scenario": "estimator.scenario.files",
    "shown_in": "estimator.decision.currency",
    "template": "estimator.scenario.templates",
    "tornado_at_medians": "estimator.decision.one_at_a_time",
    "total_indices": "estimator.decision.indices",
    "typed_profile": "estimator.dataset",
    "value_of_information": "estimator.decision.worth",
    "with_inputs": "estimator.scenario.edit",
}

__all__ = [
    "Architecture",
    "Comparison",
    "DatasetProfile",
    "EstimatorError",
    "PlanWish",
    "Quantity",
    "Scenario",
    "ServingNeed",
    "__version__",
    "as_dict",
    "buy_or_rent",
    "claims",
    "compare",
    "cost_only",
    "count_parameters",
    "differences",
    "figures",
    "find_break_even",
    "load_scenario",
    "measures",
    "parse_scenario",
    "plan",
    "plan_serving",
    "profile_dataset",
    "resolve_model",
    "save_scenario",
    "shown_in",
    "template",
    "tornado_at_medians",
    "total_indices",
    "typed_profile",
    "value_of_information",
    "with_inputs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'estimator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
