"""Every command that README and docs show is run: UPDATE_DOCS=1 writes its output anew.

A page's blocks run in order in one folder that holds `examples/`, with an empty data folder, no
network and one thread. Around a block, as comments that no reader sees:

- `<!-- needs: WHAT -->` before ```sh: not run; its commands and options must exist.
- `<!-- status: N -->` before ```sh: the exit status of its last command, 0 otherwise.
- `<!-- output -->` before ```text: what the block above printed; `<!-- output: 1-9, 14-20 -->`
  these lines of it, or `From here+5` that line and the next 4, with "..." for lines left out;
  `output wide` as wide as into a pipe.
- `<!-- example: WHERE -->` before ```text: printed on that machine; not compared.
- ```yaml title="FILE": written to FILE. ```python without a title is run like ```sh.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN_BY_SCRIPTS = {"accuracy.md", "accuracy_text.md", "cli.md", "json.md"}
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^>]*?) -->\n+)?^```(?P<language>\w+)(?P<more>[^\n]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
MARKS = re.compile(r"needs: .+|status: \d+|output( wide)?(: .+)?|example: .+|demo|accuracy")
DAY = "2026-11-23"
"""On which the pages were written: the age of a price is told by it."""
WIDTH, WIDE = 100, 160
"""Columns of printed output: narrow as in the README's demo, or what a pipe gets."""


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    mark: str
    language: str
    title: str
    body: str
    span: tuple[int, int]
    line: int

    @property
    def runs(self) -> bool:
        return self.language in ("sh", "python") and not self.title

    @property
    def needs(self) -> str:
        return self.mark.removeprefix("needs: ") if self.mark.startswith("needs: ") else ""

    @property
    def status(self) -> int:
        return int(self.mark.removeprefix("status: ")) if self.mark.startswith("status: ") else 0


def blocks(text: str) -> Iterator[Block]:
    for found in FENCE.finditer(text):
        title = re.search(r'title="([^"]+)"', found["more"])
        yield Block(
            mark=found["mark"] or "",
            language=found["language"],
            title=title[1] if title else "",
            body=found["body"],
            span=found.span("body"),
            line=text.count("\n", 0, found.start("body")),
        )


def place(part: str, lines: list[str]) -> tuple[int, int]:
    """First and last line of a part: `3-5`, or `How the line begins+3`."""
    if found := re.fullmatch(r"(\d+)-(\d+)", part):
        return int(found[1]), int(found[2])
    beginning, _, count = part.rpartition("+")
    starts = [number for number, line in enumerate(lines, 1) if line.startswith(beginning)]
    assert starts, f"no line begins with {beginning!r}"
    return starts[0], starts[0] + int(count) - 1


def cut(printed: str, mark: str) -> str:
    """The lines of what was printed that a mark asks for."""
    if ":" not in mark:
        return printed
    lines = printed.splitlines(keepends=True)
    shown = []
    for part in mark.partition(":")[2].split(","):
        start, end = place(part.strip(), lines)
        shown.append("".join(lines[start - 1 : end]))
    return "...\n".join(shown) + ("...\n" if end < len(lines) else "")


