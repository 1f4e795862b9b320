"""Logs of past runs against the runs themselves, and what makes a calibration of them."""

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import EstimatorError, InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.resolve import resolve_model
from estimator.training.calibrate import batch, predict
from estimator.validation.logs import RunLog, read_log
from estimator.validation.logs.steady import Interval, steady_part
from estimator.validation.own_runs import Settings, calibrated_by, missing, own_run, settled
from pricing import gpu_spec

LOGS = Path(__file__).parent / "data" / "logs"
CLOCK = json.loads((LOGS / "clock.json").read_text("utf-8"))
EVALUATED_AFTER = (40, 80, 120)
LLAMA = resolve_model("meta-llama/Llama-3.1-8B").architecture
A100 = Cluster.of(gpu_spec("a100-sxm4-80gb"), 1)


def log(path: Path, log_format: str = "auto") -> RunLog:
    found = read_log(path, log_format)
    assert found is not None
    return found


def written(folder: Path, name: str, text: str) -> RunLog:
    (folder / name).write_text(text, "utf-8")
    return log(folder / name)


def clocked_step_seconds(ends: list[float]) -> np.ndarray:
    """Seconds of each step by the clock, first tenth and steps after an evaluation left out."""
    times = dict(enumerate(ends, start=1))
    return np.array(
        [
            times[step] - times[step - 1]
            for step in range(14, len(ends) + 1)
            if step - 1 not in EVALUATED_AFTER
        ]
    )


@pytest.mark.parametrize("name", ["trainer_state.json", "trainer_log.jsonl"])
def test_the_steady_part_is_that_of_the_clock(name: str) -> None:
    found = log(LOGS / name)
    steps = clocked_step_seconds(CLOCK["timed"])
    usual = steps[steps < 2 * np.median(steps)]
    assert found.steady.mean == pytest.approx(usual.mean(), rel=0.1)
    assert found.steady.relative_error < 0.2
    assert found.steady.evaluations == 2  # nothing was trained after the third
    assert found.counts == "step"
    assert found.tokens_per_step == 2 * 2 * 128


def test_both_forms_of_one_run_say_the_same() -> None:
    state, lines = log(LOGS / "trainer_state.json"), log(LOGS / "trainer_log.jsonl")
    assert lines.steady.mean == pytest.approx(state.steady.mean, rel=0.01)
    assert lines.tokens_per_step == state.tokens_per_step


def test_without_times_of_steps_the_whole_run_less_its_evaluations_counts() -> None:
    found = log(LOGS / "trainer_state_untimed.json")
    ends = CLOCK["untimed"]
    pauses = [ends[step] - ends[step - 1] for step in EVALUATED_AFTER if step < len(ends)]
    # the last step ends before the last evaluation; two gaps hold an evaluation and a step each
    steps = (ends[-1] - sum(pauses)) / (len(ends) - len(pauses))
    assert found.steady.mean == pytest.approx(steps, rel=0.25)
    assert found.tokens_per_step is None
    assert "include_num_input_tokens_seen" in found.notes[0]
    assert "mean of the whole run" in found.steady.sentence


@pytest.mark.parametrize("name", ["trainer_state.json", "trainer_state_untimed.json"])
def test_the_state_says_batch_and_accumulation(name: str) -> None:
    known = settled(log(LOGS / name), Settings(), gpus=1)
    assert (known.micro_batch, known.accumulation) == (2, 2)
    assert known.seq_len == (128 if name == "trainer_state.json" else None)
    assert set(missing(known, 1)) == {"method", "checkpointing"} | (
        set() if known.seq_len else {"seq_len"}
    )


def test_on_several_gpus_sharding_is_asked_for_too() -> None:
    assert "sharding" in missing(Settings(), 2)
    assert "sharding" not in missing(Settings(), 1)


