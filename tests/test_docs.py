"""The pages with figures say what the code gives today."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from estimator.validation.fitting import THROUGHPUT_FILE
from estimator.validation.throughput import validate_throughput

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def accuracy() -> ModuleType:
    path = ROOT / "benchmarks" / "accuracy_page.py"
    spec = importlib.util.spec_from_file_location("accuracy_page", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_accuracy_page_is_what_its_script_writes(accuracy: ModuleType) -> None:
    assert (ROOT / "docs" / "accuracy.md").read_text("utf-8") == accuracy.page(), (
        "run python benchmarks/accuracy_page.py"
    )


def test_left_out_figures_belong_to_the_shipped_calibration(accuracy: ModuleType) -> None:
    with accuracy.LEFT_OUT.open(encoding="utf-8", newline="") as file:
        kept = {row["row_id"]: float(row["in_sample"]) for row in csv.DictReader(file)}
    now = {p.row_id: p.p50 for p in validate_throughput(THROUGHPUT_FILE).scores.predictions}
    assert kept.keys() == now.keys()
    ratio = np.array([now[row] / kept[row] for row in kept])
    assert np.abs(ratio - 1).max() < 1e-3, "run python benchmarks/left_out.py"
