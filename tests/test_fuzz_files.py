"""Hostile files: never a traceback, never a hang, bounded memory; every refusal is one line."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from limited import Limited

from estimator.scenario.templates import template_text

FUZZED = settings(
    deadline=None,
    max_examples=20,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SCENARIO = template_text("support-assistant")
ROW = '{"text": "hello world"}\n'
RUN = (
    *("--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--gpus", 1, "--method", "lora"),
    *("--seq-len", 2048, "--micro-batch", 1, "--accumulation", 1),
    *("--checkpointing", "full", "--offline"),
)
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "vocab_size": 32000,
}
READERS: dict[str, tuple[object, ...]] = {
    "scenario.yaml": ("compare", "FILE", "--draws", 256),
    "config.json": ("model", "FILE", "--offline"),
    "data.jsonl": ("dataset", "FILE"),
    "data.json": ("dataset", "FILE"),
    "data.csv": ("dataset", "FILE"),
    "data.txt": ("dataset", "FILE"),
    "data.parquet": ("dataset", "FILE"),
    "data.jsonl.gz": ("dataset", "FILE"),
    "log.json": ("calibrate", "import", "FILE", *RUN),
    "runs.csv": ("calibrate", "import", "FILE", *RUN),
    "calibration.json": ("calibrate", "show", "FILE"),
    "prices.csv": ("prices", "show", "--gpu", "h100", "--prices", "FILE"),
    "measured.csv": ("validate", "throughput", "FILE"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def tuneroi(folder: Path) -> Iterator[Limited]:
    (folder / "data").mkdir()
    limited = Limited(folder / "data")
    yield limited
    limited.stop()


def read(tuneroi: Limited, name: str, path: Path) -> Any:
    arguments = [path if part == "FILE" else part for part in READERS[name]]
    answered = tuneroi(*arguments)
    answered.check()
    return answered


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def big_line(path: Path, unit: bytes, size: int = 200_000_000) -> Path:
    with path.open("wb") as file:
        block = unit * (1_000_000 // len(unit))
        for _ in range(size // len(block)):
            file.write(block)
    return path


BOMB = "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(12)
)
NASTY: dict[str, str | bytes] = {
    "nothing": "",
    "NUL": "a\0b",
    "alias bomb": BOMB,
    "deep lists": "[" * 100_000,
    "deep maps": '{"a":' * 100_000,
    "many digits": '{"a": ' + "9" * 5_000 + "}",
    "not a number": "[NaN, Infinity, -Infinity, 1e999]",
    "UTF-16": '{"text": "x"}\n'.encode("utf-16"),
    "mixed encodings": b'{"text": "caf\xe9"}\n' + '{"text": "x"}\n'.encode("utf-16-le"),
    "lone surrogate": '{"text": "\\ud800"}',
    "only quotes": '"' * 100_000,
    "only brackets": "]" * 100_000,
    "only line breaks": "\n" * 100_000,
    "only commas": "," * 100_000,
    "lone carriage returns": "text\rb\na\rb\n",
    "binary": bytes(range(256)) * 64,
}


@pytest.mark.parametrize("name", READERS)
def test_nasty_content_is_answered_or_refused(tuneroi: Limited, folder: Path, name: str) -> None:
    for content in NASTY.values():
        read(tuneroi, name, written(folder, name, content))


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_is_refused(tuneroi: Limited, folder: Path, name: str) -> None:
    place = folder / f"odd-{name}.d"
    place.mkdir()
    (pipe := place / f"pipe-{name}").unlink(missing_ok=True)
    os.mkfifo(pipe)
    (loop := place / f"loop-{name}").symlink_to(loop)
    (empty := place / name).mkdir()
    for path in (pipe, loop, empty, place / "missing" / name, place / ("x" * 300 + name)):
        assert read(tuneroi, name, path).refusal
    if os.geteuid() != 0:  # the superuser reads everything
        closed = written(place, f"closed-{name}", "x")
        closed.chmod(0)
        assert read(tuneroi, name, closed).refusal


@pytest.mark.parametrize("name", READERS)
def test_a_line_of_200_megabytes_is_refused(tuneroi: Limited, folder: Path, name: str) -> None:
    path = big_line(folder / f"line-{name}", b"step: 1 ,")
    try:
        assert read(tuneroi, name, path).refusal
    finally:
        path.unlink()


def test_a_log_as_large_as_is_read_fits_into_memory(tuneroi: Limited, folder: Path) -> None:
    path = big_line(folder / "full.log", b'{"a":1}\n', size=19_000_000)
    read(tuneroi, "log.json", path)


def test_bombs_in_gz_are_given_up(tuneroi: Limited, folder: Path) -> None:
    for name, start, unit in (
        ("bomb.jsonl.gz", b"", b"\n"),
        ("bomb.jsonl.gz", b'{"text": "', b"a"),
        ("bomb.csv.gz", b'text\n"', b"a\n"),
    ):
        path = folder / name
        with gzip.open(path, "wb", 5) as file:
            file.write(start)
            for _ in range(10):
                file.write(unit * (1_000_000 // len(unit)))
        assert "unpacks to more than" in tuneroi("dataset", path).out + tuneroi("dataset", path).err


def test_bombs_in_parquet_are_given_up(tuneroi: Limited, folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    long = "a" * 1_500_000
    indices = pa.array([0] * 1000, pa.int32())
    tables = {
        "cell": ({"text": ["a" * 60_000_000]}, {"compression": "zstd"}),
        "repeated": ({"text": pa.DictionaryArray.from_arrays(indices, [long])}, {}),
        "nulls": ({"text": pa.nulls(3_000_000, pa.string())}, {"compression": "zstd"}),
        "lists": ({"text": [[long] * 5] * 20}, {"compression": "zstd"}),
    }
    for name, (columns, options) in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), path, **options)
        assert path.stat().st_size < 2_000_000
        read(tuneroi, "data.parquet", path)


def test_damaged_parquet_is_refused(tuneroi: Limited, folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    path = folder / "good.parquet"
    pq.write_table(pa.table({"text": ["hello", "world"] * 100}), path)
    good = path.read_bytes()
    for at in (*range(0, len(good), max(len(good) // 25, 1)), len(good) - 6):
        spoilt = good[:at] + b"\xff\xff\xff\x7f" + good[at + 4 :]
        read(tuneroi, "data.parquet", written(folder, "spoilt.parquet", spoilt))


def test_a_column_that_contradicts_itself_ends_no_process(tuneroi: Limited) -> None:
    """Arrow aborts the process that asks for this file's column metadata; found by fuzzing."""
    pytest.importorskip("pyarrow")
    spoilt = Path(__file__).parent / "data" / "histogram_of_five_levels.parquet"
    assert "histogram size mismatch" in read(tuneroi, "data.parquet", spoilt).refusal


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.sampled_from([0, -1, 1, 10**12, 2**63, 1e308, 5e-324, float("nan"), float("inf")])
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([*CONFIG, "num_key_value_heads", "head_dim", "torch_dtype"]), JSON_VALUES)
@example("num_hidden_layers", 10**12)
@example("vocab_size", -1)
@example("architectures", [[1]])
@FUZZED
def test_any_value_in_a_config(tuneroi: Limited, folder: Path, key: str, value: Any) -> None:
    path = written(folder, "config.json", json.dumps(CONFIG | {key: value}))
    answered = read(tuneroi, "config.json", path)
    if key == "num_hidden_layers" and value == 10**12:
        assert "from 1 to 10000" in answered.refusal


