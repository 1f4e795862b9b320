"""A report as Markdown, for a pull request: the answer in view, what it stands on folded."""

import re
from collections.abc import Iterator, Sequence

from estimator.report.charts import Chart
from estimator.report.document import Block, Document, Figures, Folded, Listing, Section

_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~$])")


def markdown(report: Document) -> str:
    """The whole report but for its longest table; a chart becomes its table.

    It stays well below the 65,536 characters that GitHub takes as a comment.
    """
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Document) -> Iterator[str]:
    yield from (f"# {escape(report.title)}", "")
    if report.about:
        yield from (escape(report.about), "")
    yield from (f"**{escape(report.verdict)}**", "", escape(report.sure), "")
    for section in report.sections:
        yield from _section(section)
    yield from ("---", "")
    yield from (f"{escape(line)}  " for line in report.footer)


def _section(section: Section) -> Iterator[str]:
    """A section under its heading; a detail folded, so that a pull request stays short."""
    title = escape(section.title)
    heading = f"<details><summary>{title}</summary>" if section.is_detail else f"## {title}"
    yield from (heading, "", f"*{escape(section.under)}*", "")
    for block in section.blocks:
        yield from _block(block)
        yield ""
    if section.is_detail:
        yield from ("</details>", "")


def _block(block: Block) -> Iterator[str]:
    match block:
        case str():
            yield escape(block)
        case Listing():
            yield from (f"- {escape(line)}" for line in block.lines)
        case Figures():
            yield from _table(block.columns, block.rows, block.left)
        case Folded():
            yield escape(block.instead)
        case Chart() if len(block.columns) == 2:
            yield escape(block.finding)
        case Chart():
            yield from _table(block.columns, block.rows, (0,))


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]
) -> Iterator[str]:
    yield f"| {' | '.join(map(escape, columns))} |"
    yield "|" + "|".join("---" if i in left else "---:" for i in range(len(columns))) + "|"
    for row in rows:
        yield f"| {' | '.join(map(escape, row))} |"


def escape(text: str) -> str:
    """Text on one line that Markdown shows as it is."""
    return _SIGNS.sub(r"\\\1", " ".join(text.split()))
