"""Two real gloo processes, and the arithmetic of messages against textbook and PyTorch."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.benchmark.collectives import (
    CollectiveRate,
    CollectiveRates,
    fit_line,
    measure_collectives,
    rates_of,
)
from estimator.benchmark.launch import on_ranks
from estimator.benchmark.ranks import BUCKET_BYTES, FIRST_BUCKET_BYTES, bucket_bytes
from estimator.benchmark.scaling import (
    Mode,
    StepParts,
    measure_scaling,
    predict_scaling,
    scaling_of,
)
from estimator.benchmark.target import Target, target_of
from estimator.errors import InputError
from estimator.llm.parameters import count_parameters

KIB, MIB = 2**10, 2**20
ROOT = Path(__file__).parent.parent


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process of this machine, from /proc."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if status[0] != "Z":
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                found[int(folder.name)] = int(status[1]), command
    return found


def below(pid: int) -> set[int]:
    """Every living process that descends from one."""
    known = processes()
    found, grown = {pid}, True
    while grown:
        new = {child for child, (parent, _) in known.items() if parent in found} - found
        found, grown = found | new, bool(new)
    return found - {pid}


def ranks(pid: int) -> set[int]:
    known = processes()
    return {p for p in below(pid) if "-m estimator.benchmark.ranks" in known.get(p, (0, ""))[1]}


def until(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def rate(operation: str, alpha: float = 1e-3, speed: float = 1e9) -> CollectiveRate:
    sizes = tuple(KIB * 4**k for k in range(9))
    return CollectiveRate(
        operation=operation,
        nproc=2,
        alpha_seconds=alpha,
        bytes_per_second=speed,
        sizes_bytes=sizes,
        median_seconds=tuple(alpha + size / speed for size in sizes),
        fit_error=0.0,
    )


def rates(*, busy: float = 0.0, device: str = "cpu", copy: float = 1e30) -> CollectiveRates:
    return CollectiveRates(
        nproc=2,
        nodes=1,
        backend="gloo",
        device=device,
        all_reduce=rate("all_reduce"),
        all_gather=rate("all_gather"),
        reduce_scatter=rate("reduce_scatter"),
        busy_share=busy,
        copy_bytes_per_second=copy,
    )


@given(st.floats(1e-6, 1e-2), st.floats(1e8, 1e12))
@settings(max_examples=50, deadline=None)
def test_a_line_is_found_again(alpha: float, speed: float) -> None:
    sizes = KIB * 4.0 ** np.arange(9)
    found_alpha, found_speed = fit_line(sizes, alpha + sizes / speed)
    np.testing.assert_allclose(found_alpha + sizes / found_speed, alpha + sizes / speed, rtol=1e-6)


def test_relative_errors_count_alike_at_every_size() -> None:
    sizes = KIB * 4.0 ** np.arange(9)
    seconds = 1e-3 + sizes / 1e9
    seconds[0] *= 2  # a KiB that takes twice as long; absolute squares would not see it
    alpha, _ = fit_line(sizes, seconds)
    assert 1.05e-3 < alpha < 1.6e-3


def test_times_that_shrink_with_size_are_refused() -> None:
    with pytest.raises(InputError, match="too busy"):
        fit_line(np.array([1e3, 1e6]), np.array([1e-2, 1e-3]))


@pytest.mark.parametrize("nproc", [2, 4, 8])
def test_more_processes_make_a_longer_ring(nproc: int) -> None:
    """Ring all-reduce: 2 (n-1) hops, 2 (n-1)/n of the bytes through each link."""
    one = rate("all_reduce", alpha=1e-3, speed=1e9)
    expected = 1e-3 * (nproc - 1) + 2**30 / 1e9 * (2 * (nproc - 1) / nproc)
    assert float(one.seconds(2**30, nproc)) == pytest.approx(expected)
    assert one.seconds(np.array([1.0, MIB, 2**30])).shape == (3,)


def test_buckets_are_those_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    shapes = [(700, 1000), (30, 10), (512, 512), (3000, 1000), (2000, 2000), (5, 5), (900, 999)]
    parameters = [torch.empty(shape) for shape in shapes]
    sizes = [p.numel() * 4 for p in parameters]
    limits = [FIRST_BUCKET_BYTES, BUCKET_BYTES]
    indices, _ = torch._C._distributed_c10d._compute_bucket_assignment_by_size(
        parameters[::-1], limits
    )
    theirs = [sum(sizes[::-1][i] for i in bucket) for bucket in indices]
    assert bucket_bytes(sizes) == theirs and sum(theirs) == sum(sizes)


STEP = StepParts(forward_seconds=0.1, backward_seconds=0.2, optimizer_seconds=0.02)


def test_messages_hide_behind_backward_only_while_it_runs() -> None:
    small = [("all_reduce", 8 * MIB)] * 4  # each ready after a quarter, each sent within one
    each = float(rate("all_reduce").seconds(8 * MIB))
    assert each < 0.05
    hidden = predict_scaling(STEP, rates(), 2, small, "ddp")
    assert hidden == pytest.approx(STEP.seconds + each)  # the last has nothing left to hide behind
    large = [("all_reduce", 64 * MIB)] * 4
    each = float(rate("all_reduce").seconds(64 * MIB))
    shown = predict_scaling(STEP, rates(), 2, large, "ddp")
    assert shown == pytest.approx(STEP.seconds - 0.2 + 0.05 + 4 * each)


@pytest.mark.parametrize("mode", ["ddp", "fsdp2"])
def test_a_cpu_that_sends_itself_hides_nothing(mode: Mode) -> None:
    operation = "all_reduce" if mode == "ddp" else "all_gather"
    messages = [(operation, 16 * MIB)] * 3
    total = 3 * float(rate(operation).seconds(16 * MIB))
    computing = STEP.seconds - (0.01 if mode == "fsdp2" else 0.0)  # each steps half the parameters
    busy = predict_scaling(STEP, rates(busy=1.0), 2, messages, mode)
    assert busy == pytest.approx(computing + total)
    beside = predict_scaling(STEP, rates(busy=1.0, device="cuda"), 2, messages, mode)
    assert computing < beside < busy
    copied = predict_scaling(STEP, rates(busy=1.0, copy=1e9), 2, messages, mode)
    into_buckets_and_back = 2 * 3 * 16 * MIB / 1e9
    assert copied == pytest.approx(busy + (into_buckets_and_back if mode == "ddp" else 0))


def test_overlap_is_what_the_times_say() -> None:
    raw = {
        "seconds": {"alone": [1.0], "apart": [1.2], "together": [1.5], "messages": [0.6]},
        "parts": [[0.4, 0.7, 0.1]],
        "messages": [["all_reduce", 10]],
        "nproc": 2,
        "nodes": 1,
        "backend": "gloo",
        "device": "cpu",
    }
    found = scaling_of(raw, "ddp")
    assert found.overlap_share == pytest.approx(0.5)
    assert found.efficiency == pytest.approx(1 / 1.5)
    assert json.loads(json.dumps(found.as_dict()))["overlap_share"] == pytest.approx(0.5)


def test_rates_travel_through_json() -> None:
    assert CollectiveRates.from_dict(json.loads(json.dumps(rates().as_dict()))) == rates()


def test_rates_are_medians_of_the_slowest_rank() -> None:
    times = {str(KIB): [1.0, 9.0, 2.0], str(MIB): [4.0, 3.0, 5.0]}
    raw = {
        "operations": dict.fromkeys(("all_reduce", "all_gather", "reduce_scatter"), times),
        "busy_shares": [0.1, 0.5, 0.3],
        "copy_bytes": 100,
        "copy_seconds": [50.0, 2.0, 10.0],
        "nproc": 2,
        "nodes": 1,
        "backend": "gloo",
        "device": "cpu",
    }
    found = rates_of(raw)
    assert found.all_gather.median_seconds == (2.0, 4.0)
    assert (found.busy_share, found.copy_bytes_per_second) == (0.3, 10.0)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    pytest.importorskip("transformers")
    config = {
        "model_type": "llama",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "vocab_size": 256,
        "max_position_embeddings": 128,
    }
    file = tmp_path_factory.mktemp("model") / "config.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return target_of(
        str(file),
        offline=True,
        method="full",
        precision="fp32",
        sequence_length=16,
        micro_batch=1,
    )


def test_two_processes_exchange_data() -> None:
    pytest.importorskip("torch")
    found = measure_collectives(2, largest_bytes=16 * MIB, rounds=3)
    assert (found.nproc, found.nodes, found.backend, found.device) == (2, 1, "gloo", "cpu")
    for one in (found.all_reduce, found.all_gather, found.reduce_scatter):
        assert one.sizes_bytes == tuple(KIB * 4**k for k in range(8))
        assert min(one.median_seconds) > 0 and one.bytes_per_second > 0


def test_two_processes_step_together_ddp(target: Target) -> None:
    found = measure_scaling(target, 2, "ddp", rounds=2)
    trained = 4 * count_parameters(target.architecture).total
    assert sum(size for _, size in found.messages) == trained
    assert {operation for operation, _ in found.messages} == {"all_reduce"}
    assert found.apart.seconds > 0 and found.messages_seconds > 0 and found.rounds == 2


def test_two_processes_step_together_fsdp2(target: Target) -> None:
    found = measure_scaling(target, 2, "fsdp2", rounds=2)
    total = 4 * count_parameters(target.architecture).total
    sent = {name: sum(s for o, s in found.messages if o == name) for name, _ in found.messages}
    layers = 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64) * 4
    assert sent == {"all_gather": total + layers, "reduce_scatter": total}


def test_a_port_that_is_taken_is_one_clear_error() -> None:
    pytest.importorskip("torch")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} cannot be used"):
            measure_collectives(2, port=port)


def test_what_a_rank_cannot_do_is_one_clear_error() -> None:
    pytest.importorskip("torch")
    with pytest.raises(InputError, match=r"the processes failed: KeyError: ") as error:
        on_ranks({"do": "nothing"}, nproc=2, timeout_seconds=120)
    assert "\n" not in str(error.value)


def test_time_runs_out_and_nobody_is_left() -> None:
    pytest.importorskip("torch")
    before = below(os.getpid())
    with pytest.raises(InputError, match="no result within 4 seconds"):
        measure_collectives(2, timeout_seconds=4)
    assert until(lambda: below(os.getpid()) <= before)


def test_ranks_end_with_the_process_that_asked() -> None:
    pytest.importorskip("torch")
    code = "from estimator.benchmark.collectives import *; measure_collectives(2, rounds=10**6)"
    asker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        assert until(lambda: len(ranks(asker.pid)) >= 3)  # the launcher names them too
        left = below(asker.pid)
    finally:
        asker.send_signal(signal.SIGKILL)
        asker.wait()
    assert until(lambda: left.isdisjoint(processes()))


@pytest.mark.parametrize("nproc", [0, 1])
def test_one_process_has_nobody_to_talk_to(nproc: int) -> None:
    with pytest.raises(InputError, match="give 2 or more"):
        measure_collectives(nproc)


def test_under_a_launcher_its_processes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    launched = {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}
    for name, value in launched.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="2 processes asked for, but the launcher has started 4"):
        measure_collectives(2)


def test_a_mode_that_is_unknown(target: Target) -> None:
    with pytest.raises(InputError, match="ddp or fsdp2"):
        measure_scaling(target, 2, "zero3")  # type: ignore[arg-type]
