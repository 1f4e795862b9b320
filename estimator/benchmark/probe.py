"""What a probe found, and the data sheet that the formulas read where the catalogue has none."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from estimator.errors import CatalogError
from pricing.gpus import GpuSpec, gpu_spec

Backend = Literal["cuda", "rocm", "mps", "xpu", "cpu"]
GENERATIONS: Mapping[str, str] = {"cpu": "CPU", "mps": "Apple", "xpu": "Intel"}
"""Under these a calibration keeps what it measured on such devices."""
TERA = 1e12
GB = 1e9
BUSY_SHARE = 0.5
"""Load average over cores from which other programs count as a disturbance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The device and its best rates."""

    backend: Backend
    name: str
    memory_bytes: int
    driver: str | None
    threads: int
    software: Mapping[str, str]
    matmul_flops_per_second: Mapping[str, float]
    memory_bytes_per_second: float
    launch_seconds: float
    touch_bytes_per_second: float
    """How fast memory can be used for the first time."""
    load_share: float
    """Load average over cores before the benchmark began."""

    @property
    def clock(self) -> Literal["wall", "process"]:
        """Process time where one CPU thread does all the work: neighbours do not count in it."""
        return clock_of(self.backend, self.threads)

    @property
    def catalogue_gpu(self) -> GpuSpec | None:
        """The GPU of the catalogue that this is; None where it has none."""
        if self.backend not in ("cuda", "rocm"):
            return None
        try:
            return gpu_spec(self.name)
        except CatalogError:
            return None

    @property
    def gpu(self) -> GpuSpec:
        """The data sheet of the catalogue, else the measured one."""
        return self.catalogue_gpu or self.measured_spec

    @property
    def measured_spec(self) -> GpuSpec:
        """A data sheet whose peaks are what was measured."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.name.casefold()).strip("-")
        threads = f"-{self.threads}-threads" if self.backend == "cpu" else ""
        rates = {k: rate / TERA for k, rate in self.matmul_flops_per_second.items()}
        bandwidth = self.memory_bytes_per_second / GB
        return GpuSpec(
            id=f"{self.backend}-{slug}{threads}",
            aliases=(),
            vendor="unknown",
            generation=GENERATIONS.get(self.backend, "unlisted"),
            memory_gb=self.memory_bytes / GB,
            memory_gib=self.memory_bytes / 2**30,
            memory_source="reported by the system",
            memory_bandwidth_gb_per_second=bandwidth,
            dense_tflops=rates,
            mamf_bf16_tflops=rates.get("bf16"),
            mamf_fp8_tflops=None,
            interconnect="own memory",
            interconnect_gb_per_second=bandwidth,
            pcie="3.0",
            tdp_watts=None,
            purchase_price_usd=None,
            source="tuneroi benchmark on this machine",
            as_of="",
            evidence="measured",
            note="rates measured; one device, so that its links are not used",
        )


def clock_of(backend: str, threads: int) -> Literal["wall", "process"]:
    """Which clock times the steps."""
    return "process" if backend == "cpu" and threads == 1 else "wall"


def probe_of(hello: Mapping[str, Any], rates: Mapping[str, Any], load_share: float) -> Probe:
    """The probe in a child's answers."""
    return Probe(
        backend=hello["backend"],
        name=hello["name"],
        memory_bytes=hello["memory_bytes"],
        driver=hello["driver"],
        threads=hello["threads"],
        software=hello["software"],
        load_share=load_share,
        **rates,
    )


def usable_threads() -> int:
    """Threads that a training run would take: OMP_NUM_THREADS, else the cores of this process."""
    named = os.environ.get("OMP_NUM_THREADS", "")
    if named.isdecimal() and int(named) > 0:
        return int(named)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
