"""Figures of a model's inventory by hand, and the products of rarer layers."""

from dataclasses import replace
from typing import Any

import pytest
from toys import DENSE, MIXED, MIXTURE, with_modules

from estimator.errors import InputError
from estimator.llm.adapters import AdapterSpec, count_trainable, lora_parameters
from estimator.llm.architecture import Architecture, Attention, Layer, Linear, Norm
from estimator.llm.flops import count_flops, flops_per_token
from estimator.llm.scan import Scan
from estimator.llm.size import parse_size
from estimator.training.inventory import Inventory, inner_values
from estimator.training.recipe import TrainingRecipe


def matrix(role: Any, reads: Any, inputs: int, outputs: int, **changes: Any) -> Linear:
    given = {"name": f"{role}_{reads}", **changes}
    return Linear(inputs=inputs, outputs=outputs, role=role, reads=reads, **given)


SHARED = (
    matrix("shared_expert", "residual", 64, 90),
    matrix("shared_expert", "hidden", 90, 64),
)
SCAN = Scan(inner=128, state=16, shared=32, chunk=None)
MIXER = Layer(
    kind="mamba",
    indices=(0, 1, 2, 3, 4, 5),
    linears=(matrix("mixer", "input", 64, 200), matrix("mixer", "hidden", 128, 64)),
    norms=DENSE.norms[:1],
    attention=None,
    scan=SCAN,
)


def test_copies_of_matrices_and_norms() -> None:
    """Eight experts of 64 x 80 with biases, two of them at work."""
    experts = matrix("expert", "residual", 64, 80, copies=8, active=2, bias=True)
    assert (experts.weights, experts.weights_per_token) == (8 * 5120, 2 * 5120)
    assert experts.parameters == 8 * (5120 + 80)
    assert experts.active_parameters == 2 * (5120 + 80)
    norm = Norm(name="n", width=16, copies=3, kind="layer", bias=True)
    assert (norm.parameters, norm.values_per_token) == (3 * 32, 3 * 16)
    assert replace(norm, applied_width=96).values_per_token == 3 * 96
    assert replace(norm, weight=False, bias=False).parameters == 0


def test_kinds_of_layers() -> None:
    assert (MIXED.branches, DENSE.branches, MIXER.branches) == (2, 2, 1)
    assert replace(DENSE, linears=DENSE.linears[:4]).branches == 1
    assert replace(DENSE, linears=DENSE.linears[4:]).branches == 1
    assert (MIXED.experts, MIXED.experts_per_token, MIXED.mlp_width) == (8, 2, 80)
    assert (DENSE.experts, DENSE.experts_per_token, DENSE.mlp_width) == (0, 0, 100)
    uneven = (*MIXED.linears, matrix("expert", "residual", 64, 80, copies=4, active=1))
    assert replace(MIXED, linears=uneven).experts == 8
    assert replace(MIXED, linears=uneven).experts_per_token == 2
    assert not DENSE.is_parallel
    beside = tuple(replace(x, reads="input") if x.name == "fc1" else x for x in DENSE.linears)
    assert replace(DENSE, linears=beside).is_parallel


def test_the_main_layer_is_the_most_frequent_with_attention() -> None:
    assert MIXTURE.main_layer is MIXED
    assert (MIXTURE.num_attention_heads, MIXTURE.num_key_value_heads, MIXTURE.head_dim) == (
        6,
        2,
        16,
    )
    assert MIXTURE.intermediate_size == 80
    mostly = replace(MIXTURE, layers=(DENSE, MIXER))
    assert mostly.main_layer is DENSE and mostly.num_attention_heads == 3
    bare = replace(MIXTURE, layers=(MIXER,))
    assert bare.main_layer is MIXER
    assert (bare.num_attention_heads, bare.num_key_value_heads, bare.head_dim) == (0, 0, 0)
    assert bare.intermediate_size == 0
    assert replace(MIXTURE, layers=(MIXER, DENSE)).intermediate_size == 100


def test_what_a_cache_holds() -> None:
    attention = Attention(heads=6, kv_heads=2, head_dim=16, value_head_dim=8)
    assert attention.cache_width == 2 * 16 + 2 * 8
    assert replace(attention, latent_width=20).cache_width == 20


def test_every_matrix_is_named_once_with_its_layers() -> None:
    found = [(x.name, n) for x, n in MIXTURE.linears()]
    assert found[-2:] == [("out", 1), ("head", 1)]
    assert [n for _, n in found[:-2]] == [3] * 7 + [2] * 6
    assert [x.name for x, _ in replace(MIXTURE, head=None).linears()][-1] == "out"


