"""One's own calibrations, the runs that made them, and fits to published rows, for reports."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.hardware.calibration_file import CalibrationFile, UsedCalibration
from estimator.report.calibration import calibration_dict
from estimator.report.layout import GIB, facts, heading, notes, table
from estimator.report.validation import COLUMNS, counted, reasons, score_cells, signed
from estimator.validation.fitting import Moved, Refit, moved_entries
from estimator.validation.own_runs import Compared, OwnCalibration, OwnRun
from estimator.validation.scoring import Validation

SHOWN = 12
"""Parameters shown that moved furthest; --json has all."""


def own_files_dict(
    files: Sequence[tuple[Path, CalibrationFile]], unreadable: Sequence[str]
) -> dict[str, Any]:
    """One's own calibrations in the shape that `--json` promises, newest first."""
    return {
        "calibrations": [
            calibration_dict(used_file(path, file)) | {"rows": file.calibration.rows}
            for path, file in files
        ],
        "unreadable": list(unreadable),
    }


def used_file(path: Path, file: CalibrationFile) -> UsedCalibration:
    """A file as an estimate would use it."""
    return UsedCalibration(calibration=file.calibration, path=path, file=file)


def own_files_parts(
    files: Sequence[tuple[Path, CalibrationFile]], unreadable: Sequence[str]
) -> Iterator[RenderableType]:
    """One's own calibrations as parts to print, newest first."""
    if files:
        rows = [
            (
                f"{file.created:%Y-%m-%d %H:%M}",
                file.kind,
                f"{file.device.count} x {file.device.name}",
                f"{file.calibration.spread['seen'].factor:.2f}",
                str(path),
            )
            for path, file in files
        ]
        columns = ("Made (UTC)", "From", "Device", "Range x/", "File")
        yield table("Your own calibrations, newest first", columns, rows, left=(0, 1, 2, 4))
    else:
        yield Text("None of your own yet; tuneroi benchmark or tuneroi calibrate import makes one")
    if unreadable:
        yield notes("Cannot be used", unreadable)


def file_dict(path: Path, file: CalibrationFile) -> dict[str, Any]:
    """A calibration file with its path, as `--json` promises it."""
    moved = [asdict(m) for m in changes(file.calibration)]
    return {"file": str(path)} | file.model_dump(mode="json") | {"moved": moved}


def file_parts(path: Path, file: CalibrationFile) -> Iterator[RenderableType]:
    """What a calibration file holds, as parts to print."""
    device, calibration = file.device, file.calibration
    yield heading(f"Calibration of {device.name}", str(path))
    yield facts(
        "Made from",
        [
            (
                "kind",
                file.kind,
                f"{file.created:%Y-%m-%d %H:%M} UTC, tuneroi {file.tuneroi_version}",
            ),
            ("device", f"{device.count} x {device.gpu.id}", device.driver or ""),
            ("memory", f"{device.memory_bytes / GIB:.1f} GiB", ""),
            *((name, version, "") for name, version in file.software.items()),
        ],
    )
    yield facts("Calibration", _about(calibration))
    yield moved_table("What differs from the shipped calibration", changes(calibration))


def _about(calibration: Calibration) -> Iterator[tuple[str, str, str]]:
    yield "name", calibration.name, calibration.as_of
    yield "measurements", str(calibration.rows), ""
    for knowledge, spread in calibration.spread.items():
        words = knowledge.replace("_", " ")
        yield f"range, {words}", f"x/ {spread.factor:.2f}", spread.source


def changes(calibration: Calibration) -> tuple[Moved, ...]:
    """What differs from the shipped calibration, the largest relative change first."""
    return moved_entries(shipped_calibration(), calibration)


def moved_table(title: str, moved: Sequence[Moved]) -> RenderableType:
    """Entries of a calibration before and after."""
    rows = [
        (
            m.parameter + ("" if m.key == "all" else f", {m.key}"),
            f"{m.before:.4g}",
            f"{m.after:.4g}",
            signed(m.after / m.before - 1),
            f"{m.log_sd:.0%}",
            m.unit,
        )
        for m in moved[:SHOWN]
    ]
    more = f" ({SHOWN} of {len(moved)})" if len(moved) > SHOWN else ""
    columns = ("Parameter", "Before", "After", "Change", "Uncertain by", "Unit")
    return table(title + more, columns, rows, left=(0, 5))


