"""LibreOffice as a second opinion: it recalculates workbooks that the tests give it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import openpyxl
import pytest

REQUIRED = "TUNEROI_REQUIRE_LIBREOFFICE"
RECALCULATE_ALWAYS = """<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry">
<item oor:path="/org.openoffice.Office.Calc/Formula/Load">
<prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>0</value></prop></item>
</oor:items>
"""


def soffice() -> str:
    """LibreOffice's command; the test is skipped without it, or fails where it is required."""
    found = shutil.which("soffice")
    if found is None:
        assert not os.environ.get(REQUIRED), "LibreOffice is required and not installed"
        pytest.skip("LibreOffice is not installed")
    return found


def recalculated(books: Mapping[str, bytes], folder: Path) -> dict[str, Any]:
    """The workbooks with every formula computed by LibreOffice, as openpyxl reads values."""
    given, made, profile = (folder / name for name in ("given", "made", "profile"))
    for place in (given, made, profile / "user"):
        place.mkdir(parents=True)
    (profile / "user" / "registrymodifications.xcu").write_text(RECALCULATE_ALWAYS, "utf-8")
    for name, content in books.items():
        (given / f"{name}.xlsx").write_bytes(content)
    command = [soffice(), f"-env:UserInstallation={profile.as_uri()}", "--headless"]
    convert = ["--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(made)]
    files = [str(path) for path in sorted(given.iterdir())]
    subprocess.run([*command, *convert, *files], check=True, capture_output=True, timeout=300)
    return {
        name: openpyxl.load_workbook(made / f"{name}.xlsx", data_only=True, read_only=True)
        for name in books
    }
