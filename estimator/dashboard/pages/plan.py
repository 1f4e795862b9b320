"""The page "Training plan": which GPUs, how many, from whom, with which settings, for how much."""

from collections.abc import Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from estimator.dashboard.datasets import KEPT_DATA, MAX_UPLOAD_MB
from estimator.dashboard.declared import docstring, plain
from estimator.dashboard.plans import Planned, Uploads, Wanted, detail, planned
from estimator.dashboard.session import Shown, current
from estimator.dashboard.starts import MODEL_HELP, starts_at
from estimator.dashboard.views import (
    aside,
    chart,
    figures,
    finding_list,
    prose,
    section,
    table,
    text,
    verdict_line,
)
from estimator.errors import EstimatorError
from estimator.llm.catalogue import catalogue
from estimator.report.plan_tables import FACT_COLUMNS, FATE_COLUMNS, PLAN_COLUMNS
from estimator.training.choose import METHOD_NAMES
from estimator.training.planning.front import Objective

KINDS = ["jsonl", "json", "csv", "tsv", "parquet", "txt", "gz"]
CONFIG_MB = 1
FROM_DATASET_PAGE = "dataset.file"
GOALS: dict[Objective, str] = {"cost": "Least cost", "time": "Least time", "both": "Both"}
KEPT = "session"  # inputs of this page survive a look at another


def page(shown: Shown) -> None:
    """The answer on top, what it rests on under it, then the details."""
    verdict_line(shown.decision.verdict.sentence)
    answer = st.container()
    wanted, uploads = _asked(shown)
    if not wanted.methods:
        answer.error("Pick at least one method.", icon=":material/error:")
        return
    try:
        with answer, st.spinner("Trying every offer with every setting worth it"):
            found = planned(wanted, uploads)
        _answer(answer, found)
        if found.names:
            _plans(found)
            _one(wanted, uploads, found)
        _others(found)
    except EstimatorError as error:
        answer.error(plain(str(error)), icon=":material/error:")
    aside(shown.decision.footer)


def _answer(place: DeltaGenerator, found: Planned) -> None:
    with place:
        st.html(f'<h1 class="verdict">{text(found.sentence)}</h1>')
        if found.ways_out:
            st.warning("  \n".join(map(plain, found.ways_out)), icon=":material/alt_route:")
        else:
            prose(found.sureness)


def _asked(shown: Shown) -> tuple[Wanted, Uploads]:
    """What the page's widgets ask for; they start at the scenario's values."""
    training = shown.scenario.training
    section("What to train, within which limits", "Starts as the scenario in the sidebar says.")
    with st.container(border=True):
        left, middle, right = st.columns(3, gap="medium")
        with left:
            model, config = _model(shown)
            methods = st.pills(
                "Methods to try",
                list(METHOD_NAMES),
                selection_mode="multi",
                format_func=lambda name: METHOD_NAMES[name],
                key=starts_at("plan.methods", [training.method]),
                persist_state=KEPT,
                help=plain(docstring("training.method")),
            )
        with middle:
            name, data, examples, mean = _data(shown)
            epochs = st.number_input(
                "Epochs",
                0.1,
                100.0,
                step=1.0,
                format="%g",
                key=starts_at("plan.epochs", round(float(training.epochs.median()), 2)),
                persist_state=KEPT,
                help=plain(docstring("training.epochs")),
            )
        with right:
            deadline, budget, objective, spot, max_gpus = _limits()
    wanted = Wanted(
        model=model,
        config_id=config.file_id if config else "",
        data_name=name,
        data_id=data[0],
        examples=examples,
        mean_tokens=mean,
        methods=tuple(methods),
        epochs=epochs,
        deadline_hours=deadline,
        budget_usd=budget,
        objective=objective,
        spot=spot,
        max_gpus=max_gpus,
        sequence_length=training.sequence_length,
        lora_rank=training.lora_rank,
        stack=training.stack,
        currency=shown.scenario.currency,
    )
    return wanted, Uploads(config=config.getvalue() if config else b"", data=data[1])


def _model(shown: Shown) -> tuple[str, Any]:
    """The model's name and, if there is one, the uploaded config.json."""
    chosen = st.selectbox(
        "Model",
        list(dict.fromkeys((shown.scenario.model, *catalogue()))),
        key=starts_at("plan.model", shown.scenario.model),
        persist_state=KEPT,
        accept_new_options=True,
        help=MODEL_HELP,
    )
    with st.expander("Or upload its config.json"):
        uploaded = st.file_uploader(
            "config.json",
            type=["json"],
            key="plan.config",
            max_upload_size=CONFIG_MB,
            help="Takes the place of the name above. It is read as data; no code in it is run.",
            label_visibility="collapsed",
        )
    return (uploaded.name if uploaded else chosen), uploaded


def _data(shown: Shown) -> tuple[str, tuple[str, bytes], int, float]:
    """Name, id and content of an uploaded dataset, if there is one; examples and mean tokens."""
    data = shown.scenario.data
    examples = st.number_input(
        "Examples",
        1,
        1_000_000_000,
        step=1000,
        key=starts_at("plan.examples", round(data.examples.median())),
        persist_state=KEPT,
        help=plain(docstring("data.examples")),
    )
    mean = st.number_input(
        "Tokens of an example, on average",
        1.0,
        1e6,
        step=50.0,
        format="%.0f",
        key=starts_at("plan.mean", float(round(data.tokens_per_example.median()))),
        persist_state=KEPT,
        help=plain(docstring("data.tokens_per_example")),
    )
    with st.expander("Or take a file"):
        uploaded = st.file_uploader(
            "Training data",
            type=KINDS,
            key="plan.data",
            max_upload_size=MAX_UPLOAD_MB,
            help="Takes the place of the numbers above. It stays on the machine that runs this "
            "page.",
            label_visibility="collapsed",
        )
    if uploaded is not None:
        return uploaded.name, (uploaded.file_id, uploaded.getvalue()), examples, mean
    return *_from_dataset_page(), examples, mean


