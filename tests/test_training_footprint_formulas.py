"""How layers are put together: order, forward states, the loss, and what a recipe stands for."""

from dataclasses import replace
from typing import Any

import pytest
from test_training_kept_formulas import BF16, FROZEN, HIDDEN, LLAMA, chain, of, run, setup
from toys import DENSE, MIXED, MIXTURE

from estimator.training.families import Code
from estimator.training.footprint import PARTS, Footprint
from estimator.training.operations import Numerics
from estimator.training.recipe import TrainingRecipe
from estimator.training.setup import Adapter, setup_of


def test_encoders_stand_before_decoders() -> None:
    model = replace(
        MIXTURE,
        layers=(
            replace(DENSE, indices=(1, 0), stack="decoder"),
            replace(MIXED, indices=(0, 1), stack="encoder"),
        ),
    )
    order = [layer.stack for layer in Footprint(model, setup()).layers]
    assert order == ["encoder", "encoder", "decoder", "decoder"]


def test_the_widest_rotary_table_is_kept() -> None:
    turned = [
        replace(LLAMA, indices=(i,), attention=replace(LLAMA.attention, rotary_dim=width))
        for i, width in enumerate((8, 16))
    ]
    still = replace(LLAMA, indices=(2,), attention=None, linears=DENSE.linears[4:])
    made = Footprint(replace(chain(), layers=(*turned, still)), setup())
    assert of(made._shared, "S") == 2 * 16 * 2
    assert of(Footprint(replace(chain(), layers=(still,)), setup())._shared, "S") == 0


def test_one_masked_layer_makes_the_mask() -> None:
    windowed = replace(LLAMA, indices=(3,), attention=replace(LLAMA.attention, window=8))
    model = replace(chain(), layers=(*chain().layers, windowed))
    made = setup(kernel="sdpa", narrow_windows=frozenset({8}))
    assert of(Footprint(model, made)._mask, "SS") == 1
    assert of(Footprint(chain(), made)._mask, "SS") == 0


def forward_states(place: int, **changes: Any) -> list[float]:
    """Bytes per token of the forward states of a layer on top of nothing."""
    made = Footprint(chain(), setup(**{"fused": True, **changes}))
    held = made._held()[place]
    nothing = 0.0 * held
    found = made._layer_states(place, held, held, nothing)
    return [of(state.bytes, "BS") for state in found if state.moment == "forward"]


def test_forward_states_of_a_layer_have_its_input_and_python_s() -> None:
    """16-bit streams and frozen starts: Python still holds the embedding's output above it."""
    states = [of(state, "BS") for state in run(LLAMA, setup(fused=True)).forward]
    assert forward_states(0) == [state + 2 * HIDDEN for state in states]
    assert forward_states(1) == [state + 2 * 2 * HIDDEN for state in states]
    fp32 = Numerics(weight_itemsize=4, autocast=False, trained=True)
    wide = [of(state, "BS") for state in run(LLAMA, setup(fused=True, numerics=fp32)).forward]
    assert forward_states(1, numerics=fp32) == [state + 4 * HIDDEN for state in wide]
    frozen = {
        "numerics": replace(fp32, trained=False),
        "adapter": Adapter(rank=4, targets=("q_proj",)),
    }
    made = setup(fused=True, **frozen)
    wide = [of(state, "BS") for state in run(LLAMA, made).forward]
    assert forward_states(1, **frozen) == [state + 2 * 4 * HIDDEN for state in wide]


def test_forward_states_under_checkpointing() -> None:
    """Not in the first layer; on top of all boundaries below, and scores that were returned."""
    made = {"checkpointed": True}
    states = [of(state, "BS") for state in run(LLAMA, setup(fused=True)).forward]
    assert forward_states(0, **made) == []
    assert forward_states(1, **made) == [state + 2 * HIDDEN for state in states]
    falcon = Footprint(
        chain(), setup(kernel="eager", checkpointed=True, code=Code(returns_scores=True))
    )
    plain = Footprint(chain(), setup(kernel="eager", checkpointed=True))

    def scores(footprint: Footprint) -> list[float]:
        held = footprint._held()[1]
        found = footprint._layer_states(1, held, held, 0.0 * held)
        return [of(state.bytes, "BSS") for state in found if state.moment == "forward"]

    assert scores(falcon) == [size + 6 * 2 for size in scores(plain)]


def test_the_loss_stands_on_all_that_is_kept() -> None:
    """A boundary, and the copies that autocast caches, beside the loss itself."""
    amp = Numerics(weight_itemsize=4, autocast=True, trained=True)
    made = Footprint(chain(), setup(numerics=amp, checkpointed=True))
    below = sum(made._held()) + made._shared
    end = made._loss()
    found = [s for s in made._loss_states(end, below) if s.moment == "forward"]
    for state, alone in zip(found, end.forward, strict=True):
        assert of(state.bytes, "BS") == of(below, "BS") + 4 * HIDDEN + of(alone, "BS")
        assert of(state.bytes, "1") == of(alone, "1") + made._cached_copies
    assert made._cached_copies > 0


