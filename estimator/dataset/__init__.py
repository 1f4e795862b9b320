"""The user's dataset: how many examples and tokens it holds and how they fill sequences.

- profile_dataset: by reading a file or a folder
- typed_profile: from a few typed-in numbers
"""

from estimator.dataset.estimate import ChatTemplate, chat_template
from estimator.dataset.measure import profile_dataset
from estimator.dataset.profile import DatasetProfile, MalformedRow, Split, SplitSizes
from estimator.dataset.sequences import LengthDistribution, SequenceFit
from estimator.dataset.typed import typed_profile

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