def test_data_parallel_logs_the_batch_of_all_gpus() -> None:
    state = log(LOGS / "trainer_state_untimed.json")
    known = settled(state, Settings(micro_batch=1), gpus=2)
    assert (known.micro_batch, known.accumulation) == (1, 2)
    with pytest.raises(InputError, match="says 2, --micro-batch says 3"):
        settled(state, Settings(micro_batch=3), gpus=2)


def torchtune_line(step: int, rate: float) -> str:
    return (
        f"Step {step} | loss:{2 / step} lr:2e-05 tokens_per_second_per_gpu:{rate} "
        f"peak_memory_active:{20 + step / 100} peak_memory_alloc:19.5 peak_memory_reserved:23.0 \n"
    )


def torchtitan_line(step: int, rate: float) -> str:
    prefix = "[rank0]:[titan] 2025-11-25 19:45:01,441 - root - INFO - "
    return (
        f"{prefix}\x1b[31mstep: {step:2}  \x1b[32mloss:  8.0277  \x1b[38;2;180;60;0mgrad_norm:  "
        f"1.4604  \x1b[33mmemory: 41.20GiB(43.37%)  \x1b[34mtps: {round(rate):,}  "
        f"\x1b[36mtflops: 120.52  \x1b[35mmfu: 12.19%\x1b[39m\n"
    )


TITAN_START = (
    "[rank0]:[titan] - root - INFO - Trainer is initialized with local batch size 8, global batch "
    "size 64, gradient accumulation steps 1, sequence length 2048, total steps 100 (warmup 2)\n"
)
RATES = [900.0, *(3000.0 + 10 * (i % 3) for i in range(40))]  # the first step compiles
STEADY_RATE = 1 / np.mean([1 / rate for rate in RATES[5:]])


def test_torchtune_as_text_and_as_json(tmp_path: Path) -> None:
    lines = [torchtune_line(i, rate) for i, rate in enumerate(RATES, start=1)]
    records = [
        json.dumps({"step": i, "loss": 1.0, "tokens_per_second_per_gpu": rate}) + "\n"
        for i, rate in enumerate(RATES, start=1)
    ]
    for name, text in (("log.txt", "".join(lines)), ("log.jsonl", "".join(records))):
        found = written(tmp_path, name, text)
        assert found.format == found.stack == "torchtune"
        assert 1 / found.steady.mean == pytest.approx(STEADY_RATE, rel=1e-9)
    assert written(tmp_path, "log.txt", "".join(lines)).peak_memory_gib == pytest.approx(20.41)


def test_torchtitan_with_colours_start_and_ranks(tmp_path: Path) -> None:
    lines = [torchtitan_line(i, rate) for i, rate in enumerate(RATES, start=1)]
    other_rank = [line.replace("rank0", "rank1") for line in lines]
    found = written(tmp_path, "run.log", TITAN_START + "".join(lines + other_rank))
    assert 1 / found.steady.mean == pytest.approx(STEADY_RATE, rel=1e-9)
    assert found.settings == {"micro_batch": 8, "accumulation": 1, "seq_len": 2048}
    assert found.peak_memory_gib == 41.2
    assert found.steady.warm_up + found.steady.kept == len(RATES)


def test_torchtitan_metrics_and_its_older_name(tmp_path: Path) -> None:
    records = [
        json.dumps({"step": 10 * i, "throughput(tps)": rate}) for i, rate in enumerate(RATES, 1)
    ]
    found = written(tmp_path, "metrics.jsonl", "\n".join(records))
    assert 1 / found.steady.mean == pytest.approx(STEADY_RATE, rel=1e-9)
    older = "".join(torchtitan_line(i, r).replace("tps:", "wps:") for i, r in enumerate(RATES, 1))
    assert written(tmp_path, "old.log", older).steady.mean == pytest.approx(found.steady.mean)