@dataclass(frozen=True)
class Shell:
    """Where the blocks of one page run."""

    folder: Path
    programs: Path

    @classmethod
    def made(cls, at: Path) -> "Shell":
        shell = cls(at / "page", at / "programs")
        shutil.copytree(ROOT / "examples", shell.folder / "examples")
        shell.programs.mkdir()
        program = shell.programs / "tuneroi"
        program.write_text(
            f"#!{sys.executable}\nfrom estimator.cli import main, show\n"
            "import os\nshow.PIPE_WIDTH = int(os.environ['SHOWN_WIDTH'])\nmain()\n"
        )
        program.chmod(0o755)
        (shell.programs / "python").symlink_to(sys.executable)
        return shell

    def run(self, block: Block, width: int = WIDTH) -> tuple[int, str, str]:
        path = f"{self.programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}"
        environment = {
            **os.environ,
            "TUNEROI_TODAY": DAY,
            "PATH": path + os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "TUNEROI_DATA": str(self.folder.parent / "own"),
            "SHOWN_WIDTH": str(width),
            "HF_HUB_OFFLINE": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        command = ["bash", "-e", "-c"] if block.language == "sh" else [sys.executable, "-c"]
        ran = subprocess.run(
            [*command, block.body],
            stdin=subprocess.DEVNULL,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return ran.returncode, ran.stdout, ran.stderr


def commands(body: str) -> Iterator[list[str]]:
    """The words of each line of a shell block, its comment and what it is piped into left out."""
    for line in body.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        for stop in ("|", ">", "&&", "2>&1", "&"):
            if stop in words:
                words = words[: words.index(stop)]
        if words:
            yield words


def check_exists(words: list[str]) -> None:
    """A command of tuneroi or make that a block shows: it and its options exist."""
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(words[1:]) <= targets | {"docs"}, words
    if words[0] != "tuneroi":
        return
    import typer

    from estimator.cli.main import app

    command: Any = typer.main.get_command(app)
    rest = words[1:]
    while rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    if getattr(command, "commands", None):
        assert "show" in command.commands, words
        command = command.commands["show"]
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    for word in rest:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{' '.join(words)}: no option {word}"


def checked_pages() -> list[Path]:
    return [
        page
        for page in PAGES
        if page.name not in WRITTEN_BY_SCRIPTS and any(b.runs for b in blocks(page.read_text()))
    ]


@pytest.mark.parametrize("page", checked_pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_its_commands_do(page: Path, tmp_path: Path) -> None:
    text = page.read_text("utf-8")
    shell = Shell.made(tmp_path)
    printed, edits = None, []
    found = list(blocks(text))
    for block, after in zip(found, [*found[1:], None], strict=True):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if block.title:
            (shell.folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (shell.folder / block.title).write_text(block.body, "utf-8")
        elif block.needs:
            for words in commands(block.body):
                check_exists(words)
            printed = None
        elif block.runs:
            wide = after is not None and after.mark.startswith("output wide")
            status, printed, error = shell.run(block, WIDE if wide else WIDTH)
            assert status == block.status, f"{where}: exit status {status}\n{printed}{error}"
        elif block.mark.startswith("output"):
            assert printed is not None, f"{where}: no block above it was run"
            shown = cut(printed, block.mark)
            edits.append((block.span, shown))
            if not os.environ.get("UPDATE_DOCS"):
                assert block.body == shown, (
                    f"{where}: run UPDATE_DOCS=1 python -m pytest {__file__}"
                )
    if os.environ.get("UPDATE_DOCS"):
        for (start, end), shown in reversed(edits):
            text = text[:start] + shown + text[end:]
        page.write_text(text, "utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_marks_are_known_and_outputs_are_marked(page: Path) -> None:
    if page.name in WRITTEN_BY_SCRIPTS:
        return
    found = list(blocks(page.read_text("utf-8")))
    for before, block in zip([None, *found], found, strict=False):
        assert not block.mark or MARKS.fullmatch(block.mark), f"{page.name}: {block.mark}"
        if block.language == "text" and before is not None and before.runs:
            assert block.mark, f"{page.name}:{block.line}: output or example?"
            assert not (before.needs and block.mark.startswith("output")), block.mark


def test_the_check_sees_what_is_wrong(tmp_path: Path) -> None:
    text = "<!-- status: 3 -->\n```sh\necho yes; exit 3\n```\n<!-- output -->\n```text\nno\n```\n"
    ran, shown = blocks(text)
    status, printed, _ = Shell.made(tmp_path).run(ran)
    assert (status, ran.status, printed) == (3, 3, "yes\n")
    assert cut(printed, shown.mark) != shown.body
    assert cut("a\nb\nc\nd\n", "output: 1-1, c+1") == "a\n...\nc\n...\n"
    with pytest.raises(AssertionError, match="no option --nonsense"):
        check_exists(["tuneroi", "plan", "--nonsense", "1"])
    with pytest.raises(AssertionError):
        check_exists(["make", "tea"])
