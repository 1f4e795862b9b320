"""What the page "Dataset" shows: profiles of uploads, read once and kept within bounds."""

from dataclasses import dataclass

import streamlit as st

from estimator.dashboard.results import _keep
from estimator.dashboard.uploads import uploaded_file
from estimator.dataset import DatasetProfile, profile_dataset, typed_profile
from estimator.errors import InputError
from estimator.report.charts import Chart
from estimator.report.dataset import malformed_lines, size_facts
from estimator.report.dataset_charts import length_chart, packing_chart

MAX_UPLOAD_MB = 200
KEPT_DATA = "_dataset"  # in the session: name, id and content of the last upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """A dataset in words, figures and charts."""

    summary: str
    facts: tuple[tuple[str, ...], ...]
    lengths: Chart | None
    packing: Chart | None
    malformed: tuple[str, ...]
    notes: tuple[str, ...]


@_keep(st.cache_data, 8)
def profile(
    content: bytes | None,
    name: str,
    model: str,
    examples: int = 0,
    mean_tokens: float = 0.0,
    p95_tokens: float = 0.0,
) -> Profiled:
    """The profile of an uploaded file, or of typed numbers where there is none."""
    if content is None:
        found = typed_profile(examples=examples, mean_tokens=mean_tokens, p95_tokens=p95_tokens)
    else:
        found = read_upload(content, name, model)
    return Profiled(
        summary=f"{name}: tokens {found.token_source}." if name else "",
        facts=tuple(size_facts(found)),
        lengths=length_chart(found),
        packing=packing_chart(found),
        malformed=tuple(malformed_lines(found)),
        notes=found.notes,
    )


def read_upload(content: bytes, name: str, model: str) -> DatasetProfile:
    """The file, under its own name in a folder of its own, which is gone afterwards."""
    with uploaded_file(name, content) as place:
        try:
            return profile_dataset(place, tokenizer=model or None)
        except InputError as error:
            raise InputError(str(error).replace(str(place), place.name)) from None