def test_tokens_of_trl_leave_padding_out(tmp_path: Path) -> None:
    history = [
        {"step": i, "train_runtime": 2.0 * i, "num_tokens": 1000.0 * i} for i in range(1, 31)
    ]
    state = {"log_history": history, "global_step": 30, "train_batch_size": 2}
    found = written(tmp_path, "trainer_state.json", json.dumps(state))
    known = Settings(method="full", accumulation=1, checkpointing="none")
    packed = own_run(found, settled(found, known, 1), LLAMA, A100)
    assert packed.measurement.recipe.sequence_length == 500
    assert packed.measurement.tokens_per_second_per_gpu == pytest.approx(500)
    padded = settled(found, Settings(**{**asdict(known), "seq_len": 800}), 1)
    run = own_run(found, padded, LLAMA, A100)
    assert run.measurement.tokens_per_second_per_gpu == pytest.approx(2 * 800 / 2.0)
    assert "without padding" in found.notes[0]


def test_llama_factory_by_its_clock_alone(tmp_path: Path) -> None:
    records = [
        {"current_steps": 100 * i, "loss": 1.0, "elapsed_time": str(timedelta(seconds=170 * i))}
        for i in range(1, 600)
    ]
    found = written(tmp_path, "trainer_log.jsonl", "\n".join(json.dumps(r) for r in records))
    assert records[-1]["elapsed_time"].startswith("1 day, ")  # type: ignore[union-attr]
    assert found.steady.mean == pytest.approx(1.7)


def test_a_resumed_run_starts_its_clock_anew(tmp_path: Path) -> None:
    def entry(step: int, seconds: float) -> dict[str, float]:
        return {"step": step, "loss": 1.0, "train_runtime": seconds}

    first = [entry(10 * i, 20.0 * i) for i in range(1, 11)]
    second = [entry(100 + 10 * i, 20.0 * i) for i in range(1, 11)]
    text = json.dumps({"log_history": [*first, *second], "global_step": 200})
    assert written(tmp_path, "trainer_state.json", text).steady.mean == pytest.approx(2.0)