ENTRY_KEYS = st.sampled_from(
    ["step", "train_runtime", "train_steps_per_second", "eval_runtime", "train_samples_per_second"]
)


@given(
    st.dictionaries(
        st.sampled_from(["global_step", "num_input_tokens_seen", "train_batch_size"]), JSON_VALUES
    ),
    st.lists(st.dictionaries(ENTRY_KEYS, JSON_VALUES), max_size=4),
    st.sampled_from([1.0, 1e-9, 1e17]),
)
@example({}, [{"eval_runtime": 1, "step": "x"}], 1.0)
@example({}, [{"train_runtime": 100, "train_steps_per_second": 1}, {"eval_runtime": 1e9}], 1.0)
@FUZZED
def test_any_value_in_a_trainer_state(
    tuneroi: Limited, folder: Path, state: dict[str, Any], entries: list[Any], scale: float
) -> None:
    usual = [{"step": i, "train_runtime": i * scale} for i in range(1, 20)] if scale != 1 else []
    log = {"global_step": 30, "num_input_tokens_seen": 10**6, "log_history": [*usual, *entries]}
    read(tuneroi, "log.json", written(folder, "log.json", json.dumps(log | state)))


@given(st.lists(st.tuples(JSON_VALUES, JSON_VALUES), max_size=4), st.text(max_size=30))
@example([("x", 1), ([], 1), (float("inf"), 1), (float("nan"), 1)], "")
@example([], f"step: {'9' * 5000} tps: 1\nstep: 2 tps: ,\nstep: 3 memory: 1.2.3GiB tps: 1..")
@example([], f"local batch size {'9' * 5000}")
@FUZZED
def test_any_value_in_a_torchtitan_log(
    tuneroi: Limited, folder: Path, odd: list[tuple[Any, Any]], tail: str
) -> None:
    usual = [(step, 1000) for step in range(1, 15)]
    lines = [json.dumps({"step": s, "throughput(tps)": rate}) for s, rate in [*usual, *odd]]
    text = "\n".join([*lines, tail])
    read(tuneroi, "log.json", written(folder, "log.json", text.encode("utf-8", "replace")))


CONTRACT = "id,provider,instance,gpu,gpus_per_node,minimum_gpus,price_usd_per_gpu_hour,tier,as_of"
CELLS = ["a", "us", "x", "h100-sxm5-80gb", "8", "1", "2.5", "on_demand", "2026-01"]


