"""Files of every format, whole and broken, give the same rows or a counted reason."""

import csv
import gzip
import json
import os
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.dataset import DatasetProfile, profile_dataset
from estimator.dataset.json_stream import json_rows
from estimator.dataset.parquet import parquet_rows
from estimator.dataset.reading import find_sources, read_rows
from estimator.dataset.rows import BadRow, DamagedFile, Row
from estimator.dataset.streams import lines
from estimator.errors import InputError

RECORDS = [
    {"question": "How far is it?", "answer": "Three miles,\n\tsays the “sign”."},
    {"question": "东京在哪里？", "answer": "日本的东京。"},
    {"question": 'A "quoted", \\ odd; one', "answer": "42"},
    {"question": "How far is it?", "answer": "Three  miles, says the “sign”."},
]


def as_lines(records: list[dict[str, str]]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def write_text(text: str, encoding: str = "utf-8") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        data = text.encode(encoding)
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)

    return write


def write_csv(path: Path, delimiter: str = ",") -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, RECORDS[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(RECORDS)


WRITERS: dict[str, Callable[[Path], None]] = {
    "lines.jsonl": write_text(as_lines(RECORDS)),
    "no_last_newline.ndjson": write_text(as_lines(RECORDS).rstrip("\n")),
    "windows.jsonl": write_text(as_lines(RECORDS).replace("\n", "\r\n")),
    "marked.jsonl": write_text(as_lines(RECORDS), "utf-8-sig"),
    "utf16.jsonl": write_text(as_lines(RECORDS), "utf-16"),
    "utf16_unmarked.jsonl": write_text(as_lines(RECORDS), "utf-16-le"),
    "utf16_big_endian.jsonl": write_text(as_lines(RECORDS), "utf-16-be"),
    "utf32.jsonl": write_text(as_lines(RECORDS), "utf-32"),
    "UPPER.JSONL": write_text(as_lines(RECORDS)),
    "array.json": write_text(json.dumps(RECORDS, indent=2)),
    "dense.json": write_text(json.dumps(RECORDS, separators=(",", ":"))),
    "lines.json": write_text(as_lines(RECORDS)),
    "wrapped.json": write_text(json.dumps({"version": 1, "data": RECORDS})),
    "concatenated.json": write_text("".join(json.dumps(r, indent=1) for r in RECORDS)),
    "zipped.jsonl.gz": write_text(as_lines(RECORDS)),
    "zipped.json.gz": write_text(json.dumps(RECORDS)),
    "table.csv": write_csv,
    "table.tsv": lambda path: write_csv(path, "\t"),
    "semicolons.csv": lambda path: write_csv(path, ";"),
    "table.parquet": lambda path: pq.write_table(pa.Table.from_pylist(RECORDS), path),
}


def comparable(profile: DatasetProfile) -> dict[str, object]:
    return {k: v for k, v in profile.as_dict().items() if k not in ("source", "files", "notes")}


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_records_in_any_format_give_the_same_profile(name: str, tmp_path: Path) -> None:
    reference, other = tmp_path / "reference.jsonl", tmp_path / name
    WRITERS["lines.jsonl"](reference)
    WRITERS[name](other)
    profile = profile_dataset(other)
    assert comparable(profile) == comparable(profile_dataset(reference))
    assert (profile.examples, profile.duplicates, profile.malformed_rows) == (4, 1, 0)
    texts = [text for record in RECORDS for text in record.values()]
    assert profile.characters == sum(map(len, texts))
    assert profile.text_bytes == sum(len(text.encode()) for text in texts)


def test_a_folder_is_read_whole_and_says_what_it_left_out(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for place in ("b.jsonl", "deep/a.json", "deep/er/c.parquet"):
        suffix = Path(place).suffix
        WRITERS[{".jsonl": "lines.jsonl", ".json": "array.json"}.get(suffix, "table.parquet")](
            tmp_path / place
        )
    (tmp_path / "dataset_info.json").write_text('{"text": "metadata"}')
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / ".hidden.jsonl").write_text("nonsense")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    profile = profile_dataset(tmp_path)
    assert (profile.examples, profile.files, profile.malformed_rows) == (12, 3, 0)
    assert "1 .txt or .md files beside the records were not read" in profile.notes
    assert "1 files of other kinds were not read" in profile.notes


def test_a_folder_of_text_has_one_document_per_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("One two three.\nFour.\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.md").write_text("# Five")
    (tmp_path / "empty.txt").touch()
    profile = profile_dataset(tmp_path)
    assert (profile.examples, profile.empty_rows, profile.target_share) == (2, 1, 1.0)
    assert profile.shapes == (("document", 2),)


def test_a_long_text_is_cut_at_line_ends_without_loss(tmp_path: Path) -> None:
    text = "\n".join("word " * 200 for _ in range(3000))
    (tmp_path / "book.txt").write_text(text)
    profile = profile_dataset(tmp_path / "book.txt")
    assert profile.examples == 3
    assert profile.characters == len(text) - 2  # the line ends where it was cut


BROKEN_LINES = [
    b'{"text": "good"}',
    b'{"text": "cut off',
    b'{"text": "bad byte \xff"}',
    b'{"text": "lone surrogate \\ud800"}',
    b'{"text": "nul \\u0000"}',
    b"[1, 2]",
    b'{"number": 3}',
    b"[" * 100_000,
    b"9" * 5000,
    b"",
    b'{"text": "   "}',
    b'{"text": "good too"}',
]


def test_malformed_and_empty_rows_are_counted_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"\n".join(BROKEN_LINES))
    profile = profile_dataset(path)
    assert (profile.examples, profile.empty_rows, profile.malformed_rows) == (2, 2, 8)
    shown = {row.place: row.reason for row in profile.malformed_shown}
    assert list(shown) == [f"broken.jsonl:{line}" for line in (2, 3, 4, 5, 6)]
    assert "Unterminated string" in shown["broken.jsonl:2"]
    assert shown["broken.jsonl:3"] == "not UTF-8 at byte 20"
    assert "list instead of an object" in shown["broken.jsonl:6"]


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ('{"text": "a" "b": 1}', "delimiter"),
        ("{'text': 'single'}", "property name"),
        ('{"text": "never closed}', "control character"),
        ('{\n "text": "never closed,\n "n": [1]\n}', "control character"),
        ("nonsense", "Expecting value"),
        ('{"text": "a \\q b [{", "n": [1]}', "escape"),
    ],
)
def test_a_broken_array_element_does_not_take_its_neighbours(element: str, reason: str) -> None:
    text = f'[{{"text": "before"}},\n{element},\n{{"text": "after"}}]'
    before, broken, after = json_rows(iter([text.encode()]))
    assert before == Row(1, {"text": "before"})
    assert after == Row(3, {"text": "after"})
    assert isinstance(broken, BadRow)
    assert reason in broken.reason


