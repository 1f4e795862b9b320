"""Measured collectives become part of a calibration: from one device to several of the same kind.

A ring all-reduce of B bytes among n ranks takes 2 latencies and 2 (n-1)/n B over the link
(Thakur, Rabenseifner and Gropp 2005), so that the fitted line alpha + B / rate gives both. The
network between nodes is left as it is: one node does not show it.
"""

from dataclasses import replace
from pathlib import Path

from estimator.benchmark.collectives import CollectiveRates
from estimator.benchmark.scaling import Scaling
from estimator.files import write_atomically
from estimator.hardware.calibration import Calibration, Entry
from estimator.hardware.calibration_file import CalibrationFile, load_calibration_file
from estimator.hardware.cluster import GB
from pricing.gpus import gpu_spec

LOG_SD = 0.1  # of a rate measured once
LEAST_EXPOSED, MOST_EXPOSED = 0.02, 2.0
"""Of the time of messages: some always shows; above 1 being together costs more than both."""


def link_of(rates: CollectiveRates) -> tuple[float, float]:
    """Latency in seconds and bytes/s of the link, as a ring all-reduce shows them."""
    ranks = rates.nproc
    reduce = rates.all_reduce
    return reduce.alpha_seconds / 2, 2 * (ranks - 1) / ranks * reduce.bytes_per_second


def with_links(file: CalibrationFile, rates: CollectiveRates, scaling: Scaling) -> CalibrationFile:
    """The same calibration with the measured link, and with how much of its time shows.

    A GPU of the catalogue keeps its data sheet and gets the share of its link that was reached; a
    measured device gets the link itself.
    """
    latency, bandwidth = link_of(rates)
    device = file.device
    if device.spec is None:
        share = bandwidth / (_link_of_catalogue(file) * GB)
    else:
        share = 1.0
        spec = replace(
            device.spec,
            interconnect="measured between processes",
            interconnect_gb_per_second=bandwidth / GB,
            note="rates and link measured",
        )
        device = device.model_copy(update={"spec": spec})
    exposed = min(max(1.0 - scaling.overlap_share, LEAST_EXPOSED), MOST_EXPOSED)
    found = {
        "link_efficiency": share,
        "link_latency_seconds": latency,
        "exposed_data": exposed,
    }
    return file.model_copy(
        update={
            "device": device,
            "calibration": _with_measured(file.calibration, found),
            "evidence": {
                **file.evidence,
                "collectives": rates.as_dict(),
                "scaling": scaling.as_dict(),
            },
        }
    )


def _link_of_catalogue(file: CalibrationFile) -> float:
    assert file.device.gpu_id is not None, "a device without a data sheet was measured"
    return gpu_spec(file.device.gpu_id).interconnect_gb_per_second


def _with_measured(calibration: Calibration, found: dict[str, float]) -> Calibration:
    entries = {}
    for name, value in found.items():
        before = calibration.parameters[name].entries["all"]
        measured = {"value": value, "log_sd": LOG_SD, "origin": "fitted"}
        entries[name, "all"] = Entry.model_validate(before.model_dump() | measured)
    return calibration.with_entries(entries)


def keep_links(path: Path, rates: CollectiveRates, scaling: Scaling) -> None:
    """Put measured links into a calibration file, whole or not at all."""
    file = with_links(load_calibration_file(path), rates, scaling)
    write_atomically(path, file.model_dump_json(indent=1) + "\n")
