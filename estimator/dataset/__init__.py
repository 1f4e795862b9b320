"""The user's dataset: how many examples and tokens it holds and how they fill sequences.

- profile_dataset: by reading a file or a folder
- typed_profile: from a few typed-in numbers

Each name is imported when it is first used: most estimates read no file.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from estimator.dataset.estimate import ChatTemplate, chat_template
    from estimator.dataset.measure import profile_dataset
    from estimator.dataset.profile import DatasetProfile, MalformedRow, Split, SplitSizes
    from estimator.dataset.sequences import LengthDistribution, SequenceFit
    from estimator.dataset.typed import typed_profile

_HOMES = {
    "ChatTemplate": "estimate",
    "DatasetProfile": "profile",
    "LengthDistribution": "sequences",
    "MalformedRow": "profile",
    "SequenceFit": "sequences",
    "Split": "profile",
    "SplitSizes": "profile",
    "chat_template": "estimate",
    "profile_dataset": "measure",
    "typed_profile": "typed",
}

__all__ = [
    "ChatTemplate",
    "DatasetProfile",
    "LengthDistribution",
    "MalformedRow",
    "SequenceFit",
    "Split",
    "SplitSizes",
    "chat_template",
    "profile_dataset",
    "typed_profile",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'estimator.dataset' has no attribute {name!r}")
    return getattr(import_module(f"estimator.dataset.{_HOMES[name]}"), name)
