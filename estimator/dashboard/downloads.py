"""The answer as files to take away; each is made when its button is pressed."""

import re
from collections.abc import Callable, Mapping
from functools import partial

import streamlit as st

from estimator.dashboard.results import DRAWS, SEED, calibration_of, comparison
from estimator.dashboard.session import Shown
from estimator.report.document import document
from estimator.report.html import html
from estimator.report.markdown import markdown
from estimator.report.workbook.book import workbook
from estimator.scenario import Scenario


def file_stem(scenario: Scenario) -> str:
    """The scenario's name as the first part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", scenario.name.lower()).strip("-") or "scenario"


def report_html(yaml: str) -> bytes:
    """The report as one file that a browser opens and prints."""
    return html(document(comparison(yaml, DRAWS, SEED))).encode()


def report_markdown(yaml: str) -> bytes:
    """The report as Markdown."""
    return markdown(document(comparison(yaml, DRAWS, SEED))).encode()


def report_workbook(yaml: str) -> bytes:
    """The base case as a workbook with live formulas, under the verdict."""
    found = comparison(yaml, DRAWS, SEED)
    calibration = calibration_of(found.scenario)
    return workbook(found.scenario, calibration=calibration, comparison=found)


def report_csv(yaml: str) -> bytes:
    """Every line item of every alternative, mean and range."""
    table: str = comparison(yaml, DRAWS, SEED).line_items().to_csv(index=False)
    return table.encode()


FILES: Mapping[str, tuple[str, Callable[[str], bytes], str]] = {
    "Report (HTML)": ("html", report_html, "text/html"),
    "Report (Markdown)": ("md", report_markdown, "text/markdown"),
    "Workbook (Excel)": (
        "xlsx",
        report_workbook,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "Line items (CSV)": ("csv", report_csv, "text/csv"),
}


def downloads(shown: Shown) -> None:
    """A button for each kind of file."""
    stem = file_stem(shown.scenario)
    with st.container(horizontal=True, key="downloads"):
        for label, (ending, made, mime) in FILES.items():
            st.download_button(
                label,
                data=partial(made, shown.yaml),
                file_name=f"{stem}.{ending}",
                mime=mime,
                key=f"download.{ending}",
                on_click="ignore",
                icon=":material/download:",
            )