def refit_dict(found: Refit, out: Path | None) -> dict[str, Any]:
    """A fit in the shape that `--json` promises; errors are shares and in sample."""
    return {
        "calibration": found.calibration.model_dump(mode="json"),
        "out": str(out) if out else None,
        "rows": found.after.rows,
        "expressed": found.after.total.rows,
        "suspect_left_out": found.after.suspect_left_out,
        "unexpressed": {reason: list(ids) for reason, ids in found.after.unexpressed.items()},
        "shipped": _scores(found.before),
        "fitted": _scores(found.after),
        "moved": [asdict(m) for m in found.moved],
    }


def _scores(found: Validation) -> dict[str, Any]:
    return {
        "total": asdict(found.total),
        "median_ape_sources_equal": found.median_ape_by_source_mean,
        "by_source": {name: asdict(score) for name, score in found.by_source.items()},
    }


def refit_parts(found: Refit, name: str, out: Path | None) -> Iterator[RenderableType]:
    """A fit as parts to print."""
    before, after = found.before, found.after
    about = counted(after.rows, after.total.rows, after.suspect_left_out)
    yield heading(f"Fit to {name}", about)
    rows = [
        score_cells("shipped calibration", before.total),
        score_cells("this fit", after.total),
        *(score_cells(f"  {source}", score) for source, score in after.by_source.items()),
    ]
    yield table("Tokens per second and GPU, predicted against measured, in sample", COLUMNS, rows)
    yield moved_table("How far parameters moved from the shipped ones", found.moved)
    spreads = found.calibration.spread.items()
    yield facts(
        "80 % range by what is known (left-out predictions)",
        [(k.replace("_", " "), f"x/ {spread.factor:.3f}", spread.source) for k, spread in spreads],
    )
    if after.unexpressed:
        yield notes("Left out, as they cannot be expressed", reasons(after.unexpressed))
    if out:
        yield Text(f"Written to {out}")


def imported_dict(
    path: Path,
    runs: Sequence[OwnRun],
    found: OwnCalibration,
    used: UsedCalibration,
    replaced: Path | None,
) -> dict[str, Any]:
    """An import in the shape that `--json` promises; speeds in tokens per second and GPU."""
    return {
        "calibration": calibration_dict(used),
        "file": str(path),
        "replaces": str(replaced) if replaced else None,
        "runs": [
            {
                "name": run.name,
                "measured": compared.measured,
                "relative_error": run.relative_error,
                "before": dict(zip(("p10", "p50", "p90"), compared.before, strict=True)),
                "after": dict(zip(("p10", "p50", "p90"), compared.after, strict=True)),
                "recipe": run.measurement.recipe.model_dump(mode="json"),
                "notes": list(run.about),
            }
            for run, compared in zip(runs, found.compared, strict=True)
        ],
        "moved": [asdict(m) for m in changes(found.calibration)],
    }


def imported_parts(
    path: Path, runs: Sequence[OwnRun], found: OwnCalibration, replaced: Path | None
) -> Iterator[RenderableType]:
    """An import as parts to print: each run before and after, what moved, where it was saved."""
    gpu = runs[0].measurement.cluster.gpu.id
    yield heading(f"Calibration of {gpu} from {len(runs)} of your runs", found.calibration.name)
    columns = ("Run", "Measured", "Before", "P10 to P90", "Error", "After", "P10 to P90", "Error")
    rows = [_compared_cells(compared) for compared in found.compared]
    yield table("Tokens per second and GPU, predicted before and after", columns, rows)
    yield moved_table("How far parameters moved", changes(found.calibration))
    about = [f"{run.name}: {line}" for run in runs for line in (_recipe_words(run), *run.about)]
    yield notes("What the runs were", about)
    yield Text(f"Saved as {path}; estimates on {gpu} use it from now on")
    if replaced:
        yield Text(f"in place of {replaced}; --calibration {replaced} would have built on that one")


def _compared_cells(run: Compared) -> tuple[str, ...]:
    cells = [run.name, f"{run.measured:,.1f}"]
    for p10, p50, p90 in (run.before, run.after):
        cells += [f"{p50:,.1f}", f"{p10:,.1f} to {p90:,.1f}", signed(p50 / run.measured - 1)]
    return tuple(cells)


def _recipe_words(run: OwnRun) -> str:
    m = run.measurement
    recipe, cluster = m.recipe, m.cluster
    return (
        f"{recipe.method} of {m.architecture.id} on {cluster.gpus} x {cluster.gpu.id}, "
        f"{recipe.micro_batch} x {recipe.gradient_accumulation} sequences of "
        f"{recipe.sequence_length:,}, checkpointing {recipe.checkpointing}, sharding "
        f"{recipe.sharding}, {recipe.precision}, {recipe.stack}"
    )