@pytest.mark.parametrize("tail", ["", ","])
def test_a_cut_off_array_keeps_what_came_before(tail: str) -> None:
    rows = list(json_rows(iter([b'[{"a": "x"}' + tail.encode()])))
    assert rows[0] == Row(1, {"a": "x"})
    assert isinstance(rows[1], BadRow)
    assert "not closed" in rows[1].reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.lists(json_values, max_size=6), st.randoms(use_true_random=False), st.booleans())
def test_any_array_in_any_chunks_is_read_as_the_json_library_reads_it(
    values: list[object], chance: random.Random, ascii_only: bool
) -> None:
    data = json.dumps(values, ensure_ascii=ascii_only, indent=chance.choice([None, 1]))
    encoded = data.encode("utf-8", "surrogatepass")
    cuts = sorted(chance.randrange(len(encoded) + 1) for _ in range(chance.randrange(8)))
    chunks = [encoded[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
    rows = list(json_rows(iter(chunks)))
    expected = json.loads(encoded.decode("utf-8", "surrogateescape"))
    assert [row.value for row in rows if isinstance(row, Row)] == expected


@given(st.binary(max_size=200), st.integers(1, 7))
def test_lines_are_those_of_the_standard_library(data: bytes, size: int) -> None:
    chunks = (data[start : start + size] for start in range(0, len(data), size))
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    assert [line for _, line in lines(chunks)] == expected


def test_csv_rows_of_the_wrong_width_are_malformed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('question,answer\none,1\ntwo\n"three\nlines, quoted",3\nfour,4,5\n\nsix,6\n')
    profile = profile_dataset(path)
    assert (profile.examples, profile.empty_rows, profile.malformed_rows) == (3, 1, 2)
    assert profile.malformed_shown[0].place == "t.csv:3"
    assert profile.malformed_shown[0].reason == "1 fields, the header has 2"


def test_damage_in_the_middle_costs_only_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    noise = random.Random(1)
    rows = [{"text": "".join(noise.choices("abcdef ", k=400))} for _ in range(3000)]
    zipped = gzip.compress(as_lines(rows).encode())
    path.write_bytes(zipped[: len(zipped) // 2])
    profile = profile_dataset(path)
    assert 1000 < (profile.examples or 0) < 3000
    assert profile.malformed_rows == 1
    assert "the rest of the file is not counted" in profile.malformed_shown[-1].reason


def test_parquet_reads_nested_chats_and_leaves_binary_columns_alone(tmp_path: Path) -> None:
    path = tmp_path / "chat.parquet"
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}]
    table = pa.table(
        {
            "messages": pa.array([chat, chat]),
            "image": pa.array([b"\x00" * 100] * 2),
            "embedding": pa.array([[0.1, 0.2]] * 2),
        }
    )
    pq.write_table(table, path)
    values = [row.value for row in parquet_rows(path, lambda _: None) if isinstance(row, Row)]
    assert values == [{"messages": chat}] * 2


def test_parquet_with_one_text_a_thousand_times_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), ["x" * 100_000])
    pq.write_table(pa.table({"text": column}), path)
    assert path.stat().st_size < 100_000
    peak = rows = 0
    with pytest.raises(DamagedFile, match="unpacks to more than 200 times its size"):
        for rows, row in enumerate(parquet_rows(path, lambda _: None), start=1):  # noqa: B007
            assert isinstance(row, Row)
            peak = max(peak, pa.total_allocated_bytes())
    assert 40 <= rows < 100
    assert peak < 20e6  # 200 MB when decoded


