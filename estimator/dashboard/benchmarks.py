"""What the page "Benchmark" shows: own calibrations, and the command that imports logs."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit import runtime

from estimator.dashboard.benchmark_job import MISTAKE, TUNEROI, Job, environment, start
from estimator.dashboard.uploads import uploaded_file
from estimator.errors import InputError
from estimator.hardware.calibration_file import own_calibrations, unreadable_calibrations
from estimator.report.benchmark_charts import own_run_chart
from estimator.report.charts import Chart
from estimator.report.kept_runs import file_row, kept_comparisons, step_row
from estimator.validation.own_runs import Compared

IMPORT_SECONDS = 120.0
ASKED = {
    "--model": "Model",
    "--gpu": "GPU",
    "--gpus": "Number of GPUs",
    "--method": "Method",
    "--seq-len": "Sequence length",
    "--micro-batch": "Sequences at once on a GPU",
    "--accumulation": "Micro-batches per step",
    "--checkpointing": "Activation checkpointing",
    "--sharding": "Sharding over the GPUs",
}
"""What the page asks about a log, by the option of the command."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The calibrations in the user's folder."""

    files: tuple[tuple[str, ...], ...]
    steps: tuple[tuple[str, ...], ...]
    """Benchmarks: a step by layers and by the fitted formula."""
    runs: Chart | None
    """Imported runs: predicted against measured."""
    unreadable: tuple[str, ...]


def own() -> Own:
    """All own calibrations, newest first; read anew each time, for they are few and change."""
    files = own_calibrations()
    compared = kept_comparisons(files)
    return Own(
        files=tuple(file_row(*each) for each in files),
        steps=tuple(row for _, file in files if (row := step_row(file)) is not None),
        runs=own_run_chart(compared) if compared else None,
        unreadable=tuple(unreadable_calibrations()),
    )


def begin(model: str, options: Sequence[str], session: str) -> Job:
    """A benchmark of a model on this machine, for as long as the session is there."""

    def is_open() -> bool:
        return not runtime.exists() or runtime.get_instance().is_active_session(session)

    arguments = ["benchmark", model, "--offline", "--json", *options]
    return start(arguments, about=model, session=session, is_open=is_open)


def import_log(name: str, content: bytes, options: Sequence[str]) -> dict[str, Any]:
    """What `tuneroi calibrate import --json` says of an uploaded log; `InputError` if it refuses.

    The log lies under its own name in a folder of its own, which is gone afterwards.
    """
    with uploaded_file(name, content) as place:
        command = [*TUNEROI, "calibrate", "import", str(place), "--offline", "--json", *options]
        try:
            done = subprocess.run(  # noqa: S603 - our own command
                command,
                capture_output=True,
                text=True,
                timeout=IMPORT_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
                env=environment(),
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"{place.name}: not read within {IMPORT_SECONDS:g} seconds; import it by "
                "`tuneroi calibrate import`"
            ) from None
    if done.returncode:
        said = done.stderr.strip().removeprefix(MISTAKE).replace(str(place), place.name)
        for option in sorted(ASKED, key=len, reverse=True):  # --gpus before --gpu
            said = said.replace(option, f"“{ASKED[option]}”")
        raise InputError(said or "the import failed; the server's log may say more")
    found: dict[str, Any] = json.loads(done.stdout)
    forget_estimates()
    return found


def imported_chart(found: dict[str, Any]) -> Chart:
    """An import's runs before and after."""
    ends = ("p10", "p50", "p90")
    return own_run_chart(
        [
            Compared(
                name=run["name"],
                measured=run["measured"],
                before=tuple(run["before"][end] for end in ends),
                after=tuple(run["after"][end] for end in ends),
            )
            for run in found["runs"]
        ]
    )


def forget_estimates() -> None:
    """Drop what was computed without the newest calibration."""
    st.cache_data.clear()
    st.cache_resource.clear()
