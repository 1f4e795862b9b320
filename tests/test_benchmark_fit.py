"""The physical model fitted to steps: against machines whose parameters are known."""

import numpy as np
import pytest

from estimator.benchmark.fit import (
    Timed,
    device_cluster,
    device_prior,
    fit_device,
    predicted,
    predicted_log_sd,
)
from estimator.benchmark.grid import grid
from estimator.benchmark.peak import extrapolate_peak, formula_bytes
from estimator.benchmark.probe import Probe, clock_of, usable_threads
from estimator.benchmark.spread import spreads
from estimator.benchmark.target import Target, first_layers, target_of
from estimator.errors import InputError, MissingExtra
from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import catalogue
from estimator.llm.parameters import count_parameters

CPU = Probe(
    backend="cpu",
    name="Some CPU",
    memory_bytes=16 * 2**30,
    driver=None,
    threads=1,
    software={},
    matmul_flops_per_second={"fp32": 1e11, "bf16": 4e11},
    memory_bytes_per_second=2e10,
    launch_seconds=5e-6,
    touch_bytes_per_second=2e9,
    load_share=0.1,
)
OTHERS = [
    ("gpt2", {"method": "full", "sequence_length": 256}),
    ("EleutherAI/pythia-410m", {"method": "full", "sequence_length": 128}),
    ("HuggingFaceTB/SmolLM2-135M", {"method": "lora", "sequence_length": 512}),
    ("Qwen/Qwen2.5-0.5B", {"method": "full", "sequence_length": 128, "checkpointing": "full"}),
]


def machine(seed: int) -> Calibration:
    """A device unlike the shipped ones: every parameter off by a factor of e^0.6 or so."""
    prior = device_prior(shipped_calibration(), device_cluster(CPU), seen=False)
    random = np.random.default_rng(seed)
    entries = {
        (name, key): entry.model_copy(
            update={"value": entry.value * float(np.exp(0.6 * random.standard_normal()))}
        )
        for name, parameter in prior.parameters.items()
        for key, entry in parameter.entries.items()
        if entry.log_sd == 1.0
    }
    return prior.with_entries(entries)


def steps(true: Calibration, seed: int, noise: float = 0.01) -> list[Timed]:
    """The grid as that machine would run it."""
    random = np.random.default_rng(seed)
    cluster = device_cluster(CPU)
    recipe = target_of("gpt2", offline=True, precision="fp32").recipe
    return [
        Timed(
            target=shape,
            depth=shape.depth,
            seconds=float(predicted(shape, shape.depth, cluster, true).step_seconds)
            * float(np.exp(noise * random.standard_normal())),
            log_sd=noise,
            source="grid",
        )
        for shape in grid("cpu", recipe)
    ]


def other_targets() -> list[Target]:
    return [
        target_of(name, offline=True, **{"precision": "fp32", "checkpointing": "none", **recipe})
        for name, recipe in OTHERS
    ]


@pytest.mark.parametrize("seed", range(4))
def test_a_grid_of_small_shapes_predicts_models_far_larger(seed: int) -> None:
    true, cluster = machine(seed), device_cluster(CPU)
    fitted = fit_device(CPU, shipped_calibration(), steps(true, seed), spreads())
    errors, before = [], []
    for target in other_targets():
        real = float(predicted(target, target.depth, cluster, true).step_seconds)
        for calibration, found in ((fitted.calibration, errors), (shipped_calibration(), before)):
            guess = float(predicted(target, target.depth, cluster, calibration).step_seconds)
            found.append(abs(np.log(guess / real)))
    assert np.median(errors) < 0.08 and max(errors) < 0.25
    assert np.median(errors) < 0.5 * np.median(before)


def test_more_noise_leaves_more_doubt() -> None:
    true, target = machine(1), other_targets()[0]
    doubts = []
    for noise in (0.01, 0.3):
        fitted = fit_device(CPU, shipped_calibration(), steps(true, 1, noise), spreads())
        doubts.append(predicted_log_sd(fitted, target, device_cluster(CPU), 0.0))
    assert doubts[1] > 2 * doubts[0]


def test_slices_of_the_target_pull_its_own_prediction() -> None:
    true, cluster, target = machine(2), device_cluster(CPU), other_targets()[1]
    slices = [
        Timed(
            target=target,
            depth=depth,
            seconds=1.3 * float(predicted(target, depth, cluster, true).step_seconds),
            log_sd=0.005,
            source="slice",
        )
        for depth in (1, 4, 12)
    ]
    found = []
    for rows in (steps(true, 2), [*steps(true, 2), *slices]):
        calibration = fit_device(CPU, shipped_calibration(), rows, spreads()).calibration
        found.append(float(predicted(target, target.depth, cluster, calibration).step_seconds))
    assert 1.02 * found[0] < found[1] < 1.3 * found[0]


