"""Writes `docs/reference/json.md` from what the commands print: `python docs/generate_json.py`.

tests/test_docs_site.py checks that the page is what this writes.
"""

import contextlib
import io
import json
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from estimator.files import write_atomically

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "reference" / "json.md"
LLAMA = "meta-llama/Llama-3.1-8B --offline"
LOG = (
    "trainer_state.json --model meta-llama/Llama-3.1-8B --gpu a100-sxm4-80gb --gpus 1 "
    "--method lora --seq-len 2048 --accumulation 2 --checkpointing full"
)
COMMANDS = (
    "compare scenario.yaml --draws 256",
    "breakeven scenario.yaml --input saas.price_usd_per_unit",
    "worth scenario.yaml --draws 4096",
    "buy-or-rent --gpu h100 --gpus 8 --hours-per-month 100",
    "diff scenario.yaml other.yaml",
    "sweep scenario.yaml --vary saas.price_usd_per_unit=1,2 --draws 256 --workers 1",
    f"train {LLAMA} --tokens 2e7",
    f"plan {LLAMA} --tokens 2e7 --gpu h100 --provider runpod --budget 100",
    f"benchmark {LLAMA} --dry-run",
    f"serve {LLAMA} --requests-per-month 2M --input-tokens 800 --output-tokens 250 --gpu l4-24gb",
    f"model {LLAMA} --method lora",
    "dataset data.jsonl --offline",
    f"fit {LLAMA} --gpu rtx-4090-24gb",
    "init",
    "init --inputs",
    "prices --gpus",
    "prices --gpus h100",
    "prices --managed",
    "prices --saas",
    "prices --wages",
    "prices --tokens openai",
    "prices --assumptions people",
    "validate throughput",
    "validate memory",
    "validate serving serving.csv",
    f"calibrate import {LOG} --offline",
    "calibrate list",
    "library save scenario.yaml",
    "library list",
    "library show 1",
    "library compare 1 1",
)
ALIKE = """
## Commands that need more than this page does

- `benchmark`: `device`, `prediction: {step_seconds, peak_bytes, parts_seconds, tokens_per_second}`,
  `reached_interval`, `calibration_file`, `interrupted`, `seconds`, `notes`, `measured`; with
  `--verify` also `verified: {step_seconds, peak_bytes, steps, step_error, step_in_interval,
  peak_error}`.
- `trace`: as `validate memory`, with `file` and `not_traced`.
- `validate traces`: as `validate memory`.
- `validate fits`: `rows`, `expressed`, `suspect_left_out`, `accuracy` and its counts, `near_edge`,
  `away_from_edge`, `by_source`, `by_method`, `unexpressed`, `wrong`.
- `validate runs`: as `validate memory`, of GPU hours, with `dollars`.
- `calibrate fit`: `calibration`, `out`, `rows`, `expressed`, `suspect_left_out`, `unexpressed`,
  `shipped`, `fitted`, `moved`.
- `calibrate show`, `calibrate add`: `file`, what the file holds, and `moved`.
- `prices refresh`: for each source `status`, `file`, `as_of`, `prices`,
  `changes: {new, gone, up, down, unchanged}`, `remarks`.
- `library reload`: as one entry of `library list`, with `file`.
- `library remove`: `removed`, as one entry of `library list`.
- `init --schema`: the JSON schema of a scenario file.
"""
HEAD = """# What `--json` prints

Written by `docs/generate_json.py`, which runs each command and reads off the shape. Keys that stand
here stay; new ones may come beside them. What is unknown is `null`, never a guess.

- `range`: `{"p10", "p50", "p90"}`, with `"mean"` where money is simulated.
- `quantity`: an input as it is stated: `value`, or `min, mode, max`, or `p10, p90`, ..., with
  `unit`, `source`, `as_of`, `evidence` and `note`.
- `{by NAME}`: an object whose keys are names, all with the same shape.
- `or null`: unknown, or not asked for, in this example.
"""
BY_NAME = {
    "person_days": "role", "evppi_usd": "input", "by_source": "source", "by_method": "method",
    "by_stack": "software", "by_gpu": "GPU", "by_program": "program", "by_load": "load",
    "by_kind": "kind", "dense_tflops": "number format",
    "templates": "template", "prices_as_of": "table",
    "groups_usd": "group", "chance_a_better": "probability", "best": "alternative",
}  # fmt: skip
NAMED = {"recipe": "train", "memory": "train", "result": "compare"}
"""Objects that are written out only where the named command has them."""
QUANTITY = ({"value"}, {"min", "mode", "max"}, {"p10", "p90"}, {"low", "high"}, {"probability"})


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        for command, data in _printed(Path(folder)):
            name = command.split()[0]
            shown = " ".join(command.replace(" --offline", "").split())
            if name == "calibrate":
                shown = shown.split(" --method")[0] + (" ..." if "--method" in shown else "")
            lines = "\n".join(_shape(data, name))
            parts.append(f"## {shown}\n\n```text\n{lines}\n```\n")
    return "\n".join(parts) + ALIKE