def test_gradients_pile_up_towards_the_first_layer() -> None:
    made = Footprint(chain(), setup(fused=True, checkpointed=True))
    below = sum(made._held())
    gradients = 0.0 * below
    gradients[PARTS.index("gradients"), 0] = 1000.0
    for with_them, without in zip(
        made._layer_states(1, below, made._held()[1], gradients),
        made._layer_states(1, below, made._held()[1], 0.0 * below),
        strict=True,
    ):
        more = of(with_them.bytes - without.bytes, "1")
        assert more == (1000.0 if with_them.moment == "backward" else 0.0)


# --- what a recipe stands for


def made(**changes: Any):
    return setup_of(MIXTURE, TrainingRecipe(**changes))


def test_setups_of_recipes() -> None:
    plain = made(method="full")
    assert (plain.fused, plain.quantised, plain.checkpointed, plain.forgets_scores) == (
        False, False, True, False,
    )  # fmt: skip
    assert plain.adapter is None and not plain.wide_boundaries
    assert made(method="qlora").quantised and made(method="qlora").wide_boundaries
    assert not made(method="qlora", stack="torchtune").wide_boundaries
    sharded = {"method": "lora", "sharding": "zero3"}
    assert made(**sharded).wide_boundaries and not made(method="lora").wide_boundaries
    assert not made(**sharded, stack="torchtune").wide_boundaries
    selective = made(checkpointing="selective")
    assert selective.forgets_scores and not selective.checkpointed
    assert made(stack="megatron").fused and made(compiled=True).fused
    split = made(tensor_parallel=2, expert_parallel=4)
    assert (split.tensor_parallel, split.expert_parallel) == (2, 4)
    narrow = setup_of(MIXTURE, TrainingRecipe(), narrow_windows=frozenset({8}))
    assert narrow.narrow_windows == {8}


@pytest.mark.parametrize(
    ("changes", "itemsize", "autocast"),
    [
        ({"precision": "bf16"}, 2, False),
        ({"precision": "fp32"}, 4, False),
        ({"precision": "amp"}, 4, True),  # autocast casts each matrix
        ({"precision": "amp", "sharding": "zero3"}, 2, False),  # FSDP casts each unit
        ({"precision": "amp", "stack": "deepspeed"}, 2, False),
        ({"precision": "bf16", "autocast": True}, 2, True),
    ],
)
def test_numerics_of_recipes(changes: dict[str, Any], itemsize: int, autocast: bool) -> None:
    found = made(method="full", **changes).numerics
    assert (found.weight_itemsize, found.autocast, found.trained) == (itemsize, autocast, True)
    assert not made(method="lora").numerics.trained


def test_adapters_of_recipes() -> None:
    found = made(method="lora", lora_rank=4, lora_targets=("q_proj",)).adapter
    assert found == Adapter(rank=4, targets=("q_proj",), itemsize=4)
    base = made(method="lora", adapter_precision="base").adapter
    assert base is not None and base.itemsize == 2


# --- gates of experts


def test_a_gated_and_a_clamped_expert_by_hand() -> None:
    """Two rows a token of 40 + 40: silu and product; gpt-oss keeps five of its halves."""
    linears = MIXED.linears[4:]
    layer = replace(MIXED, attention=None, linears=linears, norms=MIXED.norms[:1])
    bare = replace(layer, gated=False)
    flat = run(bare, setup(fused=True))
    gated = run(layer, setup(fused=True))
    # ungated: the map's output once and its activation; gated: the same whole output, the
    # activation of a half, and their product, which the second matrix reads
    rows = 2 * 2
    assert of(gated.held - flat.held, "BS") == rows * (80 + 40 + 40) - rows * (80 + 80)
    clamped = run(layer, setup(fused=True, code=Code(clamps_gate=True)))
    # the whole output, both clamped halves, the sigmoid, up + 1, their product and the result
    kept = rows * (80 + 40 + 40 + 40 + 40 + 40)
    assert of(clamped.held - gated.held, "BS") == kept - rows * (80 + 40 + 40)


def test_adapters_on_fused_experts_keep_the_merged_matrix() -> None:
    """`peft` adds the product of the factors to all copies: rank 4 for each of two matrices."""
    layer = replace(MIXED, attention=None, linears=MIXED.linears[4:], norms=MIXED.norms[:1])
    plain = run(layer, setup(fused=True, numerics=FROZEN))
    adapter = Adapter(rank=4, targets=("gate_proj", "up_proj"), itemsize=4)
    found = run(layer, setup(fused=True, numerics=FROZEN, adapter=adapter))
    factors = 2 * 4 * 8 * (64 + 80)
    assert found.weight_gradients[0] == 4 * factors
    assert of(found.held - plain.held, "1") >= 2 * 8 * 64 * 80
    assert BF16.trained and not FROZEN.trained
