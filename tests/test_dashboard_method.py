"""The page "Method": its formulas name code that is there, its errors are those of the command."""

import importlib

import pytest

pytest.importorskip("streamlit")
from test_dashboard_app import opened

from estimator.dashboard.method import DECISION, LIMITS, TRAINING
from estimator.report.validation import score_cells
from estimator.validation.fitting import MEMORY_FILE
from estimator.validation.memory import validate_memory

METHOD = "estimator/dashboard/pages/method.py"


@pytest.mark.parametrize("code", [entry.code for entry in (*DECISION, *TRAINING)])
def test_every_formula_names_a_function_that_exists_and_says_what_it_returns(code: str) -> None:
    module, _, name = code.rpartition(".")
    function = getattr(importlib.import_module(module), name)
    assert callable(function) and function.__doc__


def test_words_are_whole_sentences() -> None:
    assert all(entry.words.endswith(".") for entry in (*DECISION, *TRAINING))
    assert all(limit.endswith(".") for limit in LIMITS)


def test_the_tables_are_those_of_the_validation() -> None:
    app = opened()
    app.switch_page(METHOD).run()
    assert not app.exception and not app.error
    shown = " ".join(str(element.proto.body) for element in app.get("html")).replace("\u00a0", " ")
    found = validate_memory(MEMORY_FILE)
    for name, score in found.by_method.items():
        assert all(f">{cell}<" in shown for cell in score_cells(name, score))
    for entry in (*DECISION, *TRAINING):
        assert entry.code in shown
    app.segmented_control(key="method.memory").set_value("source").run()
    assert not app.exception
    after = " ".join(str(element.proto.body) for element in app.get("html"))
    assert all(name in after for name in found.by_source)
    assert "Many requests at once" in after
