"""`tuneroi init`: start a scenario file from a template."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    template: Annotated[
        str, typer.Argument(help="Template to start from; leave out to list them.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [TEMPLATE.yaml].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    inputs: Annotated[
        bool, typer.Option("--inputs", help="List every input: meaning, unit, default, source.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of a scenario file.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a scenario file to start from: support, extraction, experts, code, or search."""
    from estimator.cli.show import print_json, print_lines, print_parts
    from estimator.errors import InputError
    from estimator.files import write_atomically
    from estimator.report.inputs import input_parts, inputs_dict
    from estimator.scenario import Scenario, templates

    if schema:
        print_json(Scenario.model_json_schema())
        return
    if inputs:
        scenario = templates.template(template or "support-assistant")
        if as_json:
            print_json(inputs_dict(scenario))
        else:
            print_parts(input_parts(scenario))
        return
    if not template:
        about = {name: templates.template(name).description for name in templates.template_names()}
        if as_json:
            print_json({"templates": about})
        else:
            print_lines(f"{name:22} {text}" for name, text in about.items())
        return
    text = templates.template_text(template)
    path = output or Path(f"{template}.yaml")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; use --force to write over it, or -o FILE")
    write_atomically(path, text)
    if as_json:
        print_json({"template": template, "file": str(path)})
    else:
        print_lines([f"wrote {path}; next: edit it, then tuneroi compare {path}"])
