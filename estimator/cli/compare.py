"""`tuneroi compare`: every way of getting there, side by side, and the verdict."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from estimator.cli.arguments import CalibrationOption, JsonOption
from estimator.cli.decision_arguments import (
    AlternativesOption,
    DrawsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    one_thread,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

    from estimator.decision.simulate import Comparison
    from estimator.hardware.calibration import Calibration

Shown = tuple[dict[str, Any], Iterable["RenderableType"]]
"""The same thing as data for JSON and as parts to print."""

DetailsOption = Annotated[
    bool, typer.Option("--details", help="Show every line item of every alternative.")
]
CostOnlyOption = Annotated[
    bool, typer.Option("--cost-only", help="Cost at equal service, if you cannot value it.")
]
ExplainOption = Annotated[
    str,
    typer.Option(
        "--explain",
        metavar="PATH",
        help="Where a number comes from: rag.tokens, saas.fees, or an input's path.",
    ),
]
RiskToleranceOption = Annotated[
    float | None,
    typer.Option("--risk-tolerance", help="USD; adds what each way is surely worth to you."),
]
ClaimsOption = Annotated[
    bool,
    typer.Option("--claims", help="What is claimed of fine-tuning, and this scenario's facts."),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Also write a report to open and print.")
]
MarkdownOption = Annotated[
    Path | None, typer.Option("--markdown", help="Also write the report as Markdown.")
]
XlsxOption = Annotated[
    Path | None,
    typer.Option("--xlsx", help="Also write a workbook with live formulas, inputs at medians."),
]


def compare(
    scenario: ScenarioArgument,
    changes: SetOption = None,
    alternatives: AlternativesOption = None,
    seed: SeedOption = 7,
    draws: DrawsOption = 8192,
    details: DetailsOption = False,
    cost_only: CostOnlyOption = False,
    explain: ExplainOption = "",
    risk_tolerance: RiskToleranceOption = None,
    with_claims: ClaimsOption = False,
    html: HtmlOption = None,
    markdown: MarkdownOption = None,
    xlsx: XlsxOption = None,
    calibration: CalibrationOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare all alternatives of a scenario: chance of being best, value, cost, time, risks."""
    one_thread()
    from estimator.cli.decision_options import asked
    from estimator.cli.show import print_result, working
    from estimator.decision.simulate import compare as compare_alternatives
    from estimator.report.calibration import calibration_dict, calibration_lines

    given = asked(scenario, changes, calibration, alternatives=alternatives)
    own = given.calibration.own
    with working("comparing ..."):
        comparison = compare_alternatives(given.scenario, n=draws, seed=seed, calibration=own)
    if explain:
        data, parts = _explanation(comparison, explain)
    elif cost_only:
        data, parts = _costs(comparison, own)
    else:
        data, parts = _answer(comparison, risk_tolerance, details=details)
    if with_claims:
        data, parts = _claimed(comparison, own, data, parts)
    _write(comparison, html, markdown, xlsx, own)
    print_result(
        lambda: data | {"calibration": calibration_dict(given.calibration)},
        lambda: [*parts, *calibration_lines(given.calibration)],
        as_json=as_json,
        currency=given.scenario.currency,
    )


def _answer(comparison: "Comparison", risk_tolerance: float | None, *, details: bool) -> Shown:
    from estimator.report.comparison import as_dict
    from estimator.report.text import comparison_parts

    data = as_dict(comparison, risk_tolerance_usd=risk_tolerance)
    return data, comparison_parts(comparison, details=details, risk_tolerance_usd=risk_tolerance)


def _explanation(comparison: "Comparison", path: str) -> Shown:
    from estimator.report.explain import explain_dict, explain_parts

    return explain_dict(comparison, path), explain_parts(comparison, path)


def _costs(comparison: "Comparison", calibration: "Calibration | None") -> Shown:
    from estimator.decision.cost_only import cost_only
    from estimator.report.comparison_cost_only import cost_only_dict, cost_only_parts

    found = cost_only(comparison, calibration=calibration)
    return cost_only_dict(comparison, found), cost_only_parts(comparison, found)


def _claimed(
    comparison: "Comparison",
    calibration: "Calibration | None",
    data: dict[str, Any],
    parts: Iterable["RenderableType"],
) -> Shown:
    """The same with what is claimed of fine-tuning under it."""
    from itertools import chain

    from estimator.decision.currency import shown_in
    from estimator.report.claims import claims, claims_dict, claims_parts

    with shown_in(comparison.scenario.currency):
        said = claims(comparison, calibration=calibration)
    return data | {"claims": claims_dict(said)}, chain(parts, claims_parts(said))


def _write(
    comparison: "Comparison",
    html: Path | None,
    markdown: Path | None,
    xlsx: Path | None,
    calibration: "Calibration | None",
) -> None:
    """The report and the workbook, in the files that were asked for."""
    from estimator.files import write_atomically, write_bytes_atomically

    if html is not None or markdown is not None:
        from estimator.report.document import document
        from estimator.report.html import html as in_html
        from estimator.report.markdown import markdown as in_markdown

        report = document(comparison)
        if html is not None:
            write_atomically(html, in_html(report))
        if markdown is not None:
            write_atomically(markdown, in_markdown(report))
    if xlsx is not None:
        from estimator.report.workbook.book import workbook

        made = workbook(comparison.scenario, calibration=calibration, comparison=comparison)
        write_bytes_atomically(xlsx, made)
