"""Calibrations of one's own machines and logs: versioned JSON files in the user's data folder.

A file holds a `Calibration` and what it was measured on and with. It serves GPUs of the same kind
only, and only the version of the model whose parameters it holds.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import count
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)

from estimator.errors import EstimatorError, InputError
from estimator.files import read_bytes, user_data_folder, write_new_file
from estimator.hardware.calibration import Calibration, shipped_calibration
from pricing.gpus import GpuSpec, gpu_spec, gpu_specs

SCHEMA_VERSION = 1
MOST_BYTES = 50_000_000
FOLDER = "calibrations"
SHIPPED = "shipped"
"""Instead of a file: the calibration that comes with the package."""
THIS_MACHINE = "this-machine"
"""Name under which a device that the catalogue lacks is asked for."""
Backend = Literal["cuda", "rocm", "mps", "xpu", "cpu"]
BACKENDS: dict[str, Backend] = {"nvidia": "cuda", "amd": "rocm", "intel": "xpu"}
"""PyTorch's backend by the maker of a GPU of the catalogue."""
Kind = Literal["benchmark", "logs", "rows"]
UtcTime = Annotated[AwareDatetime, AfterValidator(lambda time: time.astimezone(UTC))]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        defer_build=True,  # most estimates read no file
    )


class Device(_Strict):
    """The machine behind a calibration."""

    backend: Backend
    name: str
    """As the driver or the operating system reports it."""
    gpu_id: str | None
    """The GPU of the catalogue that this is; None where the catalogue lacks it."""
    count: Annotated[int, Field(ge=1)]
    """Devices that were measured together."""
    memory_bytes: Annotated[int, Field(gt=0)]
    """Memory of one of them."""
    driver: str | None
    spec: GpuSpec | None
    """Measured data sheet of a device that the catalogue lacks."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.gpu_id is None and self.spec is None:
            raise ValueError("needs gpu_id or a measured spec")
        return self

    @property
    def gpu(self) -> GpuSpec:
        """The data sheet that estimates on this device start from: measured, else as sold."""
        return self.spec or gpu_spec(str(self.gpu_id))

    def matches(self, gpu: GpuSpec) -> bool:
        """Whether a GPU is of this kind."""
        return gpu.id in {self.gpu_id, self.spec.id if self.spec else None}


class CalibrationFile(_Strict):
    """A calibration with the device, the software and the raw figures behind it."""

    schema_version: Literal[1]
    tuneroi_version: str
    created: UtcTime
    kind: Kind
    """`benchmark` of a machine, `logs` of past runs, or typed `rows`."""
    device: Device
    software: dict[str, str]
    """Versions by name."""
    calibration: Calibration
    evidence: dict[str, JsonValue]
    """Raw timings, the fit's inputs and intervals; free in form."""


def device_of(gpu: GpuSpec, count: int, folder: Path | None = None) -> Device:
    """A device that was named, not probed: as the catalogue or an own benchmark knows it."""
    if gpu.id not in gpu_specs() and (found := calibration_for(gpu, folder)):
        return found[1].device.model_copy(update={"count": count})
    return Device(
        backend=BACKENDS[gpu.vendor.casefold()],
        name=gpu.id,
        gpu_id=gpu.id,
        count=count,
        memory_bytes=round(gpu.memory_gib * 2**30),
        driver=None,
        spec=None,
    )


def save_calibration_file(file: CalibrationFile, folder: Path | None = None) -> Path:
    """Where a calibration was written: `<created>-<device>-<kind>.json`, under a name of its own.

    Whole or not at all, and never over another file. The folder is the user's own by default.
    """
    place = folder or _own_folder()
    _make(place)
    stem = f"{file.created:%Y%m%dT%H%M%SZ}-{_slug(file.device.name)}-{file.kind}"
    text = file.model_dump_json(indent=1) + "\n"
    for number in count(1):
        path = place / f"{stem}{f'-{number}' if number > 1 else ''}.json"
        if write_new_file(path, text):
            break
    return path


def load_calibration_file(path: Path) -> CalibrationFile:
    """The calibration in a file; refused in one line where it cannot be used, with the reason."""
    data = read_calibration_data(path)
    version = data["schema_version"]
    if version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {version}, made by tuneroi {data.get('tuneroi_version')}; "
            f"this version reads up to {SCHEMA_VERSION}: upgrade tuneroi"
        )
    try:
        file = CalibrationFile.model_validate_json(json.dumps(data))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "top level"
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(f"{path}: {place}: {message} (got {fault['input']!r:.80})") from None
    _check_parameters(file, path)
    return file


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedCalibration:
    """The calibration of an estimate, and where it comes from."""

    calibration: Calibration
    path: Path | None = None
    """None: the shipped one."""
    file: CalibrationFile | None = None
    left_out: tuple[str, ...] = ()
    """Why own files cannot be used, one line each; only where the newest was looked for."""

    @property
    def own(self) -> Calibration | None:
        """The user's own calibration, where that is what is used."""
        return self.calibration if self.file else None


