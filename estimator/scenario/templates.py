"""Packaged scenario files to start from."""

from functools import cache
from importlib import resources

from estimator.errors import unknown
from estimator.scenario import Scenario
from estimator.scenario.files import parse_scenario

_FOLDER = resources.files("estimator") / "templates"


def template_names() -> tuple[str, ...]:
    """Names of the templates, in alphabetical order."""
    return tuple(sorted(f.name.removesuffix(".yaml") for f in _FOLDER.iterdir()))


def template_text(name: str) -> str:
    """The YAML text of a template, comments included."""
    if name not in template_names():
        raise unknown("template", name, template_names())
    return (_FOLDER / f"{name}.yaml").read_text("utf-8")


@cache
def template(name: str) -> Scenario:
    """The scenario of a template."""
    return parse_scenario(template_text(name), name=f"template {name}")
