"""A benchmark on somebody else's GPU: a shell script, and a task for SkyPilot.

Both install this version of tuneroi and the versions of PyTorch, transformers and peft that are
installed here, run `tuneroi benchmark`, and leave one calibration file to bring home. Fields of the
task: docs.skypilot.co/en/latest/reference/yaml-spec.html and .../reference/auto-stop.html.
"""

import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import yaml

from estimator import __version__
from estimator.errors import InputError, unknown
from estimator.training.launch import skypilot_names

PINNED = ("torch", "transformers", "peft")
CLUSTER = "tuneroi-benchmark"
IDLE_MINUTES = 10
FOLDER = "tuneroi-benchmark"
RESULT = "calibration.json"

SCRIPT = """\
#!/usr/bin/env bash
# Measures this machine with `tuneroi benchmark`. The calibration goes to standard output, what
# happens on the way to standard error. From your own machine:
#
#     ssh USER@HOST 'bash -s' < job.sh > calibration.json
#     tuneroi calibrate add calibration.json
#
# TUNEROI names another package to install: a wheel, or a git URL.
set -euo pipefail

tuneroi=${{TUNEROI:-{package}}}
folder=${{FOLDER:-$HOME/{folder}}}
export TUNEROI_DATA="$folder/data"
mkdir -p "$folder"

{{
    python3 -m venv "$folder/env"
    "$folder/env/bin/python" -m pip install --upgrade pip
    "$folder/env/bin/python" -m pip install "$tuneroi" {pinned}
    rm -rf "$TUNEROI_DATA/calibrations"
    "$folder/env/bin/tuneroi" benchmark {arguments} > "$folder/benchmark.json"
}} >&2 < /dev/null

found=("$TUNEROI_DATA"/calibrations/*.json)
if [[ ! -f ${{found[0]}} ]]; then
    echo "tuneroi benchmark left no calibration; see $folder/benchmark.json" >&2
    exit 1
fi
cp "${{found[0]}}" "$folder/{result}"
cat "$folder/{result}"
"""

HEADER = """\
# Measures a rented GPU with `tuneroi benchmark` and tears it down {idle} minutes after.
#
#     sky launch -c {cluster} task.yaml
#     rsync -Pavz {cluster}:{folder}/{result} .
#     sky down {cluster}
#     tuneroi calibrate add {result}
"""


def job_script(args: Sequence[str]) -> str:
    """A bash script that runs `tuneroi benchmark ARGS --json` and prints the calibration made."""
    return SCRIPT.format(
        package=f"tuneroi[benchmark]=={__version__}",
        pinned=" ".join(shlex.quote(pin) for pin in pinned_versions()),
        arguments=shlex.join(_arguments(args)),
        folder=FOLDER,
        result=RESULT,
    )


def sky_task(args: Sequence[str], *, gpu: str = "h100-sxm5-80gb", count: int = 1) -> str:
    """A SkyPilot task (YAML) that runs the same script on `count` rented GPUs of a kind."""
    if count < 1:
        raise InputError(f"{count} GPUs: at least 1 is needed")
    known = skypilot_names()["accelerator"]
    if gpu not in known:
        raise unknown("GPU for SkyPilot", gpu, known, "sky show-gpus lists what it can rent")
    task = {
        "name": CLUSTER,
        "resources": {
            "accelerators": f"{known[gpu]}:{count}",
            "autostop": {"idle_minutes": IDLE_MINUTES, "down": True},
        },
        "run": job_script(args),
    }
    header = HEADER.format(idle=IDLE_MINUTES, cluster=CLUSTER, folder=FOLDER, result=RESULT)
    return header + yaml.dump(task, Dumper=_Dumper, sort_keys=False)


def pinned_versions() -> tuple[str, ...]:
    """Requirements such as "torch==2.13.0" of what is installed here; build labels left out."""
    pins = []
    for name in PINNED:
        try:
            pins.append(f"{name}=={version(name).partition('+')[0]}")
        except PackageNotFoundError:
            continue  # the extra of the pinned tuneroi decides
    return tuple(pins)


def _arguments(args: Sequence[str]) -> list[str]:
    """Arguments of the benchmark there: as given here, with JSON and without asking for scripts."""
    kept = [arg for arg in args if arg not in ("--json", "--remote-script")]
    for arg in kept:
        if Path(arg).is_file():
            raise InputError(f"{arg}: is a file of this machine; name the model by its hub id")
    return [*kept, "--json"]


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as a literal block, as people write it."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