def test_scans_of_all_layers() -> None:
    """Inside a chunk of 128 tokens 2 x 128 x (16 + 128), between chunks 4 x 128 x 16."""
    chunked = replace(SCAN, chunk=128)
    assert chunked.flops_per_token == 2 * 128 * (16 + 128) + 4 * 128 * 16
    assert chunked.values_per_token == 3 * 160 + 4 * 128 + 4 * 128 * 16 / 128
    model = replace(MIXTURE, layers=(MIXED, replace(MIXER, scan=chunked)))
    found = Inventory.of(model, TrainingRecipe())
    assert found.scan_flops_per_token == 6 * chunked.flops_per_token
    assert found.scan_values == 6 * chunked.values_per_token


def test_only_routed_experts_gather_and_scatter() -> None:
    """A shared expert reads the state itself, however wide it is inside."""
    wide = (
        *MIXED.linears[:5],
        matrix("expert", "residual", 64, 400, copies=8, active=2),
        matrix("expert", "hidden", 200, 64, copies=8, active=2),
        *SHARED,
    )
    layer = replace(MIXED, linears=wide, attention=None)
    assert inner_values(layer) == 3 * (2 * 200 + 90) + 4 * 2 * 64
    narrow = replace(
        layer,
        linears=tuple(
            replace(x, inputs=32) if x.role == "expert" and x.reads == "residual" else x
            for x in wide
        ),
    )
    assert inner_values(narrow) == 3 * (2 * 200 + 90) + 4 * 2 * 32
    found = Inventory.of(replace(MIXTURE, layers=(narrow,)), TrainingRecipe())
    assert found.expert_width == 32
    assert inner_values(replace(layer, linears=SHARED)) == 3 * 90


# --- products


def flops(model: Architecture, **changes: Any):
    given = {"attention": "eager", **changes}
    return count_flops(model, sequence_length=6, micro_batch=2, **given)


def only(*layers: Layer, **changes: Any) -> Architecture:
    return replace(MIXTURE, layers=layers, projections=(), **changes)


def test_a_weighted_shared_expert_is_recomputed_whole() -> None:
    """Its gate (one output) reads its result; without one the last product is not repeated."""
    gate = matrix("router", "residual", 64, 1)
    base = DENSE.linears[:4]
    plain = only(replace(DENSE, indices=(0,), linears=(*base, *SHARED)))
    gated = only(replace(DENSE, indices=(0,), linears=(*base, *SHARED, gate)))
    wide = only(replace(DENSE, indices=(0,), linears=(*base, *SHARED, replace(gate, outputs=8))))
    assert flops(plain, checkpointing="full").recompute_matmul == 24 * (9216 + 5760)
    assert flops(gated, checkpointing="full").recompute_matmul == 24 * (9216 + 2 * 5760 + 64)
    assert flops(wide, checkpointing="full").recompute_matmul == 24 * (9216 + 5760 + 8 * 64)
    mlp = tuple(replace(x, role="mlp") for x in SHARED)
    both = only(replace(DENSE, indices=(0,), linears=(*base, *mlp, gate)))
    assert flops(both, checkpointing="full").recompute_matmul == 24 * (9216 + 5760 + 64)


def test_cross_attention_always_needs_its_gradients() -> None:
    crossing = replace(DENSE, indices=(0,), cross_attention=DENSE.attention)
    own, both = only(replace(DENSE, indices=(0,))), only(crossing)
    pairs = 2 * 36 * (2 * 3 * 16 + 2 * 3 * 8)
    assert flops(both).forward_attention - flops(own).forward_attention == pairs
    lora = {"method": "lora", "lora_targets": ("fc2",)}
    assert flops(both, **lora).backward_attention == 2 * pairs
    assert flops(own, **lora).backward_attention == 0
    silent = only(replace(DENSE, indices=(0,), attention=None))
    assert flops(silent).forward_attention == 0


def test_latent_paths_need_a_gradient_where_their_own_part_was_made() -> None:
    """DeepSeek's q_b reads the latent of q_a, kv_b that of kv_a."""
    query, key = (
        matrix("attention", "input", 64, 24, name="q_a_proj"),
        matrix("attention", "input", 64, 20, name="kv_a_proj_with_mqa"),
    )
    up = (
        matrix("attention", "latent", 24, 48, name="q_b_proj"),
        matrix("attention", "latent", 20, 72, name="kv_b_proj"),
    )
    rest = DENSE.linears[3:]
    model = only(replace(DENSE, indices=(0,), linears=(query, key, *up, *rest)))
    above = 1536 + 2 * 6400 + 32000
    for target, latent in (("q_a_proj", 24 * 48), ("kv_a_proj_with_mqa", 20 * 72)):
        found = flops(model, method="lora", lora_targets=(target,))
        assert found.backward_input_gradient == 24 * (above + latent), target


