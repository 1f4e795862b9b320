"""Logs of the Hugging Face Trainer, and of what is built on it.

`trainer_state.json` (transformers, Accelerate's users, TRL, Axolotl): `log_history` has an entry
per logging step, per evaluation, and one of the whole run at the end. With
`include_num_input_tokens_seen` every entry holds the run time so far and the positions so far,
padding included unless "non_padding" was asked for (huggingface/transformers, `Trainer.log` and
`speed_metrics` of version 5.23). Without it only the end says how long the run took. TRL's
`num_tokens` counts tokens so far, padding left out (huggingface/trl@d11f0f5,
trl/trainer/sft_trainer.py). Axolotl's
`tokens/train_per_sec_per_gpu` counts trained tokens of one single step
(axolotl-ai-cloud/axolotl@013d8f0, utils/callbacks/tokens_per_second.py) and is not used.

`trainer_log.jsonl` (LLaMA-Factory): `elapsed_time` in whole seconds and, where tokens are counted,
`throughput` and `total_tokens` since the start, whose quotient is the time
(hiyouga/LlamaFactory@9174a7a, src/llamafactory/train/callbacks.py).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from estimator.errors import InputError
from estimator.validation.logs.reading import LogText, RunLog, number
from estimator.validation.logs.steady import FEWEST_INTERVALS, Interval, Steady, steady_part

Entry = Mapping[str, Any]
FEWEST_STEPS = 20
"""Of a run of which only the whole time is known: warm-up is a small part of so many."""


@dataclass(frozen=True, slots=True)
class _Moment:
    """How far a run was when it wrote an entry."""

    step: int
    seconds: float


def read(log: LogText) -> RunLog | None:
    """The run behind a `trainer_state.json` or a `trainer_log.jsonl`; None for other files."""
    if isinstance(log.document, dict) and isinstance(log.document.get("log_history"), list):
        history = [entry for entry in log.document["log_history"] if isinstance(entry, dict)]
        return _from_state(log, log.document, history)
    if any("current_steps" in record for record in log.records):
        return _from_llama_factory(log)
    return None


def _from_state(log: LogText, state: Entry, history: Sequence[Entry]) -> RunLog:
    place = log.path.name
    summary = next((e for e in reversed(history) if "train_steps_per_second" in e), {})
    timed = [e for e in history if e is not summary and _timed(e)]
    moments = [_Moment(int(e["step"]), float(e["train_runtime"])) for e in timed]
    evaluations = {
        int(step) for e in history if "eval_runtime" in e and (step := number(e.get("step")))
    }
    notes = []
    if len(moments) > FEWEST_INTERVALS + 1:
        steady = steady_part(_intervals(moments, evaluations), place)
    else:
        steady = _whole_run(summary, history, place)
        notes.append(
            "the log has no times of single steps, so warm-up and saving are in the mean; "
            "the Trainer writes them with include_num_input_tokens_seen"
        )
    positions = number(state.get("num_input_tokens_seen"))
    tokens = positions or _largest(history, "num_tokens")
    steps = number(state.get("global_step"))
    if tokens and not positions:
        notes.append("TRL counts tokens without padding: where batches are padded, give --seq-len")
    return RunLog(
        path=log.path,
        format="trainer",
        steady=steady,
        counts="step",
        tokens_per_step=tokens / steps if tokens and steps else None,
        padding_counted=positions is not None,
        sequences_per_step=_sequences_per_step(summary),
        settings=_settings(state),
        peak_memory_gib=_largest(history, "memory/max_allocated (GiB)"),
        notes=tuple(notes),
    )


def _timed(entry: Entry) -> bool:
    return number(entry.get("train_runtime")) is not None and number(entry.get("step")) is not None


def _whole_run(summary: Entry, history: Sequence[Entry], place: str) -> Steady:
    """Mean seconds per step of a run whose log times nothing but its whole, less evaluations."""
    seconds, rate = (
        number(summary.get("train_runtime")),
        number(summary.get("train_steps_per_second")),
    )
    if seconds is None or rate is None:
        raise InputError(
            f"{place}: says neither times of its steps nor train_runtime at its end; give the "
            "file of a run that finished, or log with include_num_input_tokens_seen"
        )
    steps = round(rate * seconds)
    evaluating = [number(e.get("eval_runtime")) or 0.0 for e in history]
    if steps < FEWEST_STEPS:
        raise InputError(
            f"{place}: {steps} steps and only their total time; warm-up would weigh too much, "
            f"at least {FEWEST_STEPS} are needed"
        )
    if sum(evaluating) >= seconds:
        raise InputError(f"{place}: its evaluations took longer than the whole run; give its log")
    return Steady(
        mean=(seconds - sum(evaluating)) / steps,
        relative_error=1.0 / steps,  # a first step of twice the usual time
        relative_scatter=0.0,
        kept=1,
        warm_up=0,
        evaluations=sum(seconds > 0 for seconds in evaluating),
        pauses=0,
    )


def _intervals(moments: Sequence[_Moment], evaluations: set[int]) -> list[Interval]:
    """What lies between entries; where a resumed run starts its clock anew, nothing does."""
    found = []
    for before, after in pairwise([_Moment(0, 0.0), *moments]):
        steps, seconds = after.step - before.step, after.seconds - before.seconds
        if steps > 0 and seconds > 0:
            evaluated = any(before.step <= step < after.step for step in evaluations)
            each = seconds / steps
            found.append(Interval(steps=steps, seconds_per_step=each, evaluated=evaluated))
    return found


def _sequences_per_step(summary: Entry) -> float | None:
    samples = number(summary.get("train_samples_per_second"))
    steps = number(summary.get("train_steps_per_second"))
    return float(round(samples / steps)) if samples and steps else None


def _settings(state: Entry) -> dict[str, int]:
    batch = number(state.get("train_batch_size"))
    return {"micro_batch": int(batch)} if batch else {}


def _largest(entries: Sequence[Entry], key: str) -> float | None:
    return max((x for e in entries if (x := number(e.get(key))) is not None), default=None)


def _from_llama_factory(log: LogText) -> RunLog:
    records = [r for r in log.records if number(r.get("current_steps"))]
    timed = [r for r in records if r.get("loss") is not None]
    moments = [m for r in timed if (m := _moment(r)) is not None]
    evaluations = {int(r["current_steps"]) for r in records if r.get("eval_loss") is not None}
    tokens, steps = _largest(records, "total_tokens"), _largest(records, "current_steps")
    return RunLog(
        path=log.path,
        format="trainer",
        steady=steady_part(_intervals(moments, evaluations), log.path.name),
        counts="step",
        tokens_per_step=tokens / steps if tokens and steps else None,
        peak_memory_gib=_largest(records, "vram_allocated"),
    )


def _moment(record: Entry) -> _Moment | None:
    tokens, rate = number(record.get("total_tokens")), number(record.get("throughput"))
    seconds = tokens / rate if tokens and rate else _clock(str(record.get("elapsed_time", "")))
    if seconds is None:
        return None
    return _Moment(int(record["current_steps"]), seconds)


def _clock(text: str) -> float | None:
    """Seconds of a Python timedelta: "1 day, 2:03:04"."""
    found = re.fullmatch(r"(?:(\d{1,6}) days?, )?(\d{1,9}):(\d\d):(\d\d)", text)
    if found is None:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
