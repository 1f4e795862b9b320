"""The real child on tiny models: what it builds, steps, measures, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("peft")

from estimator.benchmark import largest
from estimator.benchmark.building import build
from estimator.benchmark.largest import search
from estimator.benchmark.measure import Settings
from estimator.benchmark.probe import Probe
from estimator.benchmark.target import Target, target_of
from estimator.benchmark.worker import (
    OutOfMemory,
    TooSlow,
    Worker,
    available_bytes,
    total_bytes,
    worker,
)
from estimator.errors import InputError
from estimator.llm.parameters import count_parameters

LIMIT = 700 * 2**20
TINY = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 512,
    "max_position_embeddings": 128,
    "tie_word_embeddings": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("tiny")
    (place / "config.json").write_text(json.dumps(TINY), encoding="utf-8")
    return place


def tiny(folder: Path, **recipe: object) -> Target:
    usual = {"method": "full", "precision": "fp32", "sequence_length": 32, "checkpointing": "none"}
    return target_of(str(folder), offline=True, **{**usual, **recipe})


@pytest.fixture(scope="module")
def child() -> Iterator[Worker]:
    with worker("memory", threads=1, device="cpu") as made:
        made.ask(do="hello", threads=1)
        yield made


@pytest.mark.parametrize(
    "recipe",
    [
        {},
        {"checkpointing": "full"},
        {"method": "lora", "precision": "bf16", "lora_rank": 4},
        {"method": "lora", "checkpointing": "full", "attention": "eager"},
        {"precision": "amp", "optimizer": "sgd"},
        {"optimizer": "adafactor", "micro_batch": 3},
    ],
)
def test_steps_come_in_three_parts_at_every_depth(
    child: Worker, folder: Path, recipe: dict[str, object]
) -> None:
    target = tiny(folder, **recipe)
    child.ask(do="build", case=target.case(4))
    for depth in (4, 1, 2):
        steps = child.ask(do="steps", depth=depth, count=2)
        assert len(steps) == 2
        for step in steps:
            assert len(step["wall"]) == len(step["process"]) == 3
            assert all(part > 0 for part in step["wall"])


def test_the_model_has_the_parameters_that_the_inventory_counts(folder: Path) -> None:
    target = tiny(folder)
    for depth in (1, 4):
        built = build(target.case(depth), "cpu")
        assert len(built.layers) == depth
        total = sum(parameter.numel() for parameter in built.model.parameters())
        assert total == count_parameters(target.at(depth)).total


def test_layers_that_are_cut_off_get_no_gradient(folder: Path) -> None:
    built = build(tiny(folder).case(4), "cpu")
    before = [layer.mlp.up_proj.weight.clone() for layer in built.layers]
    built.cut_to(2)
    built.model(input_ids=built.ids, labels=built.ids, use_cache=False).loss.backward()
    reached = [layer.mlp.up_proj.weight.grad is not None for layer in built.layers]
    assert reached == [True, True, False, False]
    built.optimizer.step()
    moved = [
        not weight.equal(layer.mlp.up_proj.weight)
        for weight, layer in zip(before, built.layers, strict=True)
    ]
    assert moved == [True, True, False, False]


def test_only_adapters_are_trained_with_lora(folder: Path) -> None:
    built = build(tiny(folder, method="lora", precision="bf16").case(2), "cpu")
    trained = {n for n, p in built.model.named_parameters() if p.requires_grad}
    assert trained and all("lora_" in name for name in trained)


def test_a_cut_model_of_lora_with_checkpointing_trains_its_first_layers(folder: Path) -> None:
    built = build(tiny(folder, method="lora", checkpointing="full").case(4), "cpu")
    built.cut_to(1)
    built.model(input_ids=built.ids, labels=built.ids, use_cache=False).loss.backward()
    with_gradient = [n for n, p in built.model.named_parameters() if p.grad is not None]
    assert with_gradient and all("layers.0." in name for name in with_gradient)


def test_peaks_are_above_the_start_and_grow_with_the_logits(child: Worker, folder: Path) -> None:
    small, large = tiny(folder), tiny(folder, micro_batch=64, sequence_length=128)
    peaks = [child.ask(do="memory", case=target.case(2), steps=2) for target in (small, large)]
    assert all(peak["peak_bytes"] >= peak["before_bytes"] > 0 for peak in peaks)
    logits = 64 * 128 * 512 * 4
    assert peaks[1]["peak_bytes"] - peaks[0]["peak_bytes"] > 2 * logits


def test_rates_are_positive_and_named_by_type(child: Worker) -> None:
    found = child.ask(do="rates", clock="process")
    assert set(found["matmul_flops_per_second"]) == {"fp32", "bf16"}
    assert all(rate > 0 for rate in found["matmul_flops_per_second"].values())
    assert min(found["memory_bytes_per_second"], found["touch_bytes_per_second"]) > 0
    drift = child.ask(do="drift")
    assert drift["wall"] > 0 and drift["process"] > 0


def test_a_config_that_its_class_refuses_is_one_line(child: Worker, folder: Path) -> None:
    case = tiny(folder).case(2)
    case["config"] = {**case["config"], "num_attention_heads": 0}
    with pytest.raises(InputError, match="cannot be stepped here") as refused:
        child.ask(do="build", case=case)
    assert "\n" not in str(refused.value)
    case["config"] = {"model_type": "no-such-model"}
    with pytest.raises(InputError, match="no-such-model"):
        child.ask(do="build", case=case)


def test_memory_that_runs_out_is_said_and_the_child_lives_on(folder: Path) -> None:
    target = tiny(folder, micro_batch=16384, sequence_length=128)
    with worker("memory", threads=1, device="cpu") as limited:
        limited.ask(do="hello", threads=1, limit_bytes=LIMIT)
        with pytest.raises(OutOfMemory):
            limited.ask(do="memory", case=target.case(4), steps=2)
        small = limited.ask(do="memory", case=tiny(folder).case(1), steps=2)
        assert small["peak_bytes"] > 0


def test_attempts_end_where_memory_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Limited:
        def ask(self, **request: Any) -> dict[str, int]:
            if request["do"] == "memory" and request["case"]["recipe"]["micro_batch"] > 11:
                raise OutOfMemory("full")
            return {"peak_bytes": 7}

    @contextmanager
    def fake(*_: object, **__: object) -> Iterator[Limited]:
        yield Limited()

    monkeypatch.setattr(largest, "worker", fake)
    probe = Probe(
        backend="cpu",
        name="A CPU",
        memory_bytes=2**34,
        driver=None,
        threads=1,
        software={},
        matmul_flops_per_second={"fp32": 1e11},
        memory_bytes_per_second=1e10,
        launch_seconds=1e-6,
        touch_bytes_per_second=1e9,
        load_share=0.0,
    )
    room = Settings(threads=1, limit_bytes=2**29 + 2**24)
    found = largest.largest_micro_batch(tiny(folder), probe, room, lambda *_: None)
    assert (found.runs, found.fails) == (11, 12) and found.settled
    assert 1 <= found.formula < 4096
    assert {a.micro_batch: a.ran for a in found.attempts}[12] is False
    late = Settings(threads=1, budget_seconds=0.0, limit_bytes=room.limit_bytes)
    assert not largest.largest_micro_batch(tiny(folder), probe, late, lambda *_: None).settled


def test_a_child_that_answers_too_late_is_ended(folder: Path) -> None:
    with worker("time", threads=1, device="cpu") as slow:
        with pytest.raises(TooSlow, match="within 0 s"):
            slow.ask(0.0, do="hello", threads=1)
        with pytest.raises((InputError, OutOfMemory)):
            slow.ask(do="drift")


def test_a_child_that_the_kernel_ends_means_no_memory() -> None:
    with worker("time", threads=1, device="cpu") as victim:
        os.kill(victim._process.pid, signal.SIGKILL)
        with pytest.raises(OutOfMemory, match="SIGKILL"):
            victim.ask(do="hello", threads=1)


def test_a_child_ends_with_its_input() -> None:
    lonely = subprocess.Popen(
        [sys.executable, "-c", "from estimator.benchmark.child import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert lonely.stdin is not None and lonely.stdout is not None
    lonely.stdin.close()
    assert lonely.wait(timeout=60) == 0
    lonely.stdout.close()


def test_memory_of_the_machine_is_read() -> None:
    assert 0 < available_bytes() <= total_bytes()


@pytest.mark.parametrize("limit", [0, 1, 2, 7, 8, 63, 100])
@pytest.mark.parametrize("first", [0, 1, 5, 64])
def test_the_search_ends_at_the_limit(limit: int, first: int) -> None:
    tried: list[int] = []

    def runs(batch: int) -> bool:
        tried.append(batch)
        return batch <= limit

    low, high = search(runs, first, 64, lambda: False)
    assert low == min(limit, 64)
    assert high == (None if limit >= 64 else limit + 1)
    assert len(tried) == len(set(tried)) <= 14


def test_a_search_that_ends_early_keeps_its_bracket() -> None:
    tried: list[int] = []
    low, high = search(lambda n: tried.append(n) or n <= 40, 4, 4096, lambda: len(tried) >= 5)  # type: ignore[func-returns-value]
    assert low == 32 and high == 64