def test_a_projection_before_the_layers_needs_no_input_gradient_when_frozen() -> None:
    before = replace(MIXTURE.projections[0], reads="input")
    model = replace(only(replace(DENSE, indices=(0,))), projections=(before,))
    lora = {"method": "lora", "lora_targets": ("fc2",)}
    assert flops(model, **lora).backward_input_gradient == 24 * 32000
    after = replace(model, projections=MIXTURE.projections)
    assert flops(after, **lora).backward_input_gradient == 24 * (32000 + 640)
    assert flops(model).backward_input_gradient == 24 * (22016 + 640 + 32000)


def test_nothing_adapted_leaves_the_layers_alone() -> None:
    model = only(replace(DENSE, indices=(0, 1)))
    found = flops(model, method="lora", lora_targets=("absent",))
    assert found.backward_input_gradient == 24 * 32000
    assert found.backward_attention == 0
    assert flops(replace(model, head=None)).forward_head == 0


def test_adapters_on_experts_that_are_modules() -> None:
    """Two of eight are at work for a token."""
    model = with_modules()
    one = only(replace(model.layers[0], indices=(0,)))
    found = flops(one, method="lora", lora_rank=4, lora_targets=("down_proj",))
    assert found.forward_adapters == 24 * 4 * 2 * (40 + 64)


def test_an_adapter_on_any_one_of_three_needs_the_flash_kernel_whole() -> None:
    model = only(replace(DENSE, indices=(0,)))
    score, mix = 2 * 3 * 16, 2 * 3 * 8
    for name in ("q_proj", "k_proj", "v_proj"):
        found = flops(model, method="lora", lora_targets=(name,), attention="flash")
        assert found.backward_attention == 2 * 36 * (3 * score + 2 * mix), name
    none = flops(model, method="lora", lora_targets=("fc1",), attention="flash")
    assert none.backward_attention == 0
    fused = replace(
        DENSE,
        indices=(0,),
        linears=(matrix("attention", "input", 64, 120, name="query_key_value"), *DENSE.linears[3:]),
    )
    found = flops(only(fused), method="lora", lora_targets=("query_key_value",))
    assert found.backward_attention == 2 * 36 * (2 * score + 2 * mix)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "lora", "lora_rank": 4},
        {"method": "lora", "lora_targets": ("q_proj",)},
        {"checkpointing": "full"},
        {"attention": "flash"},
    ],
)
def test_flops_per_token_are_those_of_one_sequence(changes: dict[str, Any]) -> None:
    count = count_flops(MIXTURE, sequence_length=6, **changes)
    found = flops_per_token(MIXTURE, sequence_length=6, **changes)
    assert found.forward == float(count.forward) / 6
    assert found.train == float(count.total) / 6
    assert found.six_n == 6 * 333552
    assert found.six_n_error == pytest.approx(found.six_n / found.train - 1)


# --- what adapters train


def trained(model: Architecture = MIXTURE, **spec: Any) -> int:
    return count_trainable(model, AdapterSpec(**spec))


def test_adapters_by_hand() -> None:
    pairs = 3 * (64 + 96) + 2 * (64 + 48)
    for method in ("lora", "rslora", "qlora"):
        assert trained(method=method, rank=4, targets=("q_proj",)) == 4 * pairs
    assert trained(method="dora", rank=4, targets="q_proj") == 4 * pairs + 3 * 96 + 2 * 48
    table = trained(rank=4, targets=("q_proj", "tokens"))
    assert table == 4 * pairs + 4 * (500 + 64)
    assert trained(method="dora", rank=4, targets="tokens") == 4 * (500 + 64) + 64
    assert trained(method="ia3", targets=("k_proj", "fc2"), feedforward=("fc2",)) == (
        3 * 32 + 2 * 48 + 2 * 100
    )
    assert trained(method="prompt", virtual_tokens=7) == 7 * 64
    both = replace(MIXTURE, kind="encoder-decoder")
    assert trained(both, method="prompt", virtual_tokens=7) == 2 * 7 * 64
    assert trained(method="layernorm") == 64 + 3 * 144 + 2 * 128
    assert trained(method="layernorm", targets="q_norm") == 3 * 16
    assert trained(method="layernorm", targets=("input_layernorm", "norm")) == 5 * 64 + 64
    for last, parameters in ((1, DENSE.parameters), (3, 2 * DENSE.parameters + MIXED.parameters)):
        assert trained(method="last_layers", last_layers=last) == parameters


