"""Own calibration files: kept whole, matched by device, refused with the reason."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.calibration_file import (
    SCHEMA_VERSION,
    CalibrationFile,
    Device,
    calibration_for,
    calibration_to_use,
    check_device,
    device_of,
    load_calibration_file,
    own_calibrations,
    save_calibration_file,
    this_machine,
    unreadable_calibrations,
)
from pricing import gpu_spec
from pricing.gpus import GpuSpec, gpu_specs

H100 = gpu_spec("h100")
A100 = gpu_spec("a100-sxm4-80gb")
LAPTOP = replace(
    H100, id="ryzen-7-laptop", aliases=(), vendor="AMD", generation="CPU", purchase_price_usd=None
)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def device(gpu: GpuSpec, *, measured: bool = False) -> Device:
    return Device(
        backend="cpu" if measured else "cuda",
        name=f"Driver's name of {gpu.id}",
        gpu_id=None if measured else gpu.id,
        count=1,
        memory_bytes=round(gpu.memory_gib * 2**30),
        driver="575.1",
        spec=gpu if measured else None,
    )


def file_of(gpu: GpuSpec = H100, *, measured: bool = False, **changes: Any) -> CalibrationFile:
    fields: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "tuneroi_version": "0.1.0",
        "created": NOON,
        "kind": "benchmark",
        "device": device(gpu, measured=measured),
        "software": {"torch": "2.13.0"},
        "calibration": shipped_calibration(),
        "evidence": {"step_seconds": [0.5, 0.51], "note": None},
    }
    return CalibrationFile(**(fields | changes))


@pytest.mark.parametrize("measured", [False, True])
def test_what_is_saved_is_what_is_loaded(tmp_path: Path, measured: bool) -> None:
    file = file_of(LAPTOP if measured else H100, measured=measured)
    path = save_calibration_file(file, tmp_path)
    loaded = load_calibration_file(path)
    assert loaded == file
    assert loaded.device.gpu == (LAPTOP if measured else H100)
    assert path.name.startswith("20261120T120000Z-driver-s-name-of-")
    assert path.name.endswith("-benchmark.json")


@pytest.mark.parametrize("gpu", sorted(gpu_specs()))
def test_every_data_sheet_survives_the_file(gpu: str) -> None:
    file = file_of(gpu_spec(gpu), measured=True)
    assert CalibrationFile.model_validate_json(file.model_dump_json()).device.spec == gpu_spec(gpu)


def test_no_file_is_written_over_another(tmp_path: Path) -> None:
    paths = {save_calibration_file(file_of(), tmp_path) for _ in range(4)}
    assert len(paths) == 4
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths}


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    earlier = save_calibration_file(file_of(), tmp_path)
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(InputError, match="No space left"):
        save_calibration_file(file_of(), tmp_path)
    assert list(tmp_path.iterdir()) == [earlier]
    assert load_calibration_file(earlier) == file_of()


def test_the_newest_of_a_kind_is_used(tmp_path: Path) -> None:
    for days, gpu in enumerate([A100, H100, H100, A100]):
        created = NOON + timedelta(days=days)
        save_calibration_file(file_of(gpu, created=created), tmp_path)
    found = calibration_for(H100, tmp_path)
    assert found is not None
    assert found[1].created == NOON + timedelta(days=2)
    assert [file.created for _, file in own_calibrations(tmp_path)] == [
        NOON + timedelta(days=days) for days in (3, 2, 1, 0)
    ]
    assert calibration_for(gpu_spec("t4"), tmp_path) is None


def test_a_device_that_no_catalogue_knows_is_this_machine(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this-machine has not been measured yet"):
        this_machine(tmp_path)
    save_calibration_file(file_of(LAPTOP, measured=True), tmp_path)
    named = file_of(A100, created=NOON + timedelta(days=1), kind="logs")
    save_calibration_file(named, tmp_path)
    assert this_machine(tmp_path) == LAPTOP
    assert calibration_for(LAPTOP, tmp_path) is not None
    assert device_of(LAPTOP, 2, tmp_path) == device(LAPTOP, measured=True).model_copy(
        update={"count": 2}
    )


def test_another_device_is_refused(tmp_path: Path) -> None:
    path = save_calibration_file(file_of(), tmp_path)
    check_device(load_calibration_file(path), H100, path)
    for asked in (A100, LAPTOP):
        with pytest.raises(InputError, match=f"measured on .*h100-sxm5-80gb.*for is {asked.id}"):
            calibration_to_use(asked, str(path), tmp_path)


def test_which_calibration_is_used(tmp_path: Path) -> None:
    path = save_calibration_file(file_of(), tmp_path)
    assert calibration_to_use(H100, folder=tmp_path).path == path
    assert calibration_to_use(H100, str(path), tmp_path / "empty").path == path
    for used in (
        calibration_to_use(H100, "shipped", tmp_path),
        calibration_to_use(A100, "", tmp_path),
    ):
        assert used.own is None
        assert used.calibration == shipped_calibration()


def test_a_folder_that_cannot_be_made_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "file" / "below"))
    assert own_calibrations() == []
    assert calibration_to_use(H100).own is None
    with pytest.raises(InputError, match="cannot make this folder"):
        save_calibration_file(file_of())


def spoiled(change: Any) -> str:
    data = json.loads(file_of().model_dump_json())
    change(data)
    return json.dumps(data)


def set_at(*path: str, value: Any) -> Any:
    def change(data: dict[str, Any]) -> None:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value

    return change


def drop(*path: str) -> Any:
    def change(data: dict[str, Any]) -> None:
        for part in path[:-1]:
            data = data[part]
        del data[path[-1]]

    return change


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[1]", "is not a calibration file"),
        ('{"fits": true}', "is not a calibration file"),
        (spoiled(set_at("schema_version", value=2)), "schema_version is 2, made by tuneroi 0.1.0"),
        (spoiled(set_at("device", "count", value=0)), r"device\.count: .* \(got 0\)"),
        (
            spoiled(set_at("device", "gpu_id", value=None)),
            "device: needs gpu_id or a measured spec",
        ),
        (spoiled(set_at("wrong", value=1)), "wrong: Extra inputs"),
        (spoiled(set_at("created", value="2026-11-20T12:00:00")), "created: .*timezone"),
        (spoiled(drop("calibration", "parameters", "few_tokens")), "parameters differ .few_tokens"),
        (
            spoiled(drop("calibration", "parameters", "stack_factor", "entries", "torchtune")),
            r"parameters differ \(stack_factor\.torchtune",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=reason) as raised:
        load_calibration_file(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)
    good = save_calibration_file(file_of(), tmp_path)
    assert [found for found, _ in own_calibrations(tmp_path)] == [good]
    assert unreadable_calibrations(tmp_path) == [str(raised.value)]


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InputError, match="give a calibration file"):
            load_calibration_file(path)


@given(st.datetimes(timezones=st.timezones()))
def test_times_are_kept_in_utc(created: datetime) -> None:
    try:
        expected = created.astimezone(UTC)
    except OverflowError:
        return
    assert file_of(created=created).created == expected
    assert file_of(created=created).created.tzinfo is UTC
