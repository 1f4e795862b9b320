"""Known faults of the dependencies: `python .ci/audit.py pip-audit OPTIONS`.

Exits with 1 where a dependency has a known fault, or where the tool fails for another reason than
that its service cannot be reached. Then, and where the service knows none of the packages, it says
so in one line and exits with 0: a build without the network must not fail, nor seem audited.
"""

import json
import re
import subprocess
import sys

LONGEST_SECONDS = 300.0
OUT_OF_REACH = re.compile(
    r"connect|timed? ?out|max retries|resolve host|certificate|proxy|HTTP 5\d\d",
    re.IGNORECASE,
)


def main(command: list[str]) -> int:
    """Run the tool, say in words what it found, and return the exit status."""
    try:
        ran = subprocess.run(  # noqa: S603 - the command that the Makefile gives
            [*command, "--format", "json", "--progress-spinner", "off"],
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
        )
    except OSError:
        return skipped("pip-audit is not there")
    except subprocess.TimeoutExpired:
        return skipped(f"its service gave no answer in {LONGEST_SECONDS:g} s")
    try:
        packages = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = " ".join(ran.stderr.split())
        if OUT_OF_REACH.search(said):
            return skipped("its service cannot be reached")
        print(f"audit failed: {said[-500:] or 'the tool said nothing'}")
        return 1
    return judged(packages)


def judged(packages: list[dict[str, object]]) -> int:
    """The exit status for what the tool knows of every package."""
    known = [package for package in packages if "vulns" in package]
    if not known:
        return skipped("its service knows none of the packages")
    faults = [
        f"{package['name']} {package['version']}: {fault['id']}, "
        f"mended in {', '.join(fault.get('fix_versions') or ()) or 'no version yet'}"
        for package in known
        for fault in package["vulns"]  # type: ignore[attr-defined]
    ]
    for fault in faults:
        print(f"audit: {fault}")
    left = f", {rest} not looked up" if (rest := len(packages) - len(known)) else ""
    print(f"audit: {len(faults) or 'no'} known faults in {len(known)} packages{left}")
    return 1 if faults else 0


def skipped(reason: str) -> int:
    """Say that nothing was looked up."""
    print(f"audit skipped: nothing was looked up, {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
