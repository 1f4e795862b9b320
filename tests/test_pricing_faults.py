"""A fault in a table is one line that names file, line, column and value."""

import csv
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InputError
from pricing import defaults, gpus, managed, offers, saas
from pricing.findings import read_evidence
from pricing.table import DATA, Row, read_rows

READERS = {
    "gpu_offers": offers.read_gpu_offers,
    "managed_finetuning": managed.read_managed_offers,
    "saas_plans": saas.read_saas_plans,
    "assumptions": defaults.read_assumptions,
    "wages": defaults.read_wages,
    "rag_components": defaults.read_rag_components,
    "quality_evidence": read_evidence,
    "gpus": lambda path: gpus.read_gpu_specs(path, DATA / "gpu_purchase.csv"),
}


def broken(tmp_path: Path, table: str, line: int, **cells: str) -> Path:
    """A copy of a table with some cells of one line changed."""
    path = tmp_path / f"{table}.csv"
    with (DATA / path.name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[line - 2].update(cells)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    ("table", "line", "cells", "message"),
    [
        ("gpu_offers", 3, {"price_usd_per_gpu_hour": ""}, "price_usd_per_gpu_hour = '' is missing"),
        ("gpu_offers", 3, {"price_usd_per_gpu_hour": "$2"}, "= '$2' is not a number"),
        ("gpu_offers", 3, {"price_usd_per_gpu_hour": "nan"}, "= 'nan' is not a finite number"),
        ("gpu_offers", 3, {"price_usd_per_gpu_hour": "-1"}, "= '-1' is not a finite number of at"),
        ("gpu_offers", 3, {"gpus_per_node": "1.5"}, "= '1.5' is not a whole number"),
        ("gpu_offers", 3, {"gpu": "h1000"}, "gpu = 'h1000' is not one of"),
        ("gpu_offers", 3, {"tier": "cheap"}, "tier = 'cheap' is not one of on_demand, spot"),
        ("gpu_offers", 3, {"low_usd_per_gpu_hour": "99"}, "= '99' is above the price"),
        ("gpu_offers", 3, {"high_usd_per_gpu_hour": "0.01"}, "= '0.01' is below the price"),
        ("gpu_offers", 3, {"source": " "}, "source = ' ' is missing"),
        ("gpu_offers", 3, {"as_of": "2026"}, "as_of = '2026' is not a date"),
        ("gpu_offers", 3, {"as_of": "2026-13"}, "as_of = '2026-13' is not a date"),
        ("gpu_offers", 3, {"as_of": "20260901"}, "as_of = '20260901' is not a date"),
        ("gpu_offers", 3, {"evidence": "user"}, "evidence = 'user' is not one of measured"),
        ("gpu_offers", 3, {"id": "aws-p4d.24xlarge-on-demand"}, "is already on line 2"),
        ("managed_finetuning", 2, {"open_to_new_buyers": "yes"}, "= 'yes' is not one of true"),
        ("managed_finetuning", 2, {"ends_on": "soon"}, "ends_on = 'soon' is not an ISO date"),
        ("managed_finetuning", 2, {"hosting_low_usd_per_hour": "1"}, "although hosting is none"),
        ("managed_finetuning", 7, {"hosting_low_usd_per_hour": ""}, "_hour = '' is missing"),
        ("saas_plans", 2, {"max_usd": "0.1"}, "max_usd = '0.1' is below mode_usd 1.25"),
        ("saas_plans", 2, {"mode_usd": ""}, "mode_usd = '' is missing"),
        ("saas_plans", 2, {"billing_unit": "hug"}, "billing_unit = 'hug' is not one of resolution"),
        ("assumptions", 2, {"min": "2"}, "mode = '1.43' is below min 2"),
        ("assumptions", 2, {"value": "2"}, "value = '2' cannot be used: mixes"),
        ("assumptions", 2, {"mode": ""}, "min = '1.25' cannot be used: mode missing"),
        ("assumptions", 2, {"unit": ""}, "unit = '' is missing"),
        ("assumptions", 2, {"meaning": ""}, "meaning = '' is missing"),
        ("wages", 2, {"max": "1"}, "published_median = '133080' is outside the range"),
        ("rag_components", 3, {"high": "1"}, "high = '1' is below low 500"),
        ("quality_evidence", 2, {"low": "1", "high": "0.5"}, "high = '0.5' is below low 1"),
        ("gpus", 3, {"memory_gib": ""}, "memory_gib = '' is missing"),
    ],
)
def test_a_fault_names_file_line_column_and_value(tmp_path, table, line, cells, message):
    with pytest.raises(InputError) as error:
        READERS[table](broken(tmp_path, table, line, **cells))
    text = str(error.value)
    assert message in text
    assert text.startswith(f"{table}.csv:{line}: ")
    assert "\n" not in text


def test_an_alias_of_two_gpus_is_told(tmp_path):
    path = broken(tmp_path, "gpus", 3, aliases="h100")
    with pytest.raises(InputError, match=r"gpus.csv:8: aliases = .* holds 'h100', which gb200"):
        gpus.read_gpu_specs(path, DATA / "gpu_purchase.csv")


def test_a_purchase_price_of_an_unknown_gpu_is_told(tmp_path):
    path = broken(tmp_path, "gpu_purchase", 2, gpu="t5")
    with pytest.raises(InputError, match=r"gpu_purchase.csv:2: gpu = 't5' is not in gpus.csv"):
        gpus.read_gpu_specs(DATA / "gpus.csv", path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,colour,source,as_of,evidence,note\n", "t.csv:1: unknown column 'colour'"),
        ("id,source,as_of,evidence\n", "t.csv:1: column 'note' is missing"),
        ("id,id,source,as_of,evidence,note\n", "t.csv:1: column 'id' is repeated"),
        ("id,source,as_of,evidence,note\na,b,2026-01\n", "t.csv:2: 3 cells for 5 columns"),
        ("", "t.csv:1: column 'id' is missing"),
    ],
)
def test_a_table_of_the_wrong_shape_is_refused(tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_rows(path, ["id"])
    assert str(error.value).startswith(message)


def test_a_missing_table_is_told(tmp_path):
    with pytest.raises(InputError, match=r"none.csv: no such table"):
        read_rows(tmp_path / "none.csv", ["id"])


def test_the_tables_themselves_pass(tmp_path):
    for table, read in READERS.items():
        assert read(Path(shutil.copy(DATA / f"{table}.csv", tmp_path)))


CELLS = {"source": "somebody", "as_of": "2026-01", "evidence": "guess", "note": ""}


def row(**cells: str) -> Row:
    return Row(path=Path("t.csv"), line=2, cells={**CELLS, **cells})


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3))
def test_a_range_is_kept_when_ascending_and_refused_otherwise(numbers):
    low, mode, high = numbers
    cells = row(min=repr(low), mode=repr(mode), max=repr(high))
    columns = {name: name for name in ("min", "mode", "max")}
    if low <= mode <= high:
        kept = cells.quantity(columns, "USD").numbers
        assert kept == ((low,) if low == mode == high else (low, mode, high))
    else:
        with pytest.raises(InputError, match="is below"):
            cells.quantity(columns, "USD")


@given(st.text(st.characters(codec="ascii", exclude_characters=',\n\r"'), max_size=12))
def test_any_text_is_a_number_or_an_error_that_quotes_it(text):
    try:
        number = row(x=text).number("x")
    except InputError as error:
        assert f"t.csv:2: x = {text!r}" in str(error)
    else:
        assert number == float(text)
