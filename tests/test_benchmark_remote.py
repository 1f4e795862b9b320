"""Scripts for somebody else's GPU: bash that runs, YAML that SkyPilot knows, versions pinned."""

import importlib.metadata
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from estimator import __version__
from estimator.benchmark import remote
from estimator.benchmark.remote import job_script, pinned_versions, sky_task
from estimator.errors import CatalogError, InputError
from estimator.training.launch import skypilot_names

ARGUMENTS = ["Qwen/Qwen2.5-0.5B", "--budget", "90", "--note", "it's; rm -rf $HOME `x`"]
PYTHON = """#!/bin/sh
# Stands in for python3: makes an "environment" whose pip and tuneroi write down what they got.
mkdir -p "$3/bin"
cat > "$3/bin/python" <<'END'
#!/bin/sh
printf '%s\\n' "$@" >> "$LOG"; echo noise
END
cat > "$3/bin/tuneroi" <<'END'
#!/bin/sh
printf '%s\\n' "$@" >> "$LOG"; echo '{"result": 1}'; cat
if [ -z "$FAILS" ]; then
    mkdir -p "$TUNEROI_DATA/calibrations"
    echo '{"made": true}' > "$TUNEROI_DATA/calibrations/a.json"
fi
END
chmod +x "$3/bin/python" "$3/bin/tuneroi"
"""
# Top-level and `resources` fields of docs.skypilot.co/en/latest/reference/yaml-spec.html.
FIELDS = {"name", "workdir", "num_nodes", "resources", "envs", "file_mounts", "setup", "run"}
RESOURCES = {"infra", "accelerators", "cpus", "memory", "use_spot", "disk_size", "autostop"}


def run(folder: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script by bash, its Python replaced by a stand-in."""
    (folder / "bin").mkdir(exist_ok=True)
    python = folder / "bin" / "python3"
    python.write_text(PYTHON, "utf-8")
    python.chmod(0o755)
    known = {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "HOME": str(folder),
        "LOG": str(folder / "log"),
        **environment,
    }
    return subprocess.run(
        ["bash", "-s"], input=script, env=known, capture_output=True, text=True, check=False
    )


def test_the_script_prints_the_calibration_alone(tmp_path: Path) -> None:
    done = run(tmp_path, job_script(ARGUMENTS))
    assert done.returncode == 0, done.stderr
    assert done.stdout == '{"made": true}\n'
    assert "noise" in done.stderr
    given = (tmp_path / "log").read_text("utf-8").splitlines()
    assert given[-len(ARGUMENTS) - 2 :] == ["benchmark", *ARGUMENTS, "--json"]
    assert f"tuneroi[benchmark]=={__version__}" in given
    assert set(pinned_versions()) <= set(given)
    home = tmp_path / "tuneroi-benchmark"
    assert (home / "calibration.json").read_text("utf-8") == '{"made": true}\n'
    assert (home / "benchmark.json").read_text("utf-8") == '{"result": 1}\n'


def test_another_package_may_be_named_and_a_failure_is_told(tmp_path: Path) -> None:
    wheel = "/somewhere/tuneroi with space.whl"
    done = run(tmp_path, job_script(["7B"]), TUNEROI=wheel, FAILS="1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "left no calibration" in done.stderr
    assert wheel in (tmp_path / "log").read_text("utf-8").splitlines()


def test_the_script_is_clean_bash() -> None:
    script = job_script(ARGUMENTS)
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, "-"], input=script, text=True, check=True)


def test_versions_are_those_installed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"torch": "2.13.0+cu128", "transformers": "5.23.0"}

    def version(name: str) -> str:
        if name not in known:
            raise importlib.metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(remote, "version", version)
    assert pinned_versions() == ("torch==2.13.0", "transformers==5.23.0")


def test_asking_for_a_script_is_not_asked_again_there(tmp_path: Path) -> None:
    assert "--remote-script" not in job_script(["7B", "--remote-script", "--json"])
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="is a file of this machine"):
        job_script([str(tmp_path / "config.json")])


@pytest.mark.parametrize("gpu", ["a100-sxm4-80gb", "l4-24gb", "v100-sxm2-32gb"])
def test_the_task_has_skypilots_fields_and_the_same_script(gpu: str) -> None:
    task = yaml.safe_load(sky_task(ARGUMENTS, gpu=gpu, count=2))
    assert set(task) <= FIELDS
    assert set(task["resources"]) <= RESOURCES
    assert task["resources"]["accelerators"] == f"{skypilot_names()['accelerator'][gpu]}:2"
    assert task["resources"]["autostop"] == {"idle_minutes": 10, "down": True}
    assert task["run"] == job_script(ARGUMENTS)


def test_a_gpu_that_cannot_be_rented_there_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"gaudi2-96gb.*sky show-gpus"):
        sky_task(ARGUMENTS, gpu="gaudi2-96gb")
    with pytest.raises(InputError, match="0 GPUs"):
        sky_task(ARGUMENTS, count=0)
