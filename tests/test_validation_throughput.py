"""`tuneroi validate throughput` and `validate runs` on small made-up files."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Tuneroi
from hypothesis import given
from hypothesis import strategies as st

from estimator.hardware.calibration import shipped_calibration
from estimator.llm.catalogue import catalogue_architecture
from estimator.training.published import measurement
from estimator.training.throughput import step_time
from estimator.validation.rows import read_rows
from estimator.validation.runs import validate_runs
from estimator.validation.throughput import (
    case_of,
    spearman,
    validate_calibrated,
    validate_throughput,
)

PUBLISHED = Path(__file__).parent / "data" / "throughput_published.csv"
PLAIN = {
    "row_id": "r", "source_key": "a", "model": "mistral-7b", "layers": "32", "hidden": "4096",
    "ffn": "14336", "heads": "32", "kv_heads": "8", "head_dim": "128", "vocab": "32000",
    "tied_embeddings": "no", "gated_mlp": "yes", "n_experts": "", "experts_per_token": "",
    "method": "full", "lora_rank": "", "lora_targets": "", "optimizer": "adamw",
    "precision": "bf16", "seq_len": "4096", "micro_batch": "2", "grad_accum": "1",
    "n_gpus": "8", "gpus_per_node": "8", "gpu": "h100-sxm5-80gb", "sharding": "zero3",
    "activation_checkpointing": "full", "attention": "flash", "compiled": "no", "offload": "no",
    "framework": "torchtune", "tokens_per_s_per_gpu": "10000", "flag": "", "notes": "",
    "tp": "", "pp": "", "cp": "", "ep": "", "global_batch": "", "mean_tokens_per_sample": "",
}  # fmt: skip
RUN = {
    "case_id": "run", "family": "f", "model": "LLaMA 7B -> Alpaca 7B", "params_b": "6.74",
    "method": "LoRA r8", "stage": "SFT", "total_tokens_m": "100", "tokens_per_epoch_m": "",
    "epochs": "", "seq_len": "2048", "global_batch": "64", "gpu": "A100 80GB", "gpu_count": "8",
    "wall_hours": "", "gpu_hours": "8", "cost_usd": "", "cost_basis": "", "source": "litgpt",
}  # fmt: skip


def write(path: Path, base: dict[str, str], *changes: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(base))
        writer.writeheader()
        writer.writerows({**base, **change} for change in changes)
    return path


def file_of(folder: Path, *changes: dict[str, str]) -> Path:
    return write(folder / "throughput.csv", PLAIN, *changes)


def runs_of(folder: Path, *changes: dict[str, str]) -> Path:
    return write(folder / "runs.csv", RUN, *changes)


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


def rate_of(folder: Path, **changes: str) -> float:
    """What the model predicts for the plain row."""
    found = validate_throughput(file_of(folder, changes))
    return found.scores.predictions[0].p50


def test_a_row_is_the_step_time_of_its_architecture_recipe_and_cluster(tmp_path: Path) -> None:
    found = measurement(PLAIN)
    step = step_time(found.architecture, found.recipe, found.cluster)
    (row,) = validate_throughput(file_of(tmp_path, {})).scores.predictions
    factor = shipped_calibration().spread["seen"].factor
    assert row.p50 == pytest.approx(float(step.tokens_per_second_per_gpu))
    assert (row.p10, row.p90) == pytest.approx((row.p50 / factor, row.p50 * factor))


def test_scores_by_hand(tmp_path: Path) -> None:
    rate = rate_of(tmp_path)
    h200 = rate_of(tmp_path, gpu="h200-sxm-141gb")
    found = validate_throughput(
        file_of(
            tmp_path,
            {"tokens_per_s_per_gpu": str(rate / 1.1)},
            {"tokens_per_s_per_gpu": str(rate / 1.25)},
            {"tokens_per_s_per_gpu": str(rate / 3.0), "source_key": "b"},
            {"tokens_per_s_per_gpu": str(h200), "gpu": "h200-sxm-141gb", "source_key": "b"},
            {"tokens_per_s_per_gpu": "1", "flag": "suspect"},
        )
    )
    total = found.scores.total
    assert (total.rows, found.scores.rows, found.scores.suspect_left_out) == (4, 4, 1)
    assert total.median_ape == pytest.approx(0.175)  # of 0, 10, 25 and 200 %
    assert total.bias == pytest.approx(0.175)
    assert total.coverage_80 == 0.75  # three times too fast is outside
    assert found.scores.median_ape_by_source_mean == pytest.approx((0.175 + 1.0) / 2)
    assert found.by_gpu["h200-sxm-141gb"].median_ape == pytest.approx(0.0, abs=1e-9)
    assert found.by_stack["torchtune"].rows == 4
    factor = shipped_calibration().spread["seen"].factor
    assert found.mean_interval_width == pytest.approx(factor - 1 / factor)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=2, max_size=20))
def test_rank_correlation_is_that_of_scipy(pairs: list[tuple[int, int]]) -> None:
    stats = pytest.importorskip("scipy.stats")
    a, b = np.array(pairs).T
    found = spearman(a, b)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert found is None
    else:
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


def test_dimensions_come_from_the_shipped_model(tmp_path: Path) -> None:
    empty = dict.fromkeys(("layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab"), "")
    whole = {**empty, "model": "deepseek-v3", "n_gpus": "256", "sharding": "zero1", "ep": "64"}
    found = validate_throughput(file_of(tmp_path, {**empty, "model": "mistral-7b-v0.1"}, whole))
    assert len(found.filled) == 2
    (row,) = read_rows(file_of(tmp_path, whole), [])
    shipped = catalogue_architecture("deepseek-ai/DeepSeek-V3")
    assert case_of(row).measurement.architecture == shipped


def test_a_shipped_dense_model_of_that_name_and_size_is_taken_whole(tmp_path: Path) -> None:
    shipped = catalogue_architecture("bigcode/gpt_bigcode-santacoder")
    stated = {"model": "santacoder-1.1b", "layers": "24", "hidden": "2048", "ffn": "8192"}
    stated |= {"heads": "16", "kv_heads": "1", "head_dim": "128", "vocab": "49280"}
    (same,) = read_rows(file_of(tmp_path, stated), [])
    assert case_of(same).measurement.architecture == shipped and not case_of(same).filled
    (other,) = read_rows(file_of(tmp_path, {**stated, "layers": "12"}), [])
    assert case_of(other).measurement.architecture.num_layers == 12


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nobody/none", "layers": ""}, "is not shipped and its layers not stated"),
        ({"model": "mistral-7b-v0.1", "head_dim": "", "layers": "31"}, "layers is 31"),
        ({"gpu": "abacus"}, "unknown GPU 'abacus'"),
        ({"precision": "int3"}, "precision is 'int3'"),
        ({"method": "magic"}, "method is 'magic'"),
        ({"seq_len": "long"}, "seq_len is 'long'; allowed: a number"),
        ({"tokens_per_s_per_gpu": "-5"}, "allowed: a number above 0"),
        ({"n_gpus": ""}, "n_gpus is not stated"),
        ({"gpu": "v100-sxm2-32gb"}, "has no bf16 matrix units"),
        ({"tp": "3", "n_gpus": "8"}, "8 GPUs cannot be divided into groups of 3"),
    ],
)
def test_what_a_row_lacks_is_said(tmp_path: Path, change: dict[str, str], said: str) -> None:
    found = validate_throughput(file_of(tmp_path, {}, change))
    assert found.scores.total.rows == 1
    (reason,) = found.scores.unexpressed
    assert said in reason and "\n" not in reason


def slower(folder: Path, factor: float) -> Path:
    """Rows of two sources measured at a factor of what is predicted."""
    shapes = [
        {"row_id": f"{s}{i}", "source_key": s, "seq_len": str(n), "micro_batch": str(b)}
        for s in ("a", "b")
        for i, (n, b) in enumerate([(1024, 1), (1024, 8), (2048, 2), (4096, 1), (4096, 4)])
    ]
    found = validate_throughput(file_of(folder, *shapes, {"source_key": "c"}))
    rates = [p.p50 for p in found.scores.predictions]
    own = [
        {**shape, "tokens_per_s_per_gpu": str(rate * factor)}
        for shape, rate in zip([*shapes, {"source_key": "c"}], rates, strict=True)
    ]
    return file_of(folder, *own)


def test_own_rows_correct_a_common_error(tmp_path: Path) -> None:
    path = slower(tmp_path, 0.8)
    medians = []
    for count in (1, 3):
        found = validate_calibrated(path, rows_per_group=count, seed=7)
        own = found.own
        assert own is not None and own.before.median_ape == pytest.approx(0.25)
        assert (own.groups, own.groups_calibrated, own.rows_used) == (3, 2, 2 * count)
        assert own.rows_in_small_groups == 1
        assert found.scores.total.rows == 10 - 2 * count
        medians.append(found.scores.total.median_ape or 0.0)
    assert 0.25 > medians[0] > medians[1] and medians[1] < 0.08


def test_own_rows_as_predicted_change_nothing_and_the_seed_decides(tmp_path: Path) -> None:
    path = slower(tmp_path, 1.0)
    found = validate_calibrated(path, rows_per_group=2, seed=1)
    assert found.scores.total.median_ape == pytest.approx(0.0, abs=1e-9)
    again = validate_calibrated(path, rows_per_group=2, seed=1)
    other = validate_calibrated(path, rows_per_group=2, seed=2)
    assert found.scores.predictions == again.scores.predictions
    assert {p.row_id for p in found.scores.predictions} != {
        p.row_id for p in other.scores.predictions
    }


def test_the_command_prints_what_json_promises(tuneroi: Tuneroi, tmp_path: Path) -> None:
    found = tuneroi("validate", "throughput", PUBLISHED, "--json").json
    promised = {"rows", "expressed", "median_ape", "p90_ape", "bias", "coverage_80"}
    assert promised | {"median_ape_by_source_mean", "by_source", "by_method"} <= set(found)
    assert {"mean_interval_width", "spearman_mfu", "by_gpu", "by_stack"} <= set(found)
    assert found["expressed"] == found["rows"] == 30
    assert found["median_ape"] < 0.10 and found["spearman_mfu"] > 0.9
    out = tmp_path / "rows.csv"
    ran = tuneroi("validate", "throughput", slower(tmp_path, 0.8), "--rows-out", out,
                  "--calibrate-rows", "2", "--seed", "3")  # fmt: skip
    assert ran.status == 0 and "2 of 3 groups" in ran.out and "not calibrated" in ran.out
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 6
    missing = write(tmp_path / "m.csv", {"model": ""}, {"model": "x"})
    assert "column method" in tuneroi("validate", "throughput", missing).refusal


# --- whole runs


def hours(folder: Path, **changes: str) -> Any:
    (found,) = validate_runs(runs_of(folder, changes)).hours.predictions
    return found


def test_a_run_is_its_tokens_over_the_rate(tmp_path: Path) -> None:
    once = hours(tmp_path)
    assert hours(tmp_path, total_tokens_m="300").p50 == pytest.approx(3 * once.p50)
    split = {"total_tokens_m": "", "tokens_per_epoch_m": "50", "epochs": "2"}
    assert hours(tmp_path, **split).p50 == pytest.approx(once.p50)
    # 6 x 6.7e9 FLOPs per token or less, at no more than the card's 312 TFLOP/s and no less than
    # a tenth of it.
    flops = 6 * 6.7e9 * 100e6 / 3600
    assert 0.5 * flops / 312e12 < once.p50 < flops / 31.2e12
    assert once.p10 < once.p50 < once.p90 and once.note.startswith("huggyllama/llama-7b")
    assert hours(tmp_path, gpu_hours="", wall_hours="1").measured == 8.0


def test_dollars_at_the_stated_price(tmp_path: Path) -> None:
    found = hours(tmp_path, cost_usd="20", cost_basis="$1.18/A100-h")
    assert found.predicted_usd == pytest.approx(
        [1.18 * x for x in (found.p10, found.p50, found.p90)]
    )
    listed = hours(tmp_path, cost_usd="20")
    assert listed.predicted_usd[2] / listed.predicted_usd[1] > found.p90 / found.p50
    assert validate_runs(runs_of(tmp_path, {}, {"cost_usd": "9"})).dollars.rows == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stage": "RL (GRPO)"}, "stage 'RL (GRPO)' is not modelled"),
        ({"method": "Adapter / None"}, "method 'Adapter / None' is not modelled"),
        ({"gpu_hours": ""}, "gpu_hours is not stated"),
        ({"total_tokens_m": ""}, "total_tokens_m is not stated"),
        ({"model": "Nobody 3B"}, "model 'Nobody 3B' is not shipped"),
        ({"gpu": "TPU v3"}, "unknown GPU"),
        ({"gpu_count": ""}, "gpu_count is not stated"),
        ({"seq_len": ""}, "seq_len is not stated"),
        ({"model": "Llama-2-70B", "method": "full", "gpu_count": "1"}, "no data-parallel recipe"),
    ],
)
def test_what_a_run_lacks_is_said(tmp_path: Path, change: dict[str, str], said: str) -> None:
    found = validate_runs(runs_of(tmp_path, change)).hours
    (reason,) = found.unexpressed
    assert said in reason and found.unexpressed[reason] == ("run",)


def test_what_pretraining_leaves_open_is_assumed_and_said(tmp_path: Path) -> None:
    change = {"stage": "pretrain", "method": "full", "seq_len": "", "gpu_count": ""}
    found = hours(tmp_path, **change, model="Llama 2 13B", global_batch="")
    assert "sequences of 4096 assumed" in found.note and "GPUs assumed" in found.note


def test_the_command_for_runs(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = runs_of(tmp_path, {}, {"stage": "DPO"}, {"source": "mlcommons/x", "method": "LoRA"})
    found = tuneroi("validate", "runs", path, "--json").json
    assert (found["rows"], found["expressed"], found["dollars"]["rows"]) == (3, 2, 0)
    shown = tuneroi("validate", "runs", path, "--rows-out", tmp_path / "o.csv")
    assert "2 of 3 rows predicted" in shown.out and "stage 'DPO' is not modelled" in shown.out
