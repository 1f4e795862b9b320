"""The page "Benchmark": what was measured, how predictions met it, and measuring more."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, get_args

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from estimator.dashboard.benchmark_job import Job, latest, stop
from estimator.dashboard.benchmarks import (
    ASKED,
    Own,
    begin,
    forget_estimates,
    import_log,
    imported_chart,
    own,
)
from estimator.dashboard.declared import plain
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import (
    aside,
    chart,
    figures,
    finding_list,
    prose,
    section,
    table,
    verdict_line,
)
from estimator.errors import EstimatorError
from estimator.llm.catalogue import catalogue
from estimator.report.kept_runs import FILE_COLUMNS, STEP_COLUMNS, result_rows, used_share
from estimator.training.recipe import Checkpointing, Method, Sharding
from pricing import gpu_specs

FIRST_MODEL = "Qwen/Qwen2.5-0.5B"
KEPT = "session"  # what is asked here survives a look at another page
LOG_MB = 50
EVERY_SECONDS = 1.0
SEEN, IMPORTED = "_benchmark.seen", "_benchmark.imported"
METHODS = ("lora", "full")
UNSAID = "as the log says"


def page(shown: Shown) -> None:
    """What there is, a benchmark here, and logs from elsewhere."""
    verdict_line(shown.decision.verdict.sentence)
    _kept(own())
    _here()
    _elsewhere()


def _kept(found: Own) -> None:
    section(
        "Your calibrations",
        "Measured on your machines; estimates of training on such a GPU start from the newest.",
    )
    if found.files:
        figures(FILE_COLUMNS, found.files)
        aside(
            "Range ×/÷: 8 of 10 training speeds lie between the estimate divided and multiplied "
            "by it."
        )
    else:
        prose(
            "None yet: estimates rest on published measurements. Measure this machine, or import "
            "the log of a past run, and their ranges get narrower."
        )
    for line in found.unreadable:
        st.warning(plain(line), icon=":material/warning:")
    if found.steps:
        section(
            "Benchmarks: two ways to one step",
            "A step of the whole model, extrapolated from layers that were timed, and by the "
            "formula fitted to all timings.",
        )
        figures(STEP_COLUMNS, found.steps)
    if found.runs is not None:
        section(
            "Your runs, predicted against measured",
            "Tokens per second and GPU. Grey: before calibrating; blue: after; 8 of 10 cases.",
        )
        chart("own_runs", found.runs)
        table("The same as a table", found.runs)


def _here() -> None:
    section(
        "Measure this machine",
        "Real training steps of some layers with random weights, on the machine that runs this "
        "page; nothing is downloaded.",
    )
    job, session = latest(), _session()
    if job is not None and job.ended is None:
        if job.session == session:
            anew: Callable[[], None] = st.fragment(run_every=EVERY_SECONDS)(_running)
            anew()
        else:
            prose(f"Somebody else is measuring {job.about} on it; come back when that has ended.")
        return
    if job is not None and job.session == session:
        _result(job)
    model, options = _asked()
    if st.button("Start", key="benchmark.start", icon=":material/play_arrow:", type="primary"):
        try:
            begin(model, options, session)
        except EstimatorError as error:
            st.error(plain(str(error)), icon=":material/error:")
        else:
            st.rerun()


def _asked() -> tuple[str, list[str]]:
    """The model, and the options of the command."""
    names = list(catalogue())
    left, middle, right = st.columns(3, gap="medium")
    model = left.selectbox(
        "Model",
        names,
        index=names.index(FIRST_MODEL),
        key="benchmark.model",
        persist_state=KEPT,
        help="Its layers are built here with random weights: take the one you mean to tune, or a "
        "small one. What is learnt holds for others too.",
    )
    method = left.segmented_control(
        "Method",
        METHODS,
        default="lora",
        required=True,
        format_func={"lora": "LoRA", "full": "Full"}.__getitem__,
        key="benchmark.method",
        persist_state=KEPT,
    )
    length = middle.number_input(
        "Sequence length", 16, 131_072, 512, step=128, key="benchmark.length", persist_state=KEPT
    )
    batch = middle.number_input(
        "Sequences at once", 1, 1024, 1, key="benchmark.batch", persist_state=KEPT
    )
    budget = right.slider(
        "Seconds to measure",
        10,
        600,
        90,
        step=10,
        key="benchmark.budget",
        persist_state=KEPT,
        help="More time, a narrower range. Starting takes some seconds more.",
    )
    verify = right.toggle(
        "Then run the whole model too",
        key="benchmark.verify",
        persist_state=KEPT,
        help="Shows how far the prediction was off; takes more time and memory.",
    )
    options = ["--method", method, "--seq-len", str(length), "--micro-batch", str(batch)]
    options += ["--budget", str(budget), *(["--verify"] if verify else [])]
    return model, options


def _running() -> None:
    """The progress, anew every second; the whole page once it has ended."""
    job = latest()
    if job is None or job.ended is not None:
        st.rerun()
        return
    now = job.progress
    left = "" if now.left_seconds is None else f", {now.left_seconds} s to go"
    words = f"{job.about}: {now.doing} ({now.used_seconds} s{left})"
    st.progress(used_share(now.used_seconds, now.left_seconds), text=plain(words))
    st.button(
        "Stopping ..." if job.stopping else "Stop and keep what was measured",
        key="benchmark.stop",
        icon=":material/stop:",
        disabled=job.stopping,
        on_click=stop,
        args=(job,),
    )


def _result(job: Job) -> None:
    ended = job.ended
    assert ended is not None
    if ended.figures is None:
        words = plain(f"{job.about}: {ended.message}")
        if job.stopping:
            st.info(words, icon=":material/stop:")
        else:
            st.error(words, icon=":material/error:")
        return
    if st.session_state.get(SEEN) is not job:
        st.session_state[SEEN] = job
        forget_estimates()
    figures((job.about, "", ""), list(result_rows(ended.figures)))
    if ended.figures["notes"]:
        with st.expander("To know"):
            finding_list(ended.figures["notes"])


def _elsewhere() -> None:
    section(
        "Import the log of a past run",
        "trainer_state.json or trainer_log.jsonl of Hugging Face and LLaMA-Factory, a torchtune "
        "or torchtitan log, or a CSV file of runs. It stays on the machine that runs this page.",
    )
    uploaded = st.file_uploader(
        "Log",
        type=["json", "jsonl", "log", "txt", "csv"],
        key="benchmark.log",
        max_upload_size=LOG_MB,
        label_visibility="collapsed",
    )
    with st.form("benchmark.import", border=True):
        prose("What the log does not say itself; leave the rest as it is.")
        options = list(_said())
        wanted = st.form_submit_button("Import", icon=":material/upload:", type="primary")
    if wanted and uploaded is None:
        st.error("Choose a log first.", icon=":material/error:")
    elif wanted and uploaded is not None:
        try:
            with st.spinner("Reading and calibrating"):
                found = import_log(uploaded.name, uploaded.getvalue(), options)
        except EstimatorError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        st.session_state[IMPORTED] = found
        st.rerun()
    if (found := st.session_state.get(IMPORTED)) is not None:
        _imported(found)


def _said() -> Iterator[str]:
    """Options of the command for what was filled in."""
    choices: dict[str, tuple[str, ...]] = {
        "--model": tuple(catalogue()),
        "--gpu": tuple(gpu_specs()),
        "--method": get_args(Method),
        "--checkpointing": get_args(Checkpointing),
        "--sharding": get_args(Sharding),
    }
    columns = st.columns(3, gap="medium")
    for column, (option, name) in zip(cycle(columns), ASKED.items(), strict=False):
        key = f"benchmark.import.{option}"
        if option in choices:
            answer: Any = column.selectbox(
                name, choices[option], index=None, placeholder=UNSAID, key=key
            )
        else:
            answer = column.number_input(
                name, min_value=1, value=None, step=1, placeholder=UNSAID, key=key
            )
        if answer is not None:
            yield from (option, str(answer))


def _imported(found: dict[str, Any]) -> None:
    drawn = imported_chart(found)
    st.success(plain(f"Imported: {drawn.finding}"), icon=":material/check:")
    notes = [f"{run['name']}: {note}" for run in found["runs"] for note in run["notes"]]
    if notes:
        finding_list(notes)


def _session() -> str:
    context = get_script_run_ctx()
    return context.session_id if context else ""


page(current())
