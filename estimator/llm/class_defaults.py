"""What a `transformers` config class assumes for a key that config.json leaves out.

The shipped table is read from the classes themselves by `read_classes`, so that the counter needs
no `transformers`; a test compares the two. Run `python -m estimator.llm.class_defaults` to write
it anew after an upgrade.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

TABLE = "class_defaults.json"
_NO_DIMENSION = re.compile(
    r"_token_id$|_token_ids$|_eps$|epsilon|^init|initializer|^use_cache$|^output_|^router_|^summary_"
    r"|^return_|^dtype$|^id2label$|^label2id$|^problem_type$|^architectures$|^transformers_version$"
    r"|^chunk_size|scal|jitter|time_step_(min|max|floor|init|limit)|^attn_temp|^floor_|^pooler_(dr|hidden_act)"
    r"|norm_topk|^swiglu_|multiplier|^pretraining_tp$|^slow_|^init_device|residual_in_fp32|mambapy"
    r"|associative|kernels$|classifier_dropout|loss_weight|normalize_expert|^clip_|^torchscript"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassDefaults:
    """The assumptions of one config class."""

    values: Mapping[str, object]
    """Default by key; a nested config is a nested mapping."""
    aliases: Mapping[str, str]
    """Other names that the class takes for a key."""


@cache
def _table() -> dict[str, dict[str, dict[str, object]]]:
    text = files("estimator.llm").joinpath("data", TABLE).read_text(encoding="utf-8")
    table: dict[str, dict[str, dict[str, object]]] = json.loads(text)
    return table


@cache
def class_defaults(family: str) -> ClassDefaults:
    """The defaults of the config class of `family`; empty where `transformers` has no class."""
    entry = _table().get(family, {})
    aliases = {alias: str(key) for alias, key in entry.get("aliases", {}).items()}
    return ClassDefaults(values=entry.get("values", {}), aliases=aliases)


def read_classes(families: Iterable[str]) -> dict[str, dict[str, object]]:
    """The same table, read from the installed `transformers`; families it lacks are left out."""
    from transformers import CONFIG_MAPPING

    return {
        family: {
            "values": _dimensions(CONFIG_MAPPING[family]),
            "aliases": dict(CONFIG_MAPPING[family].attribute_map),
        }
        for family in sorted(families)
        if family in CONFIG_MAPPING
    }


def _dimensions(config_class: type) -> dict[str, object]:
    values: dict[str, object] = {}
    for field in dataclasses.fields(config_class):
        nested = getattr(config_class, "sub_configs", {}).get(field.name)
        if nested is not None:
            values[field.name] = _dimensions(nested)
        elif isinstance(field.default, bool | int | float | str | None) and not re.search(
            _NO_DIMENSION, field.name
        ):
            values[field.name] = field.default
    return values


if __name__ == "__main__":
    from estimator.llm.families import FAMILIES

    target = Path(__file__).parent / "data" / TABLE
    classes = read_classes({family.defaults for family in FAMILIES.values()})
    target.write_text(json.dumps(classes, indent=1, sort_keys=True) + "\n", encoding="utf-8")
