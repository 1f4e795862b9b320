"""The closed form against recorded peaks of the real classes, as PyTorch traced them.

`test_training_trace.py` traces a few anew; these take no PyTorch and no time. Three layers, so that
one operation more or less shows; what the form misses by more than its usual error says so.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from estimator.llm.architecture import Architecture
from estimator.training.trace import TraceCase, closed_form_peak, trace_peak

DATA = Path(__file__).parent / "data"
CONFIGS = json.loads((DATA / "traced_configs.json").read_text("utf-8"))
RECORDED = json.loads((DATA / "traced_peaks.json").read_text("utf-8"))
ROWS = RECORDED["rows"]


def small(name: str) -> dict[str, Any]:
    config = CONFIGS[name]
    changes = {key: value for key, value in RECORDED["changes"].items() if key in config}
    return {**config, **changes, "pad_token_id": 0}


@pytest.mark.parametrize("name", list(dict.fromkeys(row["config"] for row in ROWS)))
def test_the_form_meets_the_recorded_peaks(name: str) -> None:
    model = Architecture.from_hf_config(small(name), name)
    for row in ROWS:
        if row["config"] == name:
            form = closed_form_peak(model, TraceCase(**row["case"]))
            assert form == pytest.approx(row["peak_bytes"], rel=row["within"]), row["case"]


def test_the_record_is_what_the_installed_classes_do() -> None:
    for module in ("torch", "transformers", "peft"):
        pytest.importorskip(module)
    row = next(row for row in ROWS if row["config"] == "smollm2-135m")
    assert trace_peak(small(row["config"]), TraceCase(**row["case"])).peak_bytes == pytest.approx(
        row["peak_bytes"], rel=0.01
    )
