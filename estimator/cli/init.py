"""`tuneroi init`: start a scenario file from a template."""

from pathlib import Path
from typing import Annotated

import typer

from estimator.cli.arguments import ForceOption, JsonOption

TemplateArgument = Annotated[
    str, typer.Argument(help="Template to start from; leave out to list them.")
]
OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="File to write [TEMPLATE.yaml].")
]
InputsOption = Annotated[
    bool, typer.Option("--inputs", help="List every input: meaning, unit, default, source.")
]
SchemaOption = Annotated[
    bool, typer.Option("--schema", help="Print the JSON schema of a scenario file.")
]


def init(
    template: TemplateArgument = "",
    output: OutputOption = None,
    force: ForceOption = False,
    inputs: InputsOption = False,
    schema: SchemaOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a scenario file to start from: support, extraction, experts, code, or search."""
    from estimator.cli.show import print_json, print_lines, print_result
    from estimator.errors import InputError
    from estimator.files import write_atomically
    from estimator.report.inputs import input_parts, inputs_dict
    from estimator.scenario import Scenario, templates

    if schema:
        print_json(Scenario.model_json_schema())
        return
    if inputs:
        scenario = templates.template(template or "support-assistant")
        print_result(lambda: inputs_dict(scenario), lambda: input_parts(scenario), as_json=as_json)
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
