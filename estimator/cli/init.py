"""`tuneroi init`: start a scenario file from a template."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from estimator.errors import InputError, unknown


def template_names() -> tuple[str, ...]:
    """Names of the packaged templates."""
    folder = resources.files("estimator") / "templates"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir()))


def template_text(name: str) -> str:
    """The YAML text of a packaged template."""
    if name not in template_names():
        raise unknown("template", name, template_names())
    return (resources.files("estimator") / "templates" / f"{name}.yaml").read_text("utf-8")


def init(
    template: Annotated[
        str, typer.Argument(help="Template to start from; leave out to list them.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write [TEMPLATE.yaml].")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a scenario file to start from: support, extraction, experts, code, or search."""
    from estimator.cli.show import print_json, print_lines
    from estimator.files import write_atomically
    from estimator.scenario.files import parse_scenario

    if not template:
        about = {name: parse_scenario(template_text(name)).description for name in template_names()}
        if as_json:
            print_json({"templates": about})
        else:
            print_lines(f"{name:22} {text}" for name, text in about.items())
        return
    text = template_text(template)
    path = output or Path(f"{template}.yaml")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; use --force to write over it, or -o FILE")
    write_atomically(path, text)
    if as_json:
        print_json({"template": template, "file": str(path)})
    else:
        print_lines([f"wrote {path}; next: edit it, then tuneroi compare {path}"])