def peak_bytes(path: Path) -> int:
    profile_dataset(path)  # tables built once are not counted
    tracemalloc.start()
    try:
        profile_dataset(path)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "txt"])
def test_memory_does_not_grow_with_the_file(form: str, tmp_path: Path) -> None:
    row = {"text": "A line of some forty plain characters. " * 40}
    peaks = []
    for count in (700, 5600):
        path = tmp_path / f"{count}.{form}"
        if form in ("jsonl", "txt"):
            path.write_text(as_lines([row] * count))
        elif form == "json":
            path.write_text(json.dumps([row] * count))
        else:
            path.write_text("text\n" + f"{row['text']}\n" * count)
        peaks.append(peak_bytes(path))
    assert peaks[1] < 1.25 * peaks[0]


@pytest.mark.parametrize("form", ["jsonl", "json", "csv"])
def test_a_huge_line_is_malformed_and_not_held(form: str, tmp_path: Path) -> None:
    path = tmp_path / f"huge.{form}"
    head, tail = {
        "jsonl": (b'{"text": "fine"}\n{"text": "', b'"}\n{"text": "fine too"}\n'),
        "json": (b'[{"text": "fine"}, {"text": "', b'"}, {"text": "fine too"}]'),
        "csv": (b"text\nfine\n", b"\nfine too\n"),
    }[form]
    with path.open("wb") as file:
        file.write(head)
        for _ in range(60):
            file.write(b"x" * 2**20)
        file.write(tail)
    tracemalloc.start()
    try:
        rows = list(read_rows(path, lambda _: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [row.value for row in rows if isinstance(row, Row) and row.value] == [
        {"text": "fine"},
        {"text": "fine too"},
    ]
    assert sum(isinstance(row, BadRow) for row in rows) == 1
    assert peak < 110e6  # four times the longest row allowed, less than two of this one


def test_progress_grows_to_the_size_of_all_files(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text(as_lines([{"text": "x" * 1000}] * 500))
    seen: list[tuple[int, int]] = []
    profile_dataset(tmp_path, progress=lambda done, total: seen.append((done, total)))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (size, size)
    assert {total for _, total in seen} == {size}


def test_each_mistake_has_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.xlsx").write_bytes(b"PK")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "void.jsonl").touch()
    (tmp_path / "bad.jsonl").write_text("nonsense\n")
    (tmp_path / "blank.jsonl").write_text("\n\n")
    (tmp_path / "not.parquet").write_bytes(b"PAR1 but no")
    os.mkfifo(tmp_path / "pipe.jsonl")
    for name, message in {
        "missing.jsonl": "No such file",
        "empty": "holds no dataset file; supported: .jsonl",
        "photo.xlsx": "has .xlsx; supported: .jsonl, .ndjson, .json, .csv",
        "loop": "symbolic links",
        "void.jsonl": "has no usable row: it is empty",
        "bad.jsonl": "1 malformed, first bad.jsonl:1: not JSON: Expecting value",
        "blank.jsonl": "2 empty rows",
        "not.parquet": "not Parquet",
        "pipe.jsonl": "not a regular file",
        "nul\0.jsonl": "cannot read dataset",
    }.items():
        with pytest.raises(InputError) as caught:
            profile_dataset(tmp_path / name)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "secret.jsonl"
    path.write_text('{"text": "x"}')
    path.chmod(0)
    with pytest.raises(InputError, match=r"secret\.jsonl: Permission denied"):
        profile_dataset(path)


def test_sources_come_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("z.jsonl", "a.jsonl", "m.jsonl"):
        (tmp_path / name).write_text("{}")
    assert [f.name for f in find_sources(tmp_path).files] == ["a.jsonl", "m.jsonl", "z.jsonl"]