def calibration_to_use(
    gpu: GpuSpec, named: str = "", folder: Path | None = None
) -> UsedCalibration:
    """The calibration for a GPU: the file that is named, else the newest own one, else the shipped.

    `named` may be "shipped" too.
    """
    if named and named != SHIPPED:
        path = Path(named)
        file = load_calibration_file(path)
        check_device(file, gpu, path)
        return UsedCalibration(calibration=file.calibration, path=path, file=file)
    if named:
        return UsedCalibration(calibration=shipped_calibration())
    scanned = list(_scanned(folder))
    left_out = tuple(item for item in scanned if isinstance(item, str))
    for path, file in _newest_first(scanned):
        if file.device.matches(gpu):
            used = file.calibration
            return UsedCalibration(calibration=used, path=path, file=file, left_out=left_out)
    return UsedCalibration(calibration=shipped_calibration(), left_out=left_out)


def own_calibrations(folder: Path | None = None) -> list[tuple[Path, CalibrationFile]]:
    """The usable files of a folder, newest first; `unreadable_calibrations` names the others."""
    return _newest_first(_scanned(folder))


def unreadable_calibrations(folder: Path | None = None) -> list[str]:
    """One line on each file of a folder that cannot be used."""
    return [item for item in _scanned(folder) if isinstance(item, str)]


def calibration_for(
    gpu: GpuSpec, folder: Path | None = None
) -> tuple[Path, CalibrationFile] | None:
    """The newest own calibration of a GPU's kind; None without one."""
    return next((own for own in own_calibrations(folder) if own[1].device.matches(gpu)), None)


def this_machine(folder: Path | None = None) -> GpuSpec:
    """The device of the newest benchmark, which need not be in the catalogue."""
    for _, file in own_calibrations(folder):
        if file.kind == "benchmark" or file.device.spec is not None:
            return file.device.gpu
    raise InputError(
        f"{THIS_MACHINE} has not been measured yet; run tuneroi benchmark on it, "
        "or name a GPU of tuneroi prices --gpus"
    )


def check_device(file: CalibrationFile, gpu: GpuSpec, path: Path) -> None:
    """Refuse a calibration that was measured on another kind of device."""
    device = file.device
    if device.matches(gpu):
        return
    measured = device.gpu_id or f"{THIS_MACHINE} ({device.gpu.id})"
    raise InputError(
        f"{path}: was measured on {device.name} ({measured}), asked for is {gpu.id}; "
        "name that GPU, or leave this calibration out"
    )


def _own_folder() -> Path:
    return user_data_folder() / FOLDER


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder: {error.strerror or error}") from None


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60] or "device"


def _scanned(folder: Path | None) -> Iterator[tuple[Path, CalibrationFile] | str]:
    """Each file of a folder, or the line that says why it cannot be used."""
    try:
        place = folder or _own_folder()
    except InputError:  # a folder that cannot be made holds nothing
        return
    for path in sorted(place.glob("*.json")):
        try:
            yield path, load_calibration_file(path)
        except EstimatorError as reason:
            yield str(reason)


def _newest_first(
    scanned: Iterable[tuple[Path, CalibrationFile] | str],
) -> list[tuple[Path, CalibrationFile]]:
    found = [item for item in scanned if not isinstance(item, str)]
    return sorted(found, key=lambda item: (item[1].created, item[0].name), reverse=True)


def read_calibration_data(path: Path) -> dict[str, Any]:
    """The JSON of a calibration file of any version; other files are refused."""
    try:
        data = json.loads(read_bytes(path, most_bytes=MOST_BYTES, kind="a calibration file"))
    except (RecursionError, ValueError):
        raise InputError(f"{path}: is not JSON; give a calibration file") from None
    marks = data if isinstance(data, dict) else {}
    if not isinstance(marks.get("schema_version"), int) or "calibration" not in marks:
        raise InputError(
            f"{path}: is not a calibration file (no schema_version and calibration); "
            "make one with tuneroi benchmark or tuneroi calibrate import"
        )
    return marks


def _check_parameters(file: CalibrationFile, path: Path) -> None:
    """Refuse parameters that the formulas of this version do not read, or not all that they do."""
    shipped, found = (c.values for c in (shipped_calibration(), file.calibration))
    differing = sorted(set(shipped) ^ set(found))
    lacking = [
        f"{name}.{key}"
        for name in shipped
        for key in shipped[name]
        if key not in found.get(name, shipped[name])
    ]
    if wrong := differing or lacking:
        raise InputError(
            f"{path}: made by tuneroi {file.tuneroi_version}, whose parameters differ "
            f"({', '.join(wrong[:3])}{', ...' if len(wrong) > 3 else ''}): measure or import anew"
        )
