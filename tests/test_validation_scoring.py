"""Scores of predictions against numpy by hand, and files of rows with their faults."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.validation.rows import express, read_rows, without_suspects
from estimator.validation.scoring import (
    Prediction,
    Validation,
    prediction_table,
    score,
    write_table,
)


def prediction(
    predicted: float, measured: float = 100.0, *, source: str = "a", method: str = "lora"
) -> Prediction:
    return Prediction(
        row_id=f"{source}{predicted:g}",
        source=source,
        method=method,
        measured=measured,
        p10=0.8 * predicted,
        p50=predicted,
        p90=1.25 * predicted,
    )


def validation(*predictions: Prediction) -> Validation:
    return Validation(
        rows=len(predictions),
        suspect_left_out=0,
        unexpressed={},
        predictions=predictions,
        unit="GiB",
    )


def test_a_score_by_hand() -> None:
    found = score([prediction(p) for p in (90.0, 104.0, 110.0, 150.0)])
    assert found.rows == 4
    assert found.median_ape == pytest.approx(0.10)  # of 4, 10, 10 and 50 %
    assert found.p90_ape == pytest.approx(0.38)  # 10 + 0.7 of the way to 50 %
    assert found.bias == pytest.approx(0.07)  # between 4 and 10 % too much
    assert found.coverage_80 == 0.75  # 100 lies below 0.8 x 150


def test_no_rows_have_no_score() -> None:
    found = score([])
    assert found.rows == 0
    assert (found.median_ape, found.p90_ape, found.bias, found.coverage_80) == (None,) * 4
    assert validation().median_ape_by_source_mean is None


def test_every_source_weighs_the_same_in_the_mean() -> None:
    many = [prediction(102.0, source="a") for _ in range(9)]
    found = validation(*many, prediction(140.0, source="b", method="full"))
    assert found.total.median_ape == pytest.approx(0.02)
    assert found.median_ape_by_source_mean == pytest.approx((0.02 + 0.40) / 2)
    assert list(found.by_source) == ["a", "b"] and list(found.by_method) == ["full", "lora"]
    assert found.by_source["a"].rows == 9
    assert found.worst(1)[0].source == "b"


@given(st.lists(st.tuples(st.floats(0.1, 10.0), st.floats(0.1, 10.0)), min_size=1, max_size=30))
def test_scores_are_those_of_numpy(pairs: list[tuple[float, float]]) -> None:
    predicted, measured = np.array(pairs).T
    found = score([prediction(p, m) for p, m in pairs])
    errors = np.abs(predicted - measured) / measured
    assert found.median_ape == pytest.approx(np.percentile(errors, 50), abs=1e-12)
    assert found.p90_ape == pytest.approx(np.percentile(errors, 90), abs=1e-12)
    inside = (0.8 * predicted <= measured) & (measured <= 1.25 * predicted)
    assert found.coverage_80 == pytest.approx(inside.sum() / len(pairs))


def test_rows_out_can_be_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_table(path, prediction_table([prediction(110.0), prediction(90.0)]))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["error"]) for row in rows] == pytest.approx([0.1, -0.1])
    assert rows[0]["measured"] == "100.0" and rows[0]["source"] == "a"
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


# --- rows


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_absent_column_reads_as_an_empty_cell(tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path, "\ufeffa,b\n 1 ,x\n"), ["a"])
    assert row["a"] == "1" and row["flag"] == "" and row.number("a") == 1.0
    assert row.id == "rows.csv:2" and row.source == "rows.csv"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "column a is missing; its header is empty"),
        ("b\n1\n", "column a is missing; its header is b"),
        ("a,b\n", "holds no rows"),
        ("a,b\n1\n", "rows.csv:2: the row has not as many cells as the header"),
        ("a\n1,2\n", "rows.csv:2: the row has not as many cells as the header"),
        ('a\n"x\n', "rows.csv:"),
    ],
)
def test_faults_of_a_file_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as fault:
        read_rows(written(tmp_path, text), ["a"])
    assert said in str(fault.value) and "\n" not in str(fault.value)


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "x.csv"
    binary.write_bytes(b"\xff\xfe\x00a")
    for path, said in ((binary, "not UTF-8"), (tmp_path / "no.csv", "No such"), (tmp_path, "Is a")):
        with pytest.raises(InputError, match=said):
            read_rows(path, ["a"])


@pytest.mark.parametrize("text", ["x", "-1", "0", "nan", "inf", "1e999"])
def test_numbers_must_be_positive_and_finite(tmp_path: Path, text: str) -> None:
    (row,) = read_rows(written(tmp_path, f"a\n{text}\n"), ["a"])
    with pytest.raises(InputError, match=r"rows.csv:2: a is '.*'; allowed: a number above 0"):
        row.number("a")


def test_suspects_stay_out_and_are_counted(tmp_path: Path) -> None:
    text = "row_id,flag\na,\nb,suspect: no accounting\nc,reported mfu differs\n"
    rows = read_rows(written(tmp_path, text), [])
    kept, left_out = without_suspects(rows, include_suspect=False)
    assert [row.id for row in kept] == ["a", "c"] and left_out == 1
    assert without_suspects(rows, include_suspect=True) == (rows, 0)


def test_what_cannot_be_expressed_is_listed_by_reason(tmp_path: Path) -> None:
    rows = read_rows(written(tmp_path, "row_id,n\na,1\nb,\nc,\nd,-1\n"), [])
    made, refused = express(rows, lambda row: row.number("n"))
    assert made == [1.0]
    assert refused == {
        "n is not stated": ("b", "c"),
        "n is '-1'; allowed: a number above 0": ("d",),
    }
