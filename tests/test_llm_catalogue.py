"""The shipped models, their names, and typical models of a bare size."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import CatalogError, InputError
from estimator.llm.catalogue import (
    COLUMNS,
    catalogue,
    catalogue_architecture,
    find_model,
    read_catalogue,
    unknown_model,
)
from estimator.llm.parameters import count_parameters
from estimator.llm.size import LEAST, MOST, parse_size, typical_architecture

HEADER = ",".join(COLUMNS)
ROW = "maker/one,,,llama,2,64,96,4,,,100,,false,,,somewhere,2026-01-01,seen"


def test_every_model_counts_and_its_source_is_dated() -> None:
    assert len(catalogue()) > 450
    for id, entry in catalogue().items():
        assert count_parameters(catalogue_architecture(id)).total > 1e7, id
        assert catalogue_architecture(id).context_length is not None or "mamba" in id, id
        assert (entry.evidence in ("seen", "recalled"), entry.as_of[:2]) == (True, "20")


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("Meta-Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("meta-llama/meta-llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("META-LLAMA/LLAMA-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("llama-2-7b", "meta-llama/Llama-2-7b-hf"),
        ("meta-llama/Llama-2-7b", "meta-llama/Llama-2-7b-hf"),
        ("mistral-7b", "mistralai/Mistral-7B-v0.1"),
        ("phi_2", "microsoft/phi-2"),
        ("gpt2", "openai-community/gpt2"),
        ("bert-base-uncased", "google-bert/bert-base-uncased"),
        ("gpt-oss-20b", "openai/gpt-oss-20b"),
    ],
)
def test_common_names_find_their_model(name: str, id: str) -> None:
    entry = find_model(name)
    assert entry is not None
    assert entry.id == id


def test_another_makers_model_of_that_name_is_not_meant() -> None:
    assert find_model("somebody/Llama-3.1-8B") is None


def test_a_short_name_means_one_shape_only() -> None:
    for id, entry in catalogue().items():
        for name in (id, *entry.aliases):
            short = find_model(name.rpartition("/")[2])
            assert short is not None, name
            same = count_parameters(catalogue_architecture(short.id))
            assert same == count_parameters(catalogue_architecture(id)), (name, short.id)


def test_an_unknown_name_comes_with_the_nearest() -> None:
    error = unknown_model("lama-3.1-8b", "Look again")
    assert str(error) == (
        "unknown model 'lama-3.1-8b'; nearest known: meta-llama/Llama-3.1-8B, "
        "meta-llama/Meta-Llama-3-8B, meta-llama/Llama-3.1-70B. Look again"
    )
    assert isinstance(error, CatalogError)
    assert "are shipped" in str(unknown_model("#"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,aliases"], r"models.csv:1: columns are .*; allowed"),
        ([HEADER, ROW, ROW], "models.csv:3: id is 'maker/one'; allowed: an id that no row above"),
        ([HEADER, ROW.replace(",2,", ",two,")], "models.csv:2: num_hidden_layers is 'two'"),
        ([HEADER, ROW.replace("false", "no")], "tie_word_embeddings is 'no'; allowed: true, false"),
        ([HEADER, ROW.replace("false,", "false,[1")], r"extra is '\[1'; allowed: a JSON object"),
        ([HEADER, ROW.replace("somewhere", "")], "source is ''; allowed: a text"),
        ([HEADER, ROW.replace("one,,", "one,,maker/two")], "same_as is 'maker/two'; .* row above"),
        ([HEADER, ROW, ROW.replace("one,,", "two,,maker/one")], "nothing where the row has dim"),
        ([HEADER, ROW + ",more"], "models.csv:2: the row does not have 18 cells"),
    ],
)
def test_a_fault_in_the_table_names_its_place(lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_catalogue(lines)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7B", 7e9), ("70b", 70e9), ("350M", 350e6), ("1.5e9", 1.5e9), ("0.5 B", 5e8),
        ("1.8t", 1.8e12), ("124439808", 124439808), ("7", None), ("8x7B", None), ("gpt2", None),
        ("", None), ("-7B", None), ("nan", None), ("1e", None),
    ],
)  # fmt: skip
def test_bare_sizes(text: str, size: float | None) -> None:
    assert parse_size(text) == size


@given(st.floats(LEAST, MOST))
def test_a_typical_model_has_about_the_size_asked_for(parameters: float) -> None:
    model = typical_architecture(parameters)
    assert count_parameters(model).total == pytest.approx(parameters, rel=0.02)
    assert model.typical
    assert "not a real one" in model.notes[0]
    assert model.num_attention_heads % model.num_key_value_heads == 0


@pytest.mark.parametrize(
    ("size", "id"),
    [(7.2e9, "mistral-7b"), (70.6e9, "llama-3.1-70b"), (405e9, "llama-3.1-405b")],
)
def test_a_typical_model_is_shaped_like_the_models_of_its_size(size: float, id: str) -> None:
    entry = find_model(id)
    assert entry is not None
    real, made = catalogue_architecture(entry.id), typical_architecture(size)
    assert made.hidden_size == real.hidden_size
    assert made.num_key_value_heads == real.num_key_value_heads
    assert made.num_layers == pytest.approx(real.num_layers, rel=0.05)
    assert made.intermediate_size == pytest.approx(real.intermediate_size, rel=0.1)


@pytest.mark.parametrize("parameters", [1e6, 1e14])
def test_a_size_that_no_model_has_is_refused(parameters: float) -> None:
    with pytest.raises(InputError, match=r"allowed: 5e\+07 to 2e\+12"):
        typical_architecture(parameters)


def test_resolving_needs_no_heavy_import() -> None:
    heavy = ("torch", "transformers", "peft", "pandas", "huggingface_hub", "scipy")
    program = (
        "import sys; from estimator.llm.resolve import resolve_model; resolve_model('gpt2');"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
