"""From a name to an architecture: files, catalogue, sizes, and families without a formula."""

import json
from pathlib import Path
from typing import Any

import pytest

from estimator.errors import CatalogError, InputError, MissingExtra
from estimator.llm.building import inventory_of
from estimator.llm.catalogue import catalogue, catalogue_architecture
from estimator.llm.parameters import count_parameters
from estimator.llm.resolve import resolve_model

VARIANTS = json.loads((Path(__file__).parent / "data/llm/variants.json").read_text("utf-8"))
CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 100,
}


def test_a_shipped_model_is_exact_and_dated() -> None:
    found = resolve_model("Llama-3.1-8B")
    assert (found.source, found.exact, found.as_of) == ("catalogue", True, "2026-11-23")
    assert found.architecture is catalogue_architecture("meta-llama/Llama-3.1-8B")


def test_a_bare_size_is_typical_and_not_exact() -> None:
    found = resolve_model("7B")
    assert (found.source, found.exact, found.architecture.typical) == ("size", False, True)


@pytest.mark.parametrize("as_path", [True, False])
@pytest.mark.parametrize("folder", [True, False])
def test_a_file_or_its_folder(tmp_path: Path, as_path: bool, folder: bool) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(CONFIG))
    place = tmp_path if folder else file
    found = resolve_model(place if as_path else str(place))
    assert (found.source, found.origin) == ("file", str(file))
    assert found.architecture.num_layers == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"config\.json is not JSON"),
        ("[]", "holds a list, not an object"),
        ('{"model_type": "llama", "hidden_size": -1}', "hidden_size is -1; allowed"),
        (" " * 1_000_001, "larger than 1 MB; give a config.json"),
    ],
)
def test_a_bad_file_is_explained(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        resolve_model(tmp_path)


@pytest.mark.parametrize("name", ["./absent.json", "/absent/folder", "~/absent/model"])
def test_an_absent_file_is_not_looked_for_elsewhere(name: str) -> None:
    with pytest.raises(InputError, match=r"does not exist; allowed: a config\.json or its folder"):
        resolve_model(name)


def test_a_folder_without_config_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no config\.json"):
        resolve_model(tmp_path)
    with pytest.raises(InputError, match="model name is empty"):
        resolve_model(" ")


def test_an_unknown_name_offline_names_the_nearest() -> None:
    with pytest.raises(CatalogError, match=r"nearest known: meta-llama/.*The network is off"):
        resolve_model("llamma-3.1-8b", offline=True)


ONE_PER_FAMILY = {variant["config"]["model_type"]: variant["config"] for variant in VARIANTS[::3]}


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(config, id=family)
        for family, config in ONE_PER_FAMILY.items()
        if "_vl" not in family and "architectures" not in config
    ],
)
def test_building_and_formula_agree(config: dict[str, Any]) -> None:
    pytest.importorskip("transformers")
    from estimator.llm.architecture import Architecture

    built, formula = inventory_of(config), Architecture.from_hf_config(config)
    if formula.kind == "encoder" or formula.family in ("t5", "mt5", "bart"):
        return  # the class built for an unknown family has a language head
    assert count_parameters(built).total == count_parameters(formula).total
    if formula.family != "gpt_oss":  # a bare bias does not tell that it belongs to an expert
        assert count_parameters(built).active == count_parameters(formula).active
    assert built.num_layers == formula.num_layers


def test_a_family_without_formula_is_built(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    config = {**CONFIG, "model_type": "helium", "num_key_value_heads": 2, "head_dim": 16}
    (tmp_path / "config.json").write_text(json.dumps({**config, "pad_token_id": 1}))
    found = resolve_model(tmp_path)
    attention = 64 * (64 + 32 + 32 + 64)
    expected = 3 * (attention + 3 * 64 * 96 + 2 * 64) + 64 + 2 * 100 * 64
    assert count_parameters(found.architecture).total == expected
    assert "no formula for family helium" in found.notes[0]


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"model_type": "no-such"}, CatalogError, "'no-such' is not known to the installed"),
        ({"model_type": "helium", "num_hidden_layers": 10**9}, InputError, "at most 1000"),
        ({"model_type": "helium", "hidden_size": 10**12}, InputError, "at most 1000000000"),
        ({"model_type": "helium", "hidden_size": "x"}, InputError, "helium class .* refuses it"),
    ],
)
def test_what_cannot_be_built_is_refused(
    config: dict[str, Any], error: type[Exception], message: str
) -> None:
    pytest.importorskip("transformers")
    with pytest.raises(error, match=message):
        inventory_of(config)


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match="benchmark extra"):
        inventory_of({"model_type": "helium"})


def test_the_unknown_family_itself_is_the_error_where_nothing_can_build_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "model_type": "helium"}))
    with pytest.raises(CatalogError, match="unknown model family 'helium'; nearest known"):
        resolve_model(tmp_path)


def test_shared_configs_share_their_architecture() -> None:
    ids = [id for id, entry in catalogue().items() if entry.config["model_type"] == "deepseek_v3"]
    totals = {count_parameters(catalogue_architecture(id)).total for id in ids}
    assert 671_026_404_352 in totals
