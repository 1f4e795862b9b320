"""Measured collectives in a calibration: one device's measurement says what several would do."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from estimator.benchmark.collectives import CollectiveRate, CollectiveRates
from estimator.benchmark.links import keep_links, link_of, with_links
from estimator.benchmark.scaling import Scaling, StepParts
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.calibration_file import (
    CalibrationFile,
    Device,
    load_calibration_file,
    save_calibration_file,
)
from estimator.hardware.cluster import GB, Cluster
from estimator.hardware.rates import all_reduce_seconds, cluster_rates, place
from estimator.llm.catalogue import catalogue_architecture
from estimator.training.recipe import TrainingRecipe
from estimator.training.throughput import step_time
from pricing import gpu_spec

ALPHA, RATE = 8e-4, 1.0e9


def rates(bytes_per_second: float = RATE) -> CollectiveRates:
    def one(name: str) -> CollectiveRate:
        sizes = (2**10, 2**26)
        return CollectiveRate(
            operation=name,
            nproc=2,
            alpha_seconds=ALPHA,
            bytes_per_second=bytes_per_second,
            sizes_bytes=sizes,
            median_seconds=tuple(ALPHA + size / bytes_per_second for size in sizes),
            fit_error=0.0,
        )

    names = ("all_reduce", "all_gather", "reduce_scatter")
    return CollectiveRates(
        nproc=2, nodes=1, backend="gloo", device="cpu", busy_share=1.0,
        copy_bytes_per_second=5e9, **{name: one(name) for name in names},
    )  # fmt: skip


def scaling(exposed: float) -> Scaling:
    parts = StepParts(forward_seconds=0.3, backward_seconds=0.7, optimizer_seconds=0.0)
    return Scaling(
        mode="ddp", nproc=2, nodes=1, backend="gloo", device="cpu", alone_seconds=1.0,
        apart=parts, together_seconds=1.0 + exposed, messages_seconds=1.0,
        messages=(), rounds=5, spread=0.0,
    )  # fmt: skip


def calibrated(known: str | None) -> CalibrationFile:
    gpu = gpu_spec("a100-sxm4-80gb")
    return CalibrationFile(
        schema_version=1, tuneroi_version="0", created=datetime.now(tz=UTC), kind="benchmark",
        device=Device(
            backend="cuda", name="some card", gpu_id=known, count=1, memory_bytes=2**36,
            driver=None, spec=None if known else replace(gpu, id="some-card"),
        ),
        software={}, calibration=shipped_calibration(), evidence={"kept": 1},
    )  # fmt: skip


@pytest.mark.parametrize("known", ["a100-sxm4-80gb", None])
def test_the_formula_gives_back_what_was_measured(known: str | None) -> None:
    file = with_links(calibrated(known), rates(), scaling(0.5))
    gpu = gpu_spec(known) if known else file.device.spec
    assert gpu is not None
    values = file.calibration.values
    group = place(
        cluster_rates(Cluster.of(gpu, 2, gpus_per_node=2), "bf16", values), 2, 1,
        link_efficiency=values["link_efficiency"]["all"],
        network_efficiency=1.0,
        link_latency_seconds=values["link_latency_seconds"]["all"],
        network_latency_seconds=1.0,
    )  # fmt: skip
    sizes = np.array([2.0**10, 2.0**20, 2.0**26])
    assert all_reduce_seconds(group, sizes) == pytest.approx(ALPHA + sizes / RATE, rel=1e-6)


def test_a_link_of_two_ranks_carries_what_an_all_reduce_shows() -> None:
    assert link_of(rates()) == pytest.approx((ALPHA / 2, RATE))


def test_slower_links_make_two_devices_slower_and_one_not() -> None:
    model, recipe = catalogue_architecture("Qwen/Qwen2.5-0.5B"), TrainingRecipe(method="full")
    gpu = gpu_spec("a100-sxm4-80gb")
    found = {}
    for rate in (1e9, 100e9):
        file = with_links(calibrated(gpu.id), rates(rate), scaling(1.0))
        for count in (1, 2):
            step = step_time(model, recipe, Cluster.of(gpu, count), file.calibration)
            found[rate, count] = float(step.step_seconds)
    assert found[1e9, 1] == found[100e9, 1]
    assert found[1e9, 2] > 1.05 * found[100e9, 2]


def test_exposed_time_stays_within_reason() -> None:
    for exposed in (-0.5, 0.3, 9.0):
        file = with_links(calibrated(None), rates(), scaling(exposed))
        value = file.calibration.values["exposed_data"]["all"]
        assert value == pytest.approx(min(max(exposed, 0.02), 2.0))


def test_links_are_kept_in_the_file_beside_what_it_held(tmp_path: Path) -> None:
    path = save_calibration_file(calibrated(None), tmp_path)
    keep_links(path, rates(), scaling(0.5))
    file = load_calibration_file(path)
    assert file.evidence["kept"] == 1 and "collectives" in file.evidence
    assert file.device.spec is not None
    assert file.device.spec.interconnect_gb_per_second == pytest.approx(RATE / GB)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