def test_modules_saved_whole() -> None:
    """By the end of their name; a tied head is copied, a saved matrix takes no adapter."""
    pairs = 4 * (3 * (64 + 96) + 2 * (64 + 48))
    spec = {"rank": 4, "targets": ("q_proj",)}
    assert trained(**spec, modules_to_save=("head",)) == pairs + 32000
    tied = replace(MIXTURE, tied_embeddings=True)
    assert trained(tied, **spec, modules_to_save=("head",)) == pairs + 32000
    assert trained(**spec, modules_to_save=("out", "places")) == pairs + 650 + 1280
    assert trained(**spec, modules_to_save=("norm",)) == pairs + 64 + 3 * 144 + 2 * 128
    also = trained(rank=4, targets=("q_proj", "fc1"), modules_to_save=("fc1",))
    assert also == pairs + 2 * 6400
    for method, parameters in (("prompt", 20 * 64), ("layernorm", 752), ("last_layers", None)):
        one = DENSE.parameters if parameters is None else parameters
        assert trained(method=method, modules_to_save=("out",)) == one + 650


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"rank": 0}, "adapter rank is 0; allowed: 1 to 1000000"),
        ({"method": "last_layers", "last_layers": 6}, "adapter last_layers is 6; allowed: 1 to 5"),
        ({"targets": ("w_proj",)}, "adapter targets 'w_proj' are not in mixture"),
        ({"method": "ia3", "targets": ("w_proj",)}, "adapter targets 'w_proj' are not in"),
        ({"targets": ("gate_proj",)}, "adapter targets gate_proj also need up_proj"),
        ({"method": "dora"}, "DoRA on fused experts does not exist"),
        ({"method": "layernorm", "targets": ("fc1",)}, "have no parameters; known: input_layer"),
        ({"modules_to_save": ("absent",)}, "modules_to_save 'absent' is not in mixture"),
        ({"targets": ("attic.q_proj",)}, "give a leaf name, or one after a module of attention"),
    ],
)
def test_a_wish_that_the_mixture_cannot_meet(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        trained(**spec)
    edge = {"rank": 1, "virtual_tokens": 1_000_000, "last_layers": 5}
    assert trained(method="last_layers", **edge) == sum(
        layer.parameters * layer.count for layer in MIXTURE.layers
    )


def test_targets_after_the_name_of_a_module() -> None:
    assert trained(rank=1, targets=("mlp.fc1",)) == 2 * (64 + 100)
    assert trained(rank=1, targets=("self_attn.q_proj",)) == 3 * 160 + 2 * 112
    assert trained(rank=1, targets=("output.o_proj", "output.fc2")) == (
        3 * (48 + 64) + 2 * (24 + 64) + 2 * (100 + 64)
    )
    with pytest.raises(InputError):
        trained(targets=("mlp.q_proj",))


def test_adapters_on_copies() -> None:
    """Eight experts a layer as modules; a tensor that no adapter names counts as one matrix."""
    router, up, down = MIXED.linears[4:]
    assert lora_parameters(router, 4) == 4 * 72
    assert lora_parameters(up, 4) == 2 * 4 * 8 * 144
    assert lora_parameters(down, 4) == 4 * 8 * 104
    model = with_modules()
    one = {"targets": ("down_proj",)}
    assert trained(model, method="dora", rank=4, **one) == 3 * 8 * (4 * 104 + 64)
    assert trained(model, method="ia3", **one) == 3 * 8 * 64
    assert trained(model, method="ia3", **one, feedforward=("down_proj",)) == 3 * 8 * 40
    saved = trained(model, method="ia3", **one, modules_to_save=("out",))
    assert saved == 3 * 8 * 64 + 650
    headless = replace(MIXTURE.head, adapter_names=("head",))
    named = replace(MIXTURE, head=headless)
    assert trained(named, rank=4) == trained(rank=4)
    assert trained(named, rank=4, targets=("head",)) == 4 * (64 + 500)


def test_sizes_that_are_numbers_of_parameters() -> None:
    assert parse_size("1000000") == 1e6
    assert parse_size("999999") is None
    assert (parse_size("1e5"), parse_size("0.1M")) == (1e5, 1e5)
