"""`tuneroi fit`: what fits, at the largest micro-batch, and the smallest change for the rest."""

import pytest
from command import Tuneroi

from estimator.cli.arguments import Checkpointing, Method, Precision
from estimator.llm.catalogue import catalogue_architecture
from estimator.training import recipe as choices
from estimator.training.memory import estimate_memory
from estimator.training.recipe import TrainingRecipe

GIB = 2**30
MODEL = "meta-llama/Llama-3.1-8B"
CARD = ("--gpu", "rtx-4090-24gb")


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


def test_choices_are_those_of_a_recipe() -> None:
    assert (Method, Precision) == (choices.Method, choices.Precision)
    assert Checkpointing == choices.Checkpointing


def test_the_largest_micro_batch_fits_and_twice_it_does_not(tuneroi: Tuneroi) -> None:
    data = tuneroi("fit", MODEL, *CARD, "--json").json
    assert data["fits"] and data["gpu"] == "rtx-4090-24gb"
    assert 23 * GIB < data["capacity_bytes"] <= 24 * GIB
    model = catalogue_architecture(MODEL)
    for option in data["options"]:
        wish = TrainingRecipe(
            method=option["method"],
            precision=option["precision"],
            checkpointing=option["checkpointing"],
            sharding=option["sharding"],
            gradient_accumulation=1,
        )
        sizes = [option["largest_micro_batch"] or 1, 2 * option["largest_micro_batch"] or 1]
        peaks = estimate_memory(model, wish, micro_batch=sizes).peak_bytes[1]
        assert peaks[0] == pytest.approx(option["memory"]["peak_bytes"]["p50"])
        assert (peaks[0] <= data["capacity_bytes"]) == option["fits"]
        assert peaks[1] > data["capacity_bytes"]


def test_parts_sum_to_the_peak(tuneroi: Tuneroi) -> None:
    for option in tuneroi("fit", MODEL, *CARD, "--json").json["options"]:
        memory = option["memory"]
        parts = sum(size for name, size in memory.items() if name not in ("peak_bytes", "peak_at"))
        assert parts == pytest.approx(memory["peak_bytes"]["p50"])
        assert memory["peak_bytes"]["p10"] < memory["peak_bytes"]["p50"]


def test_what_does_not_fit_says_what_would(tuneroi: Tuneroi) -> None:
    data = tuneroi("fit", MODEL, *CARD, "--method", "full", "--json").json
    assert not data["fits"]
    model = catalogue_architecture(MODEL)
    for option in data["options"]:
        assert option["largest_micro_batch"] == 0
        for change in (option["smallest_change"], option["more_hardware"]):
            recipe = TrainingRecipe.model_validate(change["recipe"])
            peak = float(estimate_memory(model, recipe, gpus=change["gpus"]).peak_bytes[1])
            assert peak / GIB == pytest.approx(change["peak_gib"])
            assert change["gpu"] != "rtx-4090-24gb" or peak <= data["capacity_bytes"]
        assert option["more_hardware"]["recipe"]["method"] == "full"
        assert option["more_hardware"]["gpus"] > 1
    shown = tuneroi("fit", MODEL, *CARD, "--method", "full").out
    assert "does not fit" in shown and "8 x rtx-4090-24gb with ZeRO-3" in shown


def test_what_fits_needs_no_change(tuneroi: Tuneroi) -> None:
    run = tuneroi("fit", MODEL, *CARD, "--method", "qlora", "--checkpointing", "full")
    assert "smallest change" not in run.out and "Where the memory goes: QLoRA" in run.out
    (option,) = tuneroi(
        "fit", MODEL, *CARD, "--method", "qlora", "--checkpointing", "full", "--json"
    ).json["options"]
    assert option["smallest_change"] is None and option["more_hardware"] is None


def test_a_wished_micro_batch_must_fit_as_it_is(tuneroi: Tuneroi) -> None:
    wish = ("--method", "lora", "--checkpointing", "full", "--micro-batch", 64, "--json")
    (option,) = tuneroi("fit", MODEL, *CARD, *wish).json["options"]
    assert option["micro_batch"] == 64 and not option["fits"]
    assert 0 < option["largest_micro_batch"] < 64
    batch = option["largest_micro_batch"]
    assert option["smallest_change"]["sentence"] == f"a micro-batch of {batch}"


def test_more_gpus_can_share_the_model(tuneroi: Tuneroi) -> None:
    wish = ("--method", "full", "--precision", "bf16", "--json")
    options = tuneroi("fit", MODEL, *CARD, "--gpus", 8, *wish).json["options"]
    fitting = {option["sharding"] for option in options if option["fits"]}
    assert fitting == {"zero3"}
    assert len(options) == 4


def test_longer_sequences_need_more(tuneroi: Tuneroi) -> None:
    found = {}
    for length in (1024, 4096):
        wish = ("--method", "lora", "--checkpointing", "full", "--seq-len", length, "--json")
        (found[length],) = tuneroi("fit", MODEL, "--gpu", "a100-sxm4-80gb", *wish).json["options"]
    assert found[1024]["largest_micro_batch"] == 4 * found[4096]["largest_micro_batch"]
    assert found[1024]["longest_sequence"] == found[4096]["longest_sequence"]
    assert found[4096]["longest_sequence"] <= 131_072


def test_a_card_without_bf16_computes_in_fp16(tuneroi: Tuneroi) -> None:
    options = tuneroi("fit", "gpt2", "--gpu", "t4-16gb", "--json").json["options"]
    assert {option["precision"] for option in options} == {"fp16"}
    assert all(option["fits"] for option in options)
    assert all(option["longest_sequence"] <= 1024 for option in options)  # GPT-2's context


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((MODEL, "--gpu", "rtx-4091"), "unknown GPU 'rtx-4091'; nearest known"),
        (("llama-9.9-8b", *CARD, "--offline"), "nearest known"),
        ((MODEL,), "--gpu"),
        ((MODEL, *CARD, "--seq-len", 0), "--seq-len"),
        ((MODEL, *CARD, "--method", "prompt"), "--method"),
        ((MODEL, *CARD, "--method", "qlora", "--precision", "fp32"), "computes in bf16 or fp16"),
    ],
)
def test_mistakes_are_one_line(tuneroi: Tuneroi, arguments: tuple[object, ...], said: str) -> None:
    assert said in tuneroi("fit", *arguments).refusal
