"""`tuneroi compare`: every way of getting there, side by side, and the verdict."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from estimator.cli.arguments import CalibrationOption, JsonOption
from estimator.cli.decision_options import (
    AlternativesOption,
    ScenarioArgument,
    SetOption,
    one_thread,
)

if TYPE_CHECKING:
    from estimator.decision.simulate import Comparison
    from estimator.hardware.calibration import Calibration

DEFAULT_SEED = 7
DEFAULT_DRAWS = 8192


def compare(
    scenario: ScenarioArgument,
    changes: SetOption = None,
    alternatives: AlternativesOption = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = DEFAULT_SEED,
    draws: Annotated[
        int, typer.Option(help="Draws, a power of two.", min=256, max=262_144)
    ] = DEFAULT_DRAWS,
    details: Annotated[
        bool, typer.Option("--details", help="Show every line item of every alternative.")
    ] = False,
    cost_only: Annotated[
        bool, typer.Option("--cost-only", help="Cost at equal service, if you cannot value it.")
    ] = False,
    explain: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="Where a number comes from: rag.tokens, saas.fees, or an input's path.",
        ),
    ] = "",
    risk_tolerance: Annotated[
        float | None, typer.Option(help="USD; adds what each way is surely worth to you.")
    ] = None,
    with_claims: Annotated[
        bool,
        typer.Option("--claims", help="What is claimed of fine-tuning, and this scenario's facts."),
    ] = False,
    html: Annotated[
        Path | None, typer.Option("--html", help="Also write a report to open and print.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", help="Also write the report as Markdown.")
    ] = None,
    xlsx: Annotated[
        Path | None,
        typer.Option("--xlsx", help="Also write a workbook with live formulas, inputs at medians."),
    ] = None,
    calibration: CalibrationOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare all alternatives of a scenario: chance of being best, value, cost, time, risks."""
    one_thread()
    from itertools import chain

    from estimator.cli.show import print_json, print_parts, working
    from estimator.decision.cost_only import cost_only as cost_at_equal_service
    from estimator.decision.currency import shown_in
    from estimator.decision.simulate import compare as compare_alternatives
    from estimator.errors import InputError
    from estimator.hardware.calibration_file import calibration_to_use
    from estimator.report.calibration import calibration_dict, calibration_lines
    from estimator.report.claims import claims, claims_dict, claims_parts
    from estimator.report.comparison import as_dict
    from estimator.report.comparison_cost_only import cost_only_dict, cost_only_parts
    from estimator.report.explain import explain_dict, explain_parts
    from estimator.report.text import comparison_parts
    from estimator.scenario.edit import with_settings
    from estimator.scenario.files import load_scenario
    from pricing import gpu_spec

    if draws & (draws - 1):
        raise InputError(f"--draws {draws}: must be a power of two, such as 4096 or 16384")
    loaded = with_settings(load_scenario(scenario), changes or (), alternatives=alternatives)
    used = calibration_to_use(gpu_spec(loaded.training.gpu), calibration)
    with working("comparing ..."):
        comparison = compare_alternatives(loaded, n=draws, seed=seed, calibration=used.own)
    if explain:
        data, parts = explain_dict(comparison, explain), explain_parts(comparison, explain)
    elif cost_only:
        costs = cost_at_equal_service(comparison, calibration=used.own)
        data, parts = cost_only_dict(comparison, costs), cost_only_parts(comparison, costs)
    else:
        data = as_dict(comparison, risk_tolerance_usd=risk_tolerance)
        parts = comparison_parts(comparison, details=details, risk_tolerance_usd=risk_tolerance)
    if with_claims:
        with shown_in(loaded.currency):
            said = claims(comparison, calibration=used.own)
        data, parts = data | {"claims": claims_dict(said)}, chain(parts, claims_parts(said))
    _write(comparison, html, markdown)
    if xlsx is not None:
        _write_workbook(comparison, xlsx, used.own)
    if as_json:
        print_json(data | {"calibration": calibration_dict(used)})
        return
    with shown_in(loaded.currency):
        print_parts([*parts, *calibration_lines(used)])


def _write(comparison: "Comparison", html: Path | None, markdown: Path | None) -> None:
    """The report in the files that were asked for."""
    from estimator.files import write_atomically
    from estimator.report import document
    from estimator.report import html as in_html
    from estimator.report import markdown as in_markdown

    if html is None and markdown is None:
        return
    report = document.document(comparison)
    if html is not None:
        write_atomically(html, in_html.html(report))
    if markdown is not None:
        write_atomically(markdown, in_markdown.markdown(report))


def _write_workbook(
    comparison: "Comparison", path: Path, calibration: "Calibration | None"
) -> None:
    """The base case of the same scenario as a workbook."""
    from estimator.files import write_bytes_atomically
    from estimator.report.workbook.book import workbook

    write_bytes_atomically(path, workbook(comparison.scenario, calibration=calibration))
