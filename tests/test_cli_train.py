"""`tuneroi train`: the promised document, what does not fit, mistakes, what must be monotone."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from command import Tuneroi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pricing
from estimator.cli import arguments as command
from estimator.dataset import typed_profile
from estimator.errors import InputError
from estimator.hardware.cluster import Cluster
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.report.training import duration
from estimator.training import recipe as recipes
from estimator.training.job import JobEstimate, fill, plan_job
from estimator.training.wish import RecipeWish, complete_recipe
from pricing.offers import TIERS

LLAMA = "meta-llama/Llama-3.1-8B"
GIB = 2**30


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        {"question": f"What is {i} plus {i}? " * (1 + i % 7), "answer": f"It is {2 * i}. " * 5}
        for i in range(300)
    ]
    path = tmp_path / "sums.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def ordered(found: dict[str, float]) -> bool:
    return 0 < found["p10"] <= found["p50"] <= found["p90"]


def check_promise(data: dict[str, Any]) -> None:
    """The keys that `--json` promises, and what must hold between them."""
    assert data["fits"] is True
    for name in (
        "step_seconds",
        "tokens_per_second_per_gpu",
        "mfu",
        "tokens",
        "gpu_hours",
        "wall_clock_hours",
        "cost_usd",
    ):
        assert ordered(data[name]), name
    memory = data["memory"]
    sizes = {k: v for k, v in memory.items() if isinstance(v, float) and k != "capacity_bytes"}
    assert sum(sizes.values()) == pytest.approx(memory["peak_bytes"]["p50"])
    assert ordered(memory["peak_bytes"])
    assert memory["peak_bytes"]["p50"] <= memory["capacity_bytes"]
    means = sum(part["mean"] for part in data["cost_parts_usd"].values())
    assert means == pytest.approx(data["cost_usd"]["mean"])
    assert data["calibration"]["name"] and data["price"]["source"] and data["notes"]


@pytest.mark.parametrize(
    ("method", "gpu"), [("lora", "h100-sxm5-80gb"), ("qlora", "rtx-4090-24gb")]
)
def test_an_8b_model_on_one_card(tuneroi: Tuneroi, file: Path, method: str, gpu: str) -> None:
    arguments = (LLAMA, "--dataset", file, "--epochs", 3, "--method", method, "--gpu", gpu)
    data = tuneroi("train", *arguments, "--gpus", 1, "--json").json
    check_promise(data)
    assert data["recipe"]["method"] == method and data["gpu"] == gpu and data["gpus"] == 1
    assert data["memory"]["capacity_bytes"] == pricing.gpu_spec(gpu).memory_gib * GIB
    assert data["dataset"]["examples"] == 300
    useful = data["dataset"]["tokens_per_epoch"]["p50"] * 3 / data["dataset"]["useful_token_share"]
    assert data["tokens"]["p50"] == pytest.approx(useful, rel=0.01)
    text = tuneroi("train", *arguments)
    assert text.status == 0 and "\x1b" not in text.out and not text.err
    assert f"on 1 x {gpu}" in text.out and "sums.jsonl" in text.out and "P10 to P90" in text.out


def test_full_tuning_of_8b_on_24_gib_does_not_fit_and_says_what_would(tuneroi: Tuneroi) -> None:
    arguments = (LLAMA, "--tokens", "1e6", "--method", "full", "--gpu", "rtx-4090-24gb")
    refusal = tuneroi("train", *arguments).refusal
    assert "does not fit on 1 x rtx-4090-24gb" in refusal
    assert "GiB per GPU, the card has 23.6 GiB" in refusal and "QLoRA" in refusal
    ran = tuneroi("train", *arguments, "--json")
    assert ran.refusal == refusal
    assert ran.json["fits"] is False and "cost_usd" not in ran.json
    assert ran.json["memory"]["peak_bytes"]["p50"] > ran.json["memory"]["capacity_bytes"]
    assert ran.json["memory"]["weights_bytes"] == 2 * 8_030_261_248
    ways = ran.json["what_would_fit"]
    assert {way["recipe"]["method"] for way in ways} >= {"full", "qlora"}
    for way in ways:
        assert way["peak_gib"] <= pricing.gpu_spec(way["gpu"]).memory_gib
        assert way["sentence"] in refusal


def test_what_would_fit_does_fit(tuneroi: Tuneroi) -> None:
    small = ("--tokens", "1e6", "--gpu", "rtx-4090-24gb", "--price", "0.5")
    ways = tuneroi("train", LLAMA, *small, "--method", "full", "--json").json["what_would_fit"]
    for way in ways:
        options = ("--method", way["recipe"]["method"], "--gpu", way["gpu"], "--gpus", way["gpus"])
        data = tuneroi("train", LLAMA, "--tokens", "1e6", "--price", 1, *options, "--json").json
        assert data["fits"], way["sentence"]


def test_a_typed_price_is_exact_and_a_free_gpu_costs_storage_alone(tuneroi: Tuneroi) -> None:
    job = ("gpt2", "--tokens", "1e6", "--gpu", "t4", "--json", "--price")
    data = tuneroi("train", *job, "2.5").json
    assert data["price"]["usd_per_gpu_hour"] == {"p10": 2.5, "p50": 2.5, "p90": 2.5}
    assert data["price"]["source"] == "given by --price"
    free = tuneroi("train", *job, "0").json["cost_parts_usd"]
    assert {name for name, part in free.items() if part["mean"] > 0} == {"checkpoint_storage"}


def test_the_market_price_is_that_of_the_tier(tuneroi: Tuneroi) -> None:
    job = ("gpt2", "--tokens", "1e6", "--gpu", "h100", "--json", "--tier")
    for tier in ("on_demand", "spot"):
        price = tuneroi("train", *job, tier).json["price"]
        p50 = pricing.gpu_price("h100", tier=tier).median()
        assert price["usd_per_gpu_hour"]["p50"] == pytest.approx(p50)
        assert price["as_of"] and price["evidence"] and tier in price["note"]
    alone = tuneroi("train", "gpt2", "--tokens", "1e6", "--gpu", "t4").out
    assert len(pricing.offers_of("t4", tier="on_demand")) == 1 and "rests on one offer" in alone


def test_a_card_without_bf16_takes_fp16(tuneroi: Tuneroi) -> None:
    job = ("gpt2", "--tokens", "1e6", "--gpu", "t4", "--json")
    assert tuneroi("train", *job).json["recipe"]["precision"] == "fp16"
    assert tuneroi("train", *job, "--micro-batch", "2").json["recipe"]["precision"] == "fp16"
    assert "bf16" in tuneroi("train", *job, "--precision", "bf16").refusal


def test_the_recipe_is_as_wished(tuneroi: Tuneroi) -> None:
    options = ("--micro-batch", 3, "--checkpointing", "full", "--sharding", "zero1")
    more = ("--stack", "torchtune", "--lora-rank", 8, "--seq-len", 512, "--gpus", 2)
    job = ("gpt2", "--tokens", "1e6", *options, *more, "--json")
    recipe = tuneroi("train", *job).json["recipe"]
    wished = {
        "micro_batch": 3,
        "checkpointing": "full",
        "sharding": "zero1",
        "stack": "torchtune",
        "lora_rank": 8,
        "sequence_length": 512,
    }
    assert recipe | wished == recipe


def test_the_usual_sequence_is_no_longer_than_the_context(tuneroi: Tuneroi) -> None:
    lengths = {
        name: tuneroi("train", name, "--tokens", "1e6", "--json").json["recipe"]["sequence_length"]
        for name in ("gpt2", "mistralai/Mistral-7B-v0.1")
    }
    assert lengths == {"gpt2": 1024, "mistralai/Mistral-7B-v0.1": 2048}


def test_without_packing_padding_is_paid_for(tuneroi: Tuneroi, file: Path) -> None:
    job = ("gpt2", "--dataset", file, "--gpu", "t4", "--json")
    packed, padded = (tuneroi("train", *job, *extra).json for extra in ((), ("--no-packing",)))
    assert padded["dataset"]["useful_token_share"] < packed["dataset"]["useful_token_share"]
    assert padded["recipe"]["sequence_length"] == padded["dataset"]["tokens_per_example"]["max"]
    check_promise(padded)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "MODEL"),
        (("lama-8b", "--tokens", "1e6"), "nearest known"),
        (("gpt2",), "given: none"),
        (("gpt2", "--tokens", "1e6", "--dataset", "a.jsonl"), "--dataset and --tokens"),
        (("gpt2", "--dataset", "missing.jsonl"), "missing.jsonl"),
        (("gpt2", "--examples", "10"), "--mean-tokens"),
        (("gpt2", "--examples", "0", "--mean-tokens", "5"), "'0'"),
        (("gpt2", "--examples", "9", "--mean-tokens", "0.5"), "at least 1"),
        (("gpt2", "--tokens", "0"), "above 0"),
        (("gpt2", "--tokens", "inf"), "2M or 1.5B (got 'inf')"),
        (("gpt2", "--tokens", "1e6", "--epochs", "nan"), "--epochs nan"),
        (("gpt2", "--tokens", "1e6", "--epochs", "-1"), "--epochs -1"),
        (("gpt2", "--tokens", "many"), "'many'"),
        (("gpt2", "--tokens", "1e6", "--gpu", "h1000"), "h100"),
        (("gpt2", "--tokens", "1e6", "--gpus", "0"), "'0'"),
        (("gpt2", "--tokens", "1e6", "--price", "-3"), "--price -3"),
        (("gpt2", "--tokens", "1e6", "--tier", "spotty"), "'spot'"),
        (("gpt2", "--tokens", "1e6", "--gpu", "h20"), "give --price"),
        (("gpt2", "--tokens", "1e6", "--gpu", "rtx-4090", "--tier", "spot"), "--tier on_demand or"),
        (("gpt2", "--tokens", "1e6", "--method", "dpo"), "'lora'"),
        (("gpt2", "--tokens", "1e6", "--checkpointing", "some"), "'selective'"),
        (("gpt2", "--tokens", "1e6", "--seq-len", "99999999"), "sequence_length"),
        (("gpt2", "--tokens", "1e6", "--lora-rank", "999999"), "lora_rank"),
        (("gpt2", "--tokens", "1e6", "--no-packing"), "without packing"),
        (("gpt2", "--tokens", "1e6", "--method", "qlora", "--precision", "fp32"), "bf16 or fp16"),
        (("gpt2", "--tokens", "1e6", "--gpu", "h100", "--micro-batch", "60000"), "does not fit"),
    ],
)
def test_mistakes(tuneroi: Tuneroi, arguments: tuple[str, ...], said: str) -> None:
    assert said in tuneroi("train", *arguments).refusal


def test_the_choices_of_the_help_are_those_of_the_recipe() -> None:
    for name in ("Method", "Checkpointing", "Sharding", "Precision", "Stack"):
        assert get_args(getattr(command, name)) == get_args(getattr(recipes, name)), name
    assert get_args(command.Tier) == TIERS


def plan(
    *,
    tokens: float = 1e6,
    epochs: float = 3,
    price: float = 2,
    gpus: int = 1,
    wish: RecipeWish | None = None,
) -> JobEstimate:
    return plan_job(
        resolve_model("gpt2").architecture,
        typed_profile(total_tokens=tokens),
        Cluster.of(pricing.gpu_spec("a100-80gb"), gpus),
        wish or RecipeWish(),
        epochs=Quantity.of(epochs),
        price_usd_per_gpu_hour=Quantity.of(price),
    )


def cost(estimate: JobEstimate) -> float:
    assert estimate.run is not None
    return estimate.run.cost_usd.p50


@given(
    tokens=st.floats(1e4, 1e9),
    epochs=st.floats(0.1, 20),
    price=st.floats(0.1, 50),
    more=st.floats(1, 10),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
def test_more_tokens_epochs_or_dollars_an_hour_are_never_cheaper(
    tokens: float, epochs: float, price: float, more: float
) -> None:
    base = cost(plan(tokens=tokens, epochs=epochs, price=price))
    slack = 1 - 1e-9
    assert cost(plan(tokens=tokens * more, epochs=epochs, price=price)) >= base * slack
    assert cost(plan(tokens=tokens, epochs=epochs * more, price=price)) >= base * slack
    assert cost(plan(tokens=tokens, epochs=epochs, price=price * more)) >= base * slack


def test_one_choice_of_the_user_leaves_the_rest_to_the_fastest() -> None:
    architecture = resolve_model(LLAMA).architecture
    cluster = Cluster.of(pricing.gpu_spec("h100"), 8)
    data = typed_profile(total_tokens=1e7)
    open_wish = complete_recipe(architecture, cluster, RecipeWish(method="full"), data)
    for field in ("micro_batch", "checkpointing", "sharding", "precision"):
        wish = RecipeWish(method="full", **{field: getattr(open_wish, field)})
        chosen = complete_recipe(architecture, cluster, wish, data)
        assert getattr(chosen, field) == getattr(open_wish, field)
        assert chosen.sharding == open_wish.sharding


def test_filling_of_packed_and_padded_sequences_by_hand() -> None:
    lengths = typed_profile(examples=4, mean_tokens=100, p95_tokens=100)  # four of 100 tokens
    packed = fill(lengths, recipes.TrainingRecipe(sequence_length=200))
    assert (packed.useful_token_share, packed.positions_per_sequence) == (1.0, 200)
    loose = fill(lengths, recipes.TrainingRecipe(sequence_length=150))
    assert loose.useful_token_share == pytest.approx(100 / 150)
    cut = fill(lengths, recipes.TrainingRecipe(sequence_length=50))
    assert cut.tokens.median() == 200 and cut.useful_token_share == 1.0
    padded = fill(lengths, recipes.TrainingRecipe(sequence_length=200, packing=False))
    assert (padded.useful_token_share, padded.positions_per_sequence) == (1.0, 100)
    with pytest.raises(InputError, match="without packing"):
        fill(typed_profile(total_tokens=100), recipes.TrainingRecipe(packing=False))


@pytest.mark.parametrize(
    ("hours", "said"), [(0.38, "23 min"), (4.2, "4.2 h"), (47, "47 h"), (74.4, "3.1 days")]
)
def test_durations(hours: float, said: str) -> None:
    assert duration(hours) == said