@given(
    st.integers(0, len(CELLS) - 1),
    st.text(max_size=20) | st.floats().map(str) | st.integers(-(10**400), 10**400).map(str),
)
@example(6, "1e999")
@example(6, "-1")
@example(4, "1e308")
@FUZZED
def test_any_cell_in_a_contract(tuneroi: Limited, folder: Path, at: int, cell: str) -> None:
    cells = [*CELLS[:at], cell, *CELLS[at + 1 :], "mail"]
    text = f"{CONTRACT},source\n{','.join(cells)}\n"
    read(tuneroi, "prices.csv", written(folder, "c.csv", text.encode("utf-8", "replace")))


@pytest.mark.parametrize(
    "name", ["refreshed_gpu_offers.csv", "contract.csv", "refreshed_token_prices.json"]
)
def test_own_prices_that_are_spoilt(tuneroi: Limited, folder: Path, name: str) -> None:
    prices = folder / "data" / "prices"
    prices.mkdir(exist_ok=True)
    book = '{"as_of":"2026-01-01","providers":[{"id":1,"models":[{"prices":{"input_mtok":"x"}}]}]}'
    unpriced = '{"as_of":"2026-01-01","providers":[{"id":"a","name":"A","api_pattern":"a","models":'
    unpriced += '[{"id":"m","match":{"equals":"m"},"prices":[]}]}]}'
    for content in (*NASTY.values(), book, unpriced, '{"as_of": 5, "providers": {}}'):
        written(prices, name, content)
        tuneroi("prices", "show", "--gpu", "h100").check()
        tuneroi("prices", "show", "--tokens").check()
    (prices / name).unlink()


def test_a_spoilt_calibration_among_ones_own_is_named_and_left_out(
    tuneroi: Limited, folder: Path
) -> None:
    own = folder / "data" / "calibrations"
    own.mkdir(exist_ok=True)
    os.mkfifo(own / "pipe.json")
    written(own, "deep.json", "[" * 100_000)
    said = tuneroi("calibrate", "list")
    scenario = written(folder, "s.yaml", SCENARIO)
    compared = tuneroi("compare", scenario, "--draws", 256)
    (own / "pipe.json").unlink()
    (own / "deep.json").unlink()
    assert said.status == compared.status == 0
    assert "pipe.json" in said.out and "deep.json" in said.out


def test_a_folder_that_holds_itself_ends(tuneroi: Limited, folder: Path) -> None:
    place = folder / "round"
    place.mkdir()
    written(place, "a.jsonl", ROW)
    (place / "self").symlink_to(place)
    (place / "b.jsonl").symlink_to(place / "b.jsonl")
    os.mkfifo(place / "c.jsonl")
    answered = tuneroi("dataset", place, "--json")
    assert json.loads(answered.out)["files"] == 1


@pytest.mark.parametrize("target", ["folder", "no/such/report.html", "x" * 300 + ".html"])
def test_a_report_that_cannot_be_written_is_refused(
    tuneroi: Limited, folder: Path, target: str
) -> None:
    (folder / "folder").mkdir(exist_ok=True)
    scenario = written(folder, "s.yaml", SCENARIO)
    said = tuneroi("compare", scenario, "--draws", 256, "--html", folder / target)
    assert "cannot write there" in said.refusal


def test_a_pipe_is_never_replaced_by_a_report(tuneroi: Limited, folder: Path) -> None:
    os.mkfifo(folder / "out.html")
    scenario = written(folder, "s.yaml", SCENARIO)
    said = tuneroi("compare", scenario, "--draws", 256, "--html", folder / "out.html")
    assert "not a regular file" in said.refusal and (folder / "out.html").is_fifo()


@pytest.mark.parametrize("half", ['name: "a\\ud800"', '"\\udfff": 1', 'demand: {"x\\ud800y": [1]}'])
def test_half_a_character_is_refused_where_it_stands(
    tuneroi: Limited, folder: Path, half: str
) -> None:
    said = read(tuneroi, "scenario.yaml", written(folder, "half.yaml", f"# a comment\n{half}\n"))
    assert "line 2: " in said.refusal and "half of a character" in said.refusal


def piped(source: str, **given: Any) -> "subprocess.CompletedProcess[str]":
    code = "import sys; from estimator.cli import main; sys.argv[1:1] = ['compare']; main()"
    command = [sys.executable, "-c", code, source, "--draws", "256", "--json"]
    return subprocess.run(command, text=True, capture_output=True, check=False, **given)


@pytest.mark.parametrize("source", ["-", "/dev/stdin"])
def test_a_scenario_may_come_through_a_pipe(source: str) -> None:
    ran = piped(source, input=SCENARIO)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["verdict"]


def test_a_scenario_may_be_the_output_of_a_command() -> None:
    """What a shell passes for `<(...)`; and a pipe is read no further than a file would be."""
    reading, writing = os.pipe()
    os.write(writing, SCENARIO.encode())
    os.close(writing)
    ran = piped(f"/dev/fd/{reading}", pass_fds=[reading])
    os.close(reading)
    assert ran.returncode == 0, ran.stderr
    ran = piped("-", input="a" * 3_000_000)
    assert ran.returncode == 2 and "larger than 1 MB" in ran.stderr


def test_a_device_is_no_scenario() -> None:
    with Path("/dev/zero").open() as endless:
        ran = piped("-", stdin=endless)
    assert ran.returncode == 2 and "not a regular file" in ran.stderr
