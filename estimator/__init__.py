"""Should we fine-tune this model, or do something else? The modelling core of tuneroi.

The names below are the public interface; each is imported when it is first used, so that
`import estimator` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimator.dataset import DatasetProfile, profile_dataset, typed_profile
    from estimator.decision.simulate import Comparison, compare
    from estimator.errors import EstimatorError
    from estimator.llm.architecture import Architecture
    from estimator.llm.parameters import count_parameters
    from estimator.llm.resolve import resolve_model
    from estimator.quantity import Quantity
    from estimator.report.comparison import as_dict
    from estimator.scenario import Scenario
    from estimator.scenario.edit import with_inputs
    from estimator.scenario.files import load_scenario, parse_scenario, save_scenario
    from estimator.scenario.templates import template

__version__ = "0.1.0"

_HOMES = {
    "Architecture": "estimator.llm.architecture",
    "Comparison": "estimator.decision.simulate",
    "DatasetProfile": "estimator.dataset",
    "EstimatorError": "estimator.errors",
    "Quantity": "estimator.quantity",
    "Scenario": "estimator.scenario",
    "as_dict": "estimator.report.comparison",
    "compare": "estimator.decision.simulate",
    "count_parameters": "estimator.llm.parameters",
    "load_scenario": "estimator.scenario.files",
    "parse_scenario": "estimator.scenario.files",
    "profile_dataset": "estimator.dataset",
    "resolve_model": "estimator.llm.resolve",
    "save_scenario": "estimator.scenario.files",
    "template": "estimator.scenario.templates",
    "typed_profile": "estimator.dataset",
    "with_inputs": "estimator.scenario.edit",
}

__all__ = [
    "Architecture",
    "Comparison",
    "DatasetProfile",
    "EstimatorError",
    "Quantity",
    "Scenario",
    "__version__",
    "as_dict",
    "compare",
    "count_parameters",
    "load_scenario",
    "parse_scenario",
    "profile_dataset",
    "resolve_model",
    "save_scenario",
    "template",
    "typed_profile",
    "with_inputs",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'estimator' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