@given(st.integers(5, 60), st.floats(0.001, 1000), st.data())
def test_pauses_evaluations_and_warm_up_do_not_count(
    count: int, seconds: float, data: st.DataObject
) -> None:
    """A steady run stays what it is, whatever happens in a third of its later intervals."""
    warm_up = int(np.ceil(count / 10))
    later = data.draw(st.sets(st.integers(warm_up, count - 1), max_size=(count - warm_up - 3) // 2))
    intervals = []
    for i in range(count):
        evaluated = i in later and data.draw(st.booleans())
        slow = i < warm_up or i in later
        factor = data.draw(st.floats(2.5, 100)) if slow else 1.0
        intervals.append(Interval(steps=3, seconds_per_step=seconds * factor, evaluated=evaluated))
    found = steady_part(intervals, "run")
    assert found.mean == pytest.approx(seconds)
    assert found.relative_error == pytest.approx(0, abs=1e-9)
    assert found.kept + found.pauses + found.evaluations + found.warm_up == count


def test_the_scatter_gives_the_standard_error() -> None:
    rng = np.random.default_rng(3)
    errors = []
    for _ in range(400):
        seconds = 1 + 0.2 * rng.standard_normal(30).clip(-3, 3)
        made = [Interval(steps=1, seconds_per_step=float(s)) for s in seconds]
        found = steady_part(made, "run")
        errors.append((found.mean - 1) / found.relative_error)
    assert np.std(errors) == pytest.approx(1.0, rel=0.15)  # standard errors from the truth


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a log that can be read"),
        ("nothing that anybody logs", "not a log that can be read"),
        ('{"loss": 1}', "not a log that can be read"),
        ('{"log_history": []}', "says neither times of its steps nor train_runtime"),
        ('{"log_history": [{"step": 3, "loss": 1.0}, 7, null]}', "says neither times"),
        (
            '{"log_history": [{"step": 5, "train_runtime": 9, "train_steps_per_second": 0.5}]}',
            "4 steps and only their total time",
        ),
        (torchtune_line(1, 100.0) + torchtune_line(2, 90.0), "2 logged intervals leave 1"),
        (
            "".join(torchtune_line(i, 10.0 ** (i % 4)) for i in range(1, 9)),
            "scatter so much|leave",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "some.log"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=reason) as raised:
        read_log(path)
    assert "\n" not in str(raised.value)
    assert "some.log" in str(raised.value)


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_no_file_is_a_fault(tmp_path_factory: pytest.TempPathFactory, content: str | bytes) -> None:
    path = tmp_path_factory.mktemp("logs") / "any"
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    path.write_bytes(raw)
    try:
        read_log(path)
    except EstimatorError as error:
        assert "\n" not in str(error).replace(str(path), "")


def settings(**changes: object) -> Settings:
    fields = {
        "method": "lora", "seq_len": 2048, "micro_batch": 4, "accumulation": 4,
        "checkpointing": "full", "stack": "torchtune",
    }  # fmt: skip
    return Settings(**(fields | changes))  # type: ignore[arg-type]


def test_a_run_as_predicted_changes_nothing_and_one_off_pulls_the_prediction(
    tmp_path: Path,
) -> None:
    shipped = shipped_calibration()
    asked = own_run(
        written(tmp_path, "a.txt", "".join(torchtune_line(i, 1.0) for i in range(1, 30))),
        settings(), LLAMA, A100,
    )  # fmt: skip
    rows = batch([asked.measurement], shipped.values)
    predicted = float(predict(rows, shipped.values).tokens_per_second_per_gpu[0])
    found = []
    for factor in (1.0, 0.8):
        lines = "".join(torchtune_line(i, factor * predicted) for i in range(1, 30))
        run = own_run(written(tmp_path, "b.txt", lines), settings(), LLAMA, A100)
        found.append(calibrated_by([run], shipped))
    same, slower = (calibrated.compared[0] for calibrated in found)
    assert same.before == pytest.approx(same.after, rel=0.5)
    assert same.after[1] == pytest.approx(predicted, rel=1e-6)
    assert slower.measured < slower.after[1] < slower.before[1]
    assert slower.after[1] == pytest.approx(slower.measured, rel=0.08)
    for compared in (same, slower):
        widths = [np.log(p90 / p10) for p10, _, p90 in (compared.before, compared.after)]
        assert widths[1] <= widths[0] + 1e-9


def test_noise_of_the_steps_widens_the_range(tmp_path: Path) -> None:
    spreads = []
    for noise in (0.0, 0.3):
        rates = [3000 * (1 + noise * (-1) ** i) for i in range(16)]
        lines = "".join(torchtune_line(i, rate) for i, rate in enumerate(rates, start=1))
        run = own_run(written(tmp_path, "c.txt", lines), settings(), LLAMA, A100)
        spreads.append(calibrated_by([run], shipped_calibration()).calibration.spread["seen"])
    quiet, noisy = (spread.factor for spread in spreads)
    assert noisy > quiet
    assert "standard error of own runs" in spreads[1].source


def test_a_step_time_gives_tokens_by_the_settings(tmp_path: Path) -> None:
    """Tokens/s/GPU = sequences x length / (GPUs x seconds), whatever is split over the GPUs."""
    entries = [{"step": i, "loss": 1.0, "train_runtime": 2.0 * i} for i in range(1, 21)]
    state = written(tmp_path, "trainer_state.json", json.dumps({"log_history": entries}))
    four = Cluster.of(A100.gpu, 4)
    known = settings(sharding="zero3", tensor_parallel=2, method="full")
    run = own_run(state, known, LLAMA, four)
    assert run.measurement.tokens_per_second_per_gpu == pytest.approx(4 * 4 * 2048 * 2 / (4 * 2.0))


def test_settings_that_no_recipe_allows_are_refused(tmp_path: Path) -> None:
    tune = written(tmp_path, "d.txt", "".join(torchtune_line(i, 3000.0) for i in range(1, 30)))
    with pytest.raises(InputError, match=r"d\.txt: checkpointing: .*got 'sometimes'"):
        own_run(tune, settings(checkpointing="sometimes"), LLAMA, A100)