def _printed(folder: Path) -> Iterator[tuple[str, Any]]:
    """Each command and its JSON, run in a folder of its own without network."""
    from estimator.cli.main import app

    shutil.copy(ROOT / "examples" / "support-assistant.yaml", folder / "scenario.yaml")
    shutil.copy(ROOT / "examples" / "small-shop.yaml", folder / "other.yaml")
    shutil.copy(ROOT / "tests" / "data" / "logs" / "trainer_state.json", folder)
    shutil.copy(ROOT / "tests" / "data" / "serving_unseen.csv", folder / "serving.csv")
    rows = (json.dumps({"prompt": f"Ticket {i}", "completion": "Yes. " * i}) for i in range(1, 60))
    (folder / "data.jsonl").write_text("\n".join(rows) + "\n", "utf-8")
    before, own = Path.cwd(), os.environ.get("TUNEROI_DATA")
    os.environ["TUNEROI_DATA"] = str(folder / "own")
    os.chdir(folder)
    try:
        for command in COMMANDS:
            with contextlib.redirect_stdout(io.StringIO()) as out:
                app([*shlex.split(command), "--json"], prog_name="tuneroi", standalone_mode=False)
            yield command, json.loads(out.getvalue())
    finally:
        os.chdir(before)
        if own is None:
            del os.environ["TUNEROI_DATA"]
        else:
            os.environ["TUNEROI_DATA"] = own


def _shape(data: Any, command: str, key: str = "", depth: int = 0) -> Iterator[str]:
    """Lines that tell the shape of some JSON: a name and a kind, indented by depth."""
    indent = "  " * depth
    start = f"{indent}{key}: " if key else indent
    if isinstance(data, dict):
        yield from _object(data, command, key, depth, start)
    elif isinstance(data, list):
        kinds = {_kind(item) for item in data}
        if data and isinstance(data[0], dict):
            yield f"{start}list of"
            yield from _shape(_fullest(data), command, "", depth + 1)
        else:
            yield f"{start}list of {' or '.join(sorted(kinds)) or '...'}"
    else:
        yield f"{start}{_kind(data)}"


def _object(data: dict[str, Any], command: str, key: str, depth: int, start: str) -> Iterator[str]:
    kind = _known(data)
    if kind:
        yield f"{start}{kind}"
    elif NAMED.get(key, command) != command:
        yield f"{start}as in {NAMED[key]}"
    elif key in BY_NAME or any("." in name or " " in name for name in data):
        value = next(iter(data.values()), {})
        yield f"{start}{{by {BY_NAME.get(key, 'name')}}}"
        yield from _shape(value, command, "", depth + 1)
    else:
        if key:
            yield start.rstrip()
        for name, value in data.items():
            yield from _shape(value, command, name, depth + bool(key))


def _known(data: dict[str, Any]) -> str:
    """Whether an object is a range or a stated quantity."""
    names = set(data)
    if names <= {"p10", "p50", "p90", "mean", "stated"} and "p50" in names:
        return "range" if "stated" not in names else "range, and stated: quantity"
    if names.isdisjoint({"unit", "source"}):
        return ""
    stated = names - {"unit", "source", "as_of", "evidence", "note", "meaning", "p50"}
    return "quantity" if stated in QUANTITY or (stated == {"p10", "p90"}) else ""


def _fullest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One row with every key that some row has, known values first."""
    merged: dict[str, Any] = {}
    for row in rows:
        for name, value in row.items():
            if merged.get(name) in (None, [], {}):
                merged[name] = value
    return merged


def _kind(value: Any) -> str:
    if value is None:
        return "... or null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "number"
    return "text" if isinstance(value, str) else "list" if isinstance(value, list) else "object"


if __name__ == "__main__":
    write_atomically(PAGE, page())
