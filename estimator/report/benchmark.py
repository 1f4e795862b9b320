"""A benchmark for people and for JSON: prediction, what it stands on, and whether it holds."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from estimator.benchmark.collectives import CollectiveRates
from estimator.benchmark.largest import Largest
from estimator.benchmark.probe import BUSY_SHARE, TERA, Probe
from estimator.benchmark.record import Range, Result, evidence, ranged
from estimator.benchmark.scaling import Scaling
from estimator.benchmark.target import Target
from estimator.benchmark.verify import Verified
from estimator.decision.wording import significant
from estimator.report.layout import bars, facts, gib, heading, notes

GB = 1e9


def benchmark_dict(
    result: Result,
    *,
    verified: Verified | None,
    largest: Largest | None,
    together: tuple[CollectiveRates, Scaling] | None,
    file: Path | None,
) -> dict[str, Any]:
    """The shape that `--json` promises: device, prediction, verified, calibration_file."""
    probe, prediction = result.probe, result.prediction
    data: dict[str, Any] = {
        "device": device_dict(probe),
        "prediction": {
            "step_seconds": ranged(prediction.step_seconds),
            "peak_bytes": ranged(prediction.peak_bytes),
            "parts_seconds": dict(prediction.parts_seconds),
            "tokens_per_second": result.target.recipe.tokens_per_micro_batch
            / prediction.step_seconds.p50,
        },
        "reached_interval": prediction.reached,
        "calibration_file": str(file) if file else None,
        "interrupted": result.record.interrupted,
        "seconds": result.record.seconds,
        "notes": list(_notes(result)),
        "measured": evidence(result),
    }
    if verified is not None:
        data["verified"] = verified_dict(result, verified)
    if largest is not None:
        data["largest_micro_batch"] = asdict(largest) | {"settled": largest.settled}
    if together is not None:
        rates, scaling = together
        data["processes"] = {"collectives": rates.as_dict(), "scaling": scaling.as_dict()}
    return data


def device_dict(probe: Probe) -> dict[str, Any]:
    """The device as data."""
    return {
        "backend": probe.backend,
        "name": probe.name,
        "gpu": probe.gpu.id,
        "memory_bytes": probe.memory_bytes,
        "driver": probe.driver,
        "threads": probe.threads,
        "load_share": probe.load_share,
        "software": dict(probe.software),
        "matmul_flops_per_second": dict(probe.matmul_flops_per_second),
        "memory_bytes_per_second": probe.memory_bytes_per_second,
        "launch_seconds": probe.launch_seconds,
    }


def verified_dict(result: Result, verified: Verified) -> dict[str, Any]:
    """Measured figures of the whole model, and how far the prediction was from them."""
    predicted, peak = result.prediction.step_seconds, result.prediction.peak_bytes
    return {
        "step_seconds": verified.median_seconds,
        "peak_bytes": verified.peak_bytes,
        "steps": list(verified.step_seconds),
        "step_error": predicted.p50 / verified.median_seconds - 1,
        "step_in_interval": predicted.holds(verified.median_seconds),
        "peak_error": peak.p50 / verified.peak_bytes - 1 if peak and verified.peak_bytes else None,
    }


def benchmark_parts(
    result: Result,
    *,
    verified: Verified | None,
    largest: Largest | None,
    together: tuple[CollectiveRates, Scaling] | None,
    file: Path | None,
) -> Iterator[RenderableType]:
    """The report, prediction first."""
    target, probe = result.target, result.probe
    yield heading(
        f"{target.recipe.method} training of {target.name} on {probe.name}",
        f"{target.recipe.micro_batch} x {target.recipe.sequence_length:,} tokens a step, "
        f"{target.recipe.precision}, {target.recipe.optimizer}, "
        f"checkpointing {target.recipe.checkpointing}",
    )
    yield facts("One step of the whole model (P50, and P10 to P90)", _predicted(result))
    parts = result.prediction.parts_seconds
    if parts:
        shares = [(name, 100 * part / sum(parts.values())) for name, part in parts.items()]
        yield bars("Where the time goes, %", shares)
    if verified is not None:
        yield facts("Does it hold? The whole model, measured", _verified(result, verified))
    if largest is not None:
        yield facts("Largest micro-batch", _largest(largest))
    if together is not None:
        yield facts(f"{together[1].nproc} processes together", _together(*together))
    yield facts("Stands on", _grounds(result))
    yield facts("This device", _device(probe))
    yield notes("To know", _notes(result))
    if file is not None:
        yield notes("Kept", [f"{file}: tuneroi train and compare use it on this device"])


def _predicted(result: Result) -> Iterator[tuple[str, str, str]]:
    found = result.prediction
    tokens = result.target.recipe.tokens_per_micro_batch
    yield "seconds", *_range(found.step_seconds)
    yield "tokens per second", significant(tokens / found.step_seconds.p50), ""
    if found.peak_bytes is None:
        yield "peak memory", "-", "not measured"
        return
    peak = found.peak_bytes
    yield (
        "peak memory, GiB",
        gib(peak.p50),
        f"({gib(peak.p10)} to {gib(peak.p90)}); tensors by the formula {gib(found.formula_bytes)}",
    )


def _range(found: Range) -> tuple[str, str]:
    span = f"({significant(found.p10, 3)} to {significant(found.p90, 3)})"
    return significant(found.p50, 3), span


def _verified(result: Result, verified: Verified) -> Iterator[tuple[str, str, str]]:
    data = verified_dict(result, verified)
    inside = "within" if data["step_in_interval"] else "outside"
    yield (
        "seconds",
        significant(verified.median_seconds, 3),
        f"predicted {data['step_error']:+.1%}, {inside} the 80 % interval",
    )
    if verified.peak_bytes:
        error = "" if data["peak_error"] is None else f"predicted {data['peak_error']:+.1%}"
        yield "peak memory, GiB", gib(verified.peak_bytes), error


def _largest(largest: Largest) -> Iterator[tuple[str, str, str]]:
    fails = "nothing failed" if largest.fails is None else f"{largest.fails} ran out of memory"
    yield "runs", f"{largest.runs:,}", fails + ("" if largest.settled else "; time was used up")
    yield "by the formula", f"{largest.formula:,}", ""


def _together(rates: CollectiveRates, scaling: Scaling) -> Iterator[tuple[str, str, str]]:
    reduce = rates.all_reduce
    yield (
        "all-reduce",
        f"{reduce.bytes_per_second / GB:.2f} GB/s",
        f"and {1e6 * reduce.alpha_seconds:.0f} µs, {rates.backend}",
    )
    yield (
        "a step together",
        significant(scaling.together_seconds, 3),
        f"alone {significant(scaling.alone_seconds, 3)} s, {scaling.mode}",
    )
    share = scaling.overlap_share
    hidden = f"{share:.0%} of the messages' time is hidden" if share > 0 else "nothing is hidden"
    yield "efficiency", f"{scaling.efficiency:.0%}", hidden


def _grounds(result: Result) -> Iterator[tuple[str, str, str]]:
    record, found, held = result.record, result.prediction, result.steady
    if held is not None and found.slices_seconds is not None:
        yield (
            f"{', '.join(map(str, held.depths))} of {result.target.depth} layers",
            significant(found.slices_seconds, 3),
            f"s by slices; {held.rounds} rounds after {held.warm_up} of warm-up, noise of a step "
            f"{held.noise:.1%}, {held.outliers} outliers",
        )
    yield (
        f"{len(record.grid)} small shapes",
        significant(found.model_seconds, 3),
        f"s by the fitted physical model, ±{100 * found.model_log_sd:.0f} %",
    )
    yield "interval reached", f"±{found.reached:.1%}", f"80 %, in {record.seconds:.0f} s"
    clock = "process time" if result.probe.clock == "process" else "wall time"
    yield "clock", clock, f"wall time is {record.slowdown:.2f} times that"


def _device(probe: Probe) -> Iterator[tuple[str, str, str]]:
    named = f"{probe.backend}, driver {probe.driver}" if probe.driver else probe.backend
    yield "device", probe.name, named
    yield "memory, GiB", gib(probe.memory_bytes), ""
    for kind, rate in probe.matmul_flops_per_second.items():
        yield f"matmul {kind}", f"{rate / TERA:.3g} TFLOP/s", "best of a few shapes"
    yield "memory bandwidth", f"{probe.memory_bytes_per_second / GB:.3g} GB/s", ""
    yield "launch", f"{1e6 * probe.launch_seconds:.3g} µs", ""
    versions = (f"{name} {version}" for name, version in probe.software.items())
    yield "software", "", ", ".join(versions)


def _notes(result: Result) -> Iterator[str]:
    probe, record = result.probe, result.record
    if record.interrupted:
        yield "interrupted: what had been measured until then was used"
    if probe.load_share > BUSY_SHARE:
        yield (
            f"the machine was busy (load {probe.load_share:.0%} of its cores) before the "
            "benchmark began: close other programs for a narrower range"
        )
    if probe.backend == "cpu":
        yield (
            f"timed with {probe.threads} thread{'s' if probe.threads > 1 else ''} and an "
            "allocator that keeps freed memory; with glibc's defaults a step takes up to half as "
            "long again (memory was measured with the defaults)"
        )
    yield from record.notes


def plan_dict(target: Target, budget_seconds: float, asked: Mapping[str, bool]) -> dict[str, Any]:
    """What a benchmark would run and how long it would take, without running it."""
    return {
        "model": target.name,
        "layers": target.depth,
        "recipe": target.recipe.model_dump(mode="json"),
        "budget_seconds": budget_seconds,
        "steps": list(plan_lines(target, budget_seconds, asked)),
    }


def plan_lines(target: Target, budget_seconds: float, asked: Mapping[str, bool]) -> Iterator[str]:
    """The stages of a benchmark in words."""
    yield "probe the device: matmul by type, memory bandwidth, launches (seconds)"
    yield f"time small shapes until a quarter of the budget ({budget_seconds / 4:.0f} s) is used"
    yield "measure peak memory of one layer and of as many as a quarter of the budget allows"
    yield (
        f"time up to {target.depth} layers of {target.name} in interleaved rounds at three depths "
        f"until the interval is narrow enough or {budget_seconds:.0f} s are used"
    )
    if asked["verify"]:
        yield "run the whole model for 8 steps, and 2 for its peak memory (beyond the budget)"
    if asked["largest"]:
        yield f"search the largest micro-batch ({budget_seconds:.0f} s more at most)"
    if asked["nproc"]:
        yield "measure collectives and a step of several processes (about a minute more)"


def plan_parts(
    target: Target, budget_seconds: float, asked: Mapping[str, bool]
) -> Iterator[RenderableType]:
    """The plan to print."""
    yield heading(
        f"Benchmark of {target.name}",
        f"{target.recipe.method}, {target.recipe.precision}, "
        f"{target.recipe.micro_batch} x {target.recipe.sequence_length:,} tokens; "
        f"about {budget_seconds:.0f} s",
    )
    yield notes("What would be run", plan_lines(target, budget_seconds, asked))