def _from_dataset_page() -> tuple[str, tuple[str, bytes]]:
    """What was uploaded on the page "Dataset" just before, unless it is not wanted here."""
    seen = st.session_state.get(FROM_DATASET_PAGE)
    if seen is not None:
        st.session_state[KEPT_DATA] = seen.name, seen.file_id, seen.getvalue()
    kept = st.session_state.get(KEPT_DATA)
    if kept is None:
        return "", ("", b"")
    name, file_id, content = kept
    wanted = st.toggle(
        f"Use {name}", value=True, key=f"plan.use.{file_id}", help="Uploaded on the page “Dataset”."
    )
    return (name, (file_id, content)) if wanted else ("", ("", b""))


def _limits() -> tuple[float | None, float | None, Objective, bool, int]:
    deadline = st.number_input(
        "Deadline (hours)",
        min_value=0.01,
        value=None,
        step=1.0,
        format="%g",
        placeholder="none",
        key="plan.deadline",
        persist_state=KEPT,
        help="From renting the GPUs to the end of one run; kept with a chance of 4 in 5.",
    )
    budget = st.number_input(
        "Budget (US dollars)",
        min_value=0.01,
        value=None,
        step=50.0,
        format="%g",
        placeholder="none",
        key="plan.budget",
        persist_state=KEPT,
        help="For the GPUs of one run, storage and egress; kept with a chance of 4 in 5.",
    )
    objective = st.segmented_control(
        "What counts",
        list(GOALS),
        default="cost",
        required=True,
        format_func=lambda name: GOALS[name],
        key="plan.objective",
        persist_state=KEPT,
        help="Both: least cost times time.",
    )
    most = st.number_input(
        "GPUs at most",
        1,
        4096,
        value=64,
        step=8,
        key="plan.gpus",
        persist_state=KEPT,
    )
    spot = st.toggle(
        "Allow spot",
        key="plan.spot",
        persist_state=KEPT,
        help="Cheaper machines that may be taken away; what that loses is counted.",
    )
    return deadline, budget, objective, spot, most


def _plans(found: Planned) -> None:
    section(
        "Cost against time",
        "Each point is a plan. Blue: none is cheaper and faster. Numbers: places in the table.",
    )
    if found.pareto is not None:
        chart("pareto", found.pareto)
        figures(PLAN_COLUMNS, found.pareto.rows)
    section("Why the first", "Against the limits, the other plans and other settings.")
    finding_list(found.reasons)


def _one(wanted: Wanted, uploads: Uploads, found: Planned) -> None:
    """One of the plans in detail: the first, unless another is picked."""
    section("One plan in detail", "The first, unless you pick another.")
    chosen = st.selectbox(
        "Plan",
        range(len(found.names)),
        format_func=lambda i: f"{i + 1}. {found.names[i]}",
        key="plan.chosen",
        label_visibility="collapsed",
    )
    shown = detail(wanted, uploads, chosen)
    left, right = st.columns([2, 3], gap="large")
    with left:
        section(
            "Memory of the fullest GPU",
            "At the peak of a step. Faint: the card. Line below: 8 of 10 cases.",
        )
        chart("memory", shown.memory)
        table("The same as a table", shown.memory)
        section("Where a step's time goes", "Shares of one optimizer step.")
        chart("step", shown.step)
        table("The same as a table", shown.step)
    with right:
        section("What it takes", "One run; people and data work are not in it.")
        figures(FACT_COLUMNS, shown.facts)
    _launch(shown.files, shown.notes)


def _launch(files: Sequence[tuple[str, str]], notes: Sequence[str]) -> None:
    section("Run it", "Files that start this plan: configuration, task, and the command.")
    with st.container(horizontal=True):
        for name, content in files:
            st.download_button(
                name,
                data=content,
                file_name=name,
                key=f"plan.launch.{name}",
                on_click="ignore",
                icon=":material/download:",
            )
    with st.expander("Look at them"):
        for name, content in files:
            st.code(content, language="yaml" if name.endswith("yaml") else "bash")
    finding_list(notes)


def _others(found: Planned) -> None:
    section("Why not another offer?", "Every offer that is not listed, and what became of it.")
    words = st.text_input(
        "Find",
        key="plan.find",
        persist_state=KEPT,
        placeholder="a GPU, a provider, a reason",
    )
    fates = [row for row in found.fates if words.casefold() in " ".join(row).casefold()]
    prose(f"{len(fates)} of {len(found.fates)} offers")
    st.dataframe(
        [dict(zip(FATE_COLUMNS, row, strict=True)) for row in fates],
        hide_index=True,
        height=360,
        width="stretch",
        column_config={FATE_COLUMNS[-1]: st.column_config.TextColumn(width="large")},
    )
    if found.notes:
        with st.expander("To know"):
            finding_list(found.notes)


page(current())
