"""The audit of the dependencies: a known fault fails, a service out of reach is said to be so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parent.parent / ".ci" / "audit.py"
CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
FAULTY = {
    "name": "somelib",
    "version": "1.0",
    "vulns": [{"id": "CVE-2026-0001", "fix_versions": ["1.1"]}, {"id": "CVE-2026-0002"}],
}
UNKNOWN = {"name": "other", "skip_reason": "Dependency not found and could not be audited: other"}


def audit(folder: Path, *, out: str = "", err: str = "", status: int = 0) -> tuple[int, str]:
    """Exit status and words, where the tool says and does this."""
    tool = folder / "tool.py"
    tool.write_text(
        f"import sys; print({out!r}); print({err!r}, file=sys.stderr); sys.exit({status})"
    )
    ran = subprocess.run(
        [sys.executable, str(AUDIT), sys.executable, str(tool), "-r", "constraints.txt"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not ran.stderr
    return ran.returncode, ran.stdout


def found(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_no_known_fault(tmp_path: Path) -> None:
    status, said = audit(tmp_path, out=found(CLEAN, UNKNOWN), err="No known vulnerabilities found")
    assert (status, said) == (0, "audit: no known faults in 1 packages, 1 not looked up\n")


def test_a_known_fault_fails_and_says_what_mends_it(tmp_path: Path) -> None:
    status, said = audit(tmp_path, out=found(CLEAN, FAULTY), err="Found 2", status=1)
    assert status == 1 and said.splitlines() == [
        "audit: somelib 1.0: CVE-2026-0001, mended in 1.1",
        "audit: somelib 1.0: CVE-2026-0002, mended in no version yet",
        "audit: 2 known faults in 2 packages",
    ]


@pytest.mark.parametrize(
    "words",
    [
        "ERROR:pip_audit._cli:Could not connect to the vulnerability feed",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool: Read timed out.",
        "SSLError: certificate verify failed",
    ],
)
def test_a_service_out_of_reach_is_no_failure_and_no_pass(tmp_path: Path, words: str) -> None:
    status, said = audit(tmp_path, err=words, status=1)
    assert status == 0 and said.startswith("audit skipped: ") and said.count("\n") == 1


def test_a_service_that_knows_nothing_has_audited_nothing(tmp_path: Path) -> None:
    status, said = audit(tmp_path, out=found(UNKNOWN, UNKNOWN))
    assert status == 0 and said == (
        "audit skipped: nothing was looked up, its service knows none of the packages\n"
    )


def test_another_failure_of_the_tool_fails(tmp_path: Path) -> None:
    status, said = audit(tmp_path, err="ERROR: invalid requirements input", status=1)
    assert status == 1 and "invalid requirements" in said


def test_a_missing_tool_is_said(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, str(AUDIT), str(tmp_path / "none")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0 and ran.stdout.startswith("audit skipped: ")