def test_the_calibration_says_what_it_knows() -> None:
    fitted = fit_device(CPU, shipped_calibration(), steps(machine(0), 0), spreads())
    found = fitted.calibration
    assert found.knowledge("CPU", "huggingface") == "seen"
    assert found.knowledge("Hopper", "huggingface") == "one_unseen"
    assert found.spread["seen"].factor == spreads().transfer_factor
    assert found.rows == len(steps(machine(0), 0)) and "Some CPU" in found.source
    before = shipped_calibration()
    assert (
        found.values["matmul_efficiency"]["hopper"] == before.values["matmul_efficiency"]["hopper"]
    )


def test_a_known_gpu_starts_from_the_shipped_values() -> None:
    h100 = Probe(
        **{
            **{name: getattr(CPU, name) for name in CPU.__slots__},
            "backend": "cuda",
            "name": "NVIDIA H100 80GB HBM3",
        }
    )
    assert h100.catalogue_gpu is not None and h100.gpu.id.startswith("h100")
    cluster, recipe = device_cluster(h100), target_of("gpt2", offline=True).recipe
    shipped = shipped_calibration()
    rows = [
        Timed(
            target=shape,
            depth=shape.depth,
            seconds=float(predicted(shape, shape.depth, cluster, shipped).step_seconds),
            log_sd=0.01,
            source="grid",
        )
        for shape in grid("gpu", recipe)
    ]
    fitted = fit_device(h100, shipped, rows, spreads())
    for name, key in fitted.places:
        held = shipped.values[name].get(key, shipped.values[name].get("other"))
        assert fitted.calibration.values[name][key] == pytest.approx(held, rel=1e-3)


def test_a_device_without_a_data_sheet_gets_a_measured_one() -> None:
    spec = CPU.gpu
    assert spec.id == "cpu-some-cpu-1-threads" and spec.evidence == "measured"
    assert spec.dense_tflops["bf16"] == pytest.approx(0.4)
    assert spec.memory_bandwidth_gb_per_second == pytest.approx(20.0)


def test_process_time_is_the_clock_of_one_thread_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock_of("cpu", 1) == "process"
    assert clock_of("cpu", 2) == clock_of("cuda", 1) == "wall"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert usable_threads() == 3


@pytest.mark.parametrize("name", ["gpt2", "google/gemma-3-270m", "Qwen/Qwen3-0.6B"])
def test_fewer_layers_are_what_the_config_with_fewer_layers_is(name: str) -> None:
    target = target_of(name, offline=True)
    config = dict(target.config)
    key = "n_layer" if "n_layer" in config else "num_hidden_layers"
    for depth in (1, 3, target.depth):
        shallow = Architecture.from_hf_config(config | {key: depth})
        cut = first_layers(target.architecture, depth)
        assert count_parameters(cut).total == count_parameters(shallow).total
        assert cut.num_layers == depth


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        ({"optimizer": "lion"}, "lion"),
        ({"checkpointing": "selective"}, "selective"),
    ],
)
def test_what_cannot_be_stepped_is_refused(wish: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says):
        target_of("gpt2", offline=True, **wish)


def test_qlora_needs_its_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("estimator.benchmark.target.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="bitsandbytes"):
        target_of("gpt2", offline=True, method="qlora")
    monkeypatch.setattr("estimator.benchmark.target.find_spec", lambda name: object())
    assert target_of("gpt2", offline=True, method="qlora").recipe.method == "qlora"


def test_a_bare_size_has_no_layers_to_run() -> None:
    with pytest.raises(InputError, match="bare size"):
        target_of("7B", offline=True)


@pytest.mark.parametrize("growth", [0.0, 0.1])
@pytest.mark.parametrize("name", ["gpt2", "Qwen/Qwen2.5-0.5B"])
def test_peaks_of_a_few_layers_give_the_peak_of_all(name: str, growth: float) -> None:
    target = target_of(name, offline=True, method="full", precision="fp32", sequence_length=128)
    first = formula_bytes(target, 1, "cpu")

    def real(depth: int) -> float:
        form = formula_bytes(target, depth, "cpu")
        return 4e8 + form + growth * (form - first)

    found = extrapolate_peak(target, {d: real(d) for d in (1, 4, 8)}, "cpu")
    assert found.bytes == pytest.approx(real(target.depth), rel=0.02)
    assert found.log_sd < 0.06
    assert found.formula_bytes == formula_bytes(target, target.depth, "cpu")


def test_deeper_peaks_leave_less_doubt() -> None:
    target = target_of("gpt2", offline=True, method="full", precision="fp32")

    def doubt(deepest: int) -> float:
        peaks = {d: 4e8 + 1.1 * formula_bytes(target, d, "cpu") for d in (1, deepest)}
        return extrapolate_peak(target, peaks, "cpu").log_sd

    assert doubt(2) > doubt(6) > doubt(12)


def test_every_shipped_decoder_can_be_cut() -> None:
    for name in list(catalogue())[::40]:
        target = target_of(name, offline=True)
        assert target.at(1).num_layers == 1
