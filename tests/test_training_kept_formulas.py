"""What a layer, a loss and the passes keep: against published counts, PyTorch and by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
from toys import DENSE, MIXED, MIXTURE, NORMS

from estimator.llm.architecture import Architecture, Attention, Layer, Linear
from estimator.training.blocks import Block, loss
from estimator.training.families import Code
from estimator.training.footprint import PARTS, Footprint, Stage
from estimator.training.operations import Numerics
from estimator.training.setup import Adapter, Setup
from estimator.training.tape import BASIS, Replay, Tape, replay, tokens

BF16 = Numerics(weight_itemsize=2, autocast=False, trained=True)
FROZEN = replace(BF16, trained=False)
HIDDEN, HEADS = 64, 4


def linear(name: str, inputs: int, outputs: int, role: Any, reads: Any) -> Linear:
    return Linear(name=name, inputs=inputs, outputs=outputs, role=role, reads=reads)


GPT = Layer(
    kind="dense",
    indices=(0,),
    linears=(
        *(linear(f"{x}_proj", 64, 64, "attention", "input") for x in "qkv"),
        linear("o_proj", 64, 64, "attention", "context"),
        linear("fc1", 64, 256, "mlp", "residual"),
        linear("fc2", 256, 64, "mlp", "hidden"),
    ),
    norms=tuple(replace(norm, kind="layer", bias=True) for norm in NORMS),
    attention=Attention(heads=4, kv_heads=4, head_dim=16, value_head_dim=16, dropout=0.1),
    dropout=0.1,
)
LLAMA = Layer(
    kind="dense",
    indices=(0,),
    linears=(
        linear("q_proj", 64, 96, "attention", "input"),
        linear("k_proj", 64, 32, "attention", "input"),
        linear("v_proj", 64, 32, "attention", "input"),
        linear("o_proj", 96, 64, "attention", "context"),
        linear("gate_proj", 64, 100, "mlp", "residual"),
        linear("up_proj", 64, 100, "mlp", "residual"),
        linear("down_proj", 100, 64, "mlp", "hidden"),
    ),
    norms=NORMS,
    attention=Attention(heads=6, kv_heads=2, head_dim=16, value_head_dim=16),
    gated=True,
)


def setup(**changes: Any) -> Setup:
    return Setup(**{"numerics": BF16, "code": Code(), "kernel": "flash", **changes})


def run(layer: Layer, made: Setup) -> Replay:
    tape = Tape()
    source = tape.tensor(tokens(HIDDEN), made.stream_itemsize)
    sink = Block(tape, layer, made).run(source)
    in_place = made.numerics.dispatch == "cuda"
    return replay(tape, source, sink, PARTS, merges_in_place=in_place, keeps_source=True)


def of(size: Any, term: str) -> float:
    """The coefficient of a term, all parts together."""
    return float(np.atleast_2d(size).sum(axis=0)[BASIS.index(term)])


# --- layers


def test_a_gpt_layer_keeps_what_korthikanti_counts() -> None:
    """s b h (34 + 5 a s / h) bytes (arXiv 2205.05198, equation 1), and two statistics a norm."""
    found = run(GPT, setup(kernel="eager", code=Code(softmax_in_fp32=False)))
    assert of(found.held, "BS") == 34 * HIDDEN + 2 * 8
    assert of(found.held, "BSS") == 5 * HEADS
    split = run(GPT, setup(kernel="eager", code=Code(softmax_in_fp32=False), tensor_parallel=2))
    # equation 2: s b h (10 + 24 / t + 5 a s / (h t))
    assert of(split.held, "BS") == (10 + 24 / 2) * HIDDEN + 2 * 8
    assert of(split.held, "BSS") == 5 * HEADS / 2


def test_a_fused_llama_layer_by_hand() -> None:
    """Norms keep their input and two numbers; the gate its factors; flash a log-sum per head."""
    found = run(LLAMA, setup(fused=True))
    whole = 2 * (128 + 8 + 128)
    split = 2 * (96 + 32 + 32 + 96) + 6 * 4 + 3 * 2 * 100
    assert of(found.held, "BS") == whole + split
    half = run(LLAMA, setup(fused=True, tensor_parallel=2))
    assert of(half.held, "BS") == whole + split / 2
    matrices = sum(x.weights for x in LLAMA.linears)
    assert found.weight_gradients[0] == 2 * (matrices + 2 * 64)
    assert half.weight_gradients[0] == 2 * (matrices / 2 + 2 * 64)


def test_a_frozen_fused_layer_keeps_no_inputs_of_matrices() -> None:
    """Norms, attention and the gate keep theirs; no weight has a gradient."""
    found = run(LLAMA, setup(fused=True, numerics=FROZEN))
    assert of(found.held, "BS") == 2 * (128 + 8) + 2 * (96 + 32 + 32 + 96) + 6 * 4 + 2 * 2 * 100
    assert not found.weight_gradients.any()


def test_adapters_keep_a_copy_of_their_input_in_fp32() -> None:
    """q_proj alone, rank 4: its input once more in fp32, and four fp32 values after the first."""
    plain = run(LLAMA, setup(fused=True, numerics=FROZEN))
    for itemsize, copy in ((4, 4 * 64), (2, 2 * 64)):
        adapter = Adapter(rank=4, targets=("q_proj",), itemsize=itemsize)
        found = run(LLAMA, setup(fused=True, numerics=FROZEN, adapter=adapter))
        assert of(found.held - plain.held, "BS") == copy + itemsize * 4
        assert found.weight_gradients[0] == itemsize * 4 * (64 + 96)


def test_four_bit_matrices_are_unpacked_one_at_a_time() -> None:
    found = run(LLAMA, setup(fused=True, numerics=FROZEN, quantised=True))
    row = PARTS.index("dequantisation")
    for states in (found.forward, found.backward):
        sizes = {float(state[row, 0]) for state in states}
        assert sizes == {0.0} | {2.0 * x.weights for x in LLAMA.linears}
    half = run(LLAMA, setup(fused=True, numerics=FROZEN, quantised=True, tensor_parallel=2))
    assert max(float(state[row, 0]) for state in half.forward) == 6400
    tensor = replace(LLAMA, linears=tuple(replace(x, form="tensor") for x in LLAMA.linears))
    bare = run(tensor, setup(fused=True, numerics=FROZEN, quantised=True))
    assert not any(state[row].any() for state in bare.forward)


def test_kernels_of_attention() -> None:
    """Eager keeps repeated keys and values and fp32 weights; sdpa with a mask repeats as well."""

    def kept(**changes: Any) -> Replay:
        return run(LLAMA, setup(fused=True, **changes))

    flash = kept()
    eager = kept(kernel="eager")
    repeated = 2 * (3 - 1) * 2 * 32
    # fp32 softmax, its 16-bit copy for the product; log-sums are not needed; context is copied
    assert of(eager.held - flash.held, "BSS") == 6 * (4 + 2)
    assert of(eager.held - flash.held, "BS") == repeated - 6 * 4
    masked = kept(kernel="sdpa", code=Code(always_masks=True))
    assert of(masked.held - flash.held, "BSS") == 2
    assert of(masked.held - flash.held, "BS") == repeated
    assert of(kept(kernel="sdpa").held - flash.held, "BS") == 0
    capped = replace(LLAMA, attention=replace(LLAMA.attention, softcap=True))
    cap = run(capped, setup(fused=True, kernel="eager"))
    assert of(cap.held - eager.held, "BSS") == 6 * 2  # what tanh gave
    under_autocast = kept(
        kernel="eager",
        code=Code(softmax_in_fp32=False),
        numerics=replace(BF16, weight_itemsize=4, autocast=True),
    )
    plain = kept(kernel="eager", code=Code(softmax_in_fp32=False))
    assert of(under_autocast.held, "BSS") == 6 * (4 + 2)  # autocast's softmax is in fp32
    assert of(plain.held, "BSS") == 6 * 2


# --- the loss


def head_of(made: Setup, **changes: Any) -> tuple[Replay, Tape]:
    model = replace(MIXTURE, **changes)
    tape = Tape()
    source = tape.tensor(tokens(HIDDEN), 2)
    sink = loss(tape, source, model, made)
    return replay(tape, source, sink, PARTS, merges_in_place=True, keeps_source=True), tape


def test_what_losses_keep_of_the_logits() -> None:
    """500 logits: fp32 log-softmax; fp32 logits; 16-bit logits; the gradient of the input."""
    row = PARTS.index("logits")
    kept = {
        "plain": 4 * 500,
        "kernel": 4 * 500,
        "chunked": 2 * 500,
        "fused": 2 * 64,
    }
    for kind, size in kept.items():
        found, _ = head_of(setup(fused=True, loss=kind))
        assert found.held[row, BASIS.index("BS")] == size, kind
    frozen, _ = head_of(setup(fused=True, numerics=FROZEN))
    trained, _ = head_of(setup(fused=True))
    assert trained.weight_gradients[0] - frozen.weight_gradients[0] == 2 * (32000 + 64)
    capped, _ = head_of(setup(fused=True), logit_softcap=True)
    assert capped.held[row, 2] - trained.held[row, 2] == 2 * 500
    none, _ = head_of(setup(fused=True), head=None)
    assert none.held[row].sum() == 0


def test_parts_of_a_chunked_and_of_a_fused_loss() -> None:
    """Eighths: twice an fp32 chunk backward; a 16-bit and an fp32 chunk forward."""
    place = BASIS.index("BS")
    chunked, _ = head_of(setup(fused=True, loss="chunked"))
    plain = chunked.backward[0].sum(axis=0)[place]
    # kept logits, input and statistics; the logits' own gradient; two fp32 chunks
    assert plain == 1000 + (128 + 8 + 128) + 1000 + 2 * 4 * 500 / 8
    fused, _ = head_of(setup(fused=True, loss="fused"))
    made = max(state.sum(axis=0)[place] for state in fused.forward)
    assert made == 128 + (2 + 4) * 500 / 8  # the norm's output and one part


# --- the passes


def chain(layers: int = 3, **changes: Any) -> Architecture:
    return replace(
        MIXTURE, layers=(replace(LLAMA, indices=tuple(range(layers))),), projections=(), **changes
    )


def test_checkpointing_keeps_the_stream_between_layers() -> None:
    """Three boundaries of 64 values, twice eight bytes of ids a token."""
    for wide, size in ((False, 2), (True, 4)):
        made = Footprint(chain(), setup(checkpointed=True, wide_boundaries=wide))
        assert [of(held, "BS") for held in made._held()] == [size * HIDDEN] * 3
        assert of(made._shared, "BS") == 2 * 8
    plain = Footprint(chain(), setup(fused=True))
    assert [of(held, "BS") for held in plain._held()] == [1664] * 3


def test_selective_checkpointing_forgets_the_scores() -> None:
    made = Footprint(chain(), setup(kernel="eager", forgets_scores=True))
    kept = Footprint(chain(), setup(kernel="eager"))
    for less, all_of_it in zip(made._held(), kept._held(), strict=True):
        assert of(less, "BSS") == 0 and of(all_of_it, "BSS") > 0
        assert of(less, "BS") == of(all_of_it, "BS")


def test_a_stage_holds_its_layers_for_each_micro_batch() -> None:
    """The last stage makes the loss; the first one the embedding's gradient."""
    made = setup(checkpointed=True)
    first = Footprint(chain(), made, Stage(first=0, last=2, in_flight=2.0))
    found = list(first.states())
    row = PARTS.index("logits")
    assert not any(state.bytes[row].any() for state in found)
    last = Footprint(chain(), made, Stage(first=2, last=3))
    found = list(last.states())
    assert any(state.bytes[row].any() for state in found)
    assert len(last._held()) == len(last._left_behind()) == 1


def test_masks_that_layers_share() -> None:
    """Additive in the stream's type for eager, a byte per pair for sdpa, none for flash."""
    for kernel, term, size in (("eager", "BSS", 2), ("sdpa", "SS", 1), ("flash", "SS", 0)):
        made = Footprint(chain(), setup(kernel=kernel, code=Code(always_masks=True)))
        assert of(made._mask, term) == size
    fp32 = replace(BF16, weight_itemsize=4)
    assert of(Footprint(chain(), setup(kernel="eager", numerics=fp32))._mask, "BSS") == 4


def test_rotary_tables_take_two_values_per_position() -> None:
    turned = replace(LLAMA, attention=replace(LLAMA.attention, rotary_dim=16))
    model = replace(chain(), layers=(turned,))
    assert of(Footprint(model, setup())._shared, "S") == 2 * 16 * 2
    assert of(Footprint(chain(), setup())._shared, "S") == 0


def test_dropout_on_the_embedding_keeps_its_mask() -> None:
    model = chain(embedding_dropout=0.1)

    def mask(**changes: Any) -> float:
        return of(Footprint(model, setup(**changes))._shared, "BS") - 2 * 8

    assert mask() == HIDDEN
    assert mask(numerics=replace(BF16, dispatch="cpu")) == 2 * HIDDEN
    assert mask(code=Code(drops_embedding=False)) == 0
    adapter = Adapter(rank=4, targets="all-linear")
    assert mask(numerics=FROZEN, adapter=adapter) == 0
    # with checkpoints the leaf that requires a gradient is kept beside the first boundary
    assert mask(numerics=FROZEN, adapter=adapter, checkpointed=True) == HIDDEN + 2 * HIDDEN


def test_the_embedding_left_beside_adapters_and_checkpoints() -> None:
    one_table = chain(embeddings=MIXTURE.embeddings[:1])
    adapter = Adapter(rank=4, targets="all-linear")

    def beside(model: Architecture, **changes: Any) -> float:
        made = setup(**{"numerics": FROZEN, "adapter": adapter, "checkpointed": True, **changes})
        return of(Footprint(model, made)._shared, "BS") - 2 * 8

    assert beside(one_table) == 0
    assert beside(one_table, code=Code(moves_embedding=True)) == 2 * HIDDEN
    assert beside(chain()) == 2 * HIDDEN  # places are added to tokens
    assert beside(chain(), adapter=None) == 0
    assert beside(chain(), checkpointed=False) == 0


def test_the_gradient_of_the_tables() -> None:
    """500 + 20 rows: beside the gradient that comes in; a tied one joins the head's."""
    entries = 32000 + 1280

    def found(model: Architecture, **changes: Any) -> Any:
        return Footprint(model, setup(**changes))._embedding_gradient()

    own = found(chain())
    assert own[PARTS.index("gradients"), 0] == 2 * entries
    assert own[PARTS.index("working"), 2] == 2 * HIDDEN
    assert found(chain(), tensor_parallel=2)[PARTS.index("gradients"), 0] == entries
    tied = chain(tied_embeddings=True)
    assert found(tied)[PARTS.index("working"), 0] == 2 * entries
    cpu = replace(BF16, dispatch="cpu")
    assert found(tied, numerics=cpu)[PARTS.index("working"), 0] == 2 * 2 * entries
    assert not found(chain(), numerics=FROZEN).any()


def test_copies_that_autocast_caches_until_the_forward_pass_ends() -> None:
    fp32 = Numerics(weight_itemsize=4, autocast=True, trained=True)
    weights = 3 * sum(x.weights for x in LLAMA.linears)

    def cached(**changes: Any) -> float:
        made = setup(**{"numerics": fp32, "checkpointed": True, **changes})
        return Footprint(chain(), made)._cached_copies

    assert cached() == 2 * weights
    assert cached(tensor_parallel=2) == weights
    assert cached(checkpointed=False) == 0  # the graph keeps them
    assert cached(numerics=replace(fp32, trained=False)) == 0
    assert cached(numerics=replace(fp32, weight_itemsize=2)) == 0
    stage = Stage(first=1, last=3)
    part = Footprint(chain(), setup(numerics=fp32, checkpointed=True), stage)
    assert part._cached_copies == 2 * weights * 2 / 3


def test_scores_that_a_family_returns_outlive_their_layer() -> None:
    """Falcon's eager layers return their weights: six heads in 16 bits."""
    made = setup(kernel="eager", code=Code(returns_scores=True), checkpointed=True)
    assert of(Footprint(chain(), made)._returned_scores(1), "BSS") == 6 * 2
    for changes in ({"kernel": "flash"}, {"code": Code()}):
        assert not Footprint(chain(), replace(made, **changes))._returned_scores(1).any()


def test_layers_are_visited_where_kinds_begin_and_end() -> None:
    model = replace(
        chain(),
        layers=(replace(LLAMA, indices=(0, 1, 4)), replace(DENSE, indices=(2, 3, 5, 6))),
    )
    assert Footprint(model, setup())._turning_points() == {0, 4, 2, 6}
    assert Footprint(model, setup(), Stage(first=1, last=4))._turning_points() == {1, 2, 3}
    order = [layer is model.layers[0] for layer in Footprint(model, setup()).layers]
    assert order == [True, True, False, False, True, False, False]


# --- rarer attention


def kept_by(layer: Layer, **changes: Any) -> Replay:
    return run(layer, setup(**{"fused": True, **changes}))


CPU = replace(BF16, dispatch="cpu")
DROPPED = replace(LLAMA, attention=replace(LLAMA.attention, dropout=0.1))
UNEVEN = replace(
    LLAMA,
    linears=tuple(
        replace(x, **{"v_proj": {"outputs": 16}, "o_proj": {"inputs": 48}}.get(x.name, {}))
        for x in LLAMA.linears
    ),
    attention=replace(LLAMA.attention, value_head_dim=8),
)


def test_when_fused_kernels_fall_back_to_plain_products() -> None:
    """On a CPU with dropout or uneven widths; anywhere with a broadcast key. Never in flash."""

    def whole(layer: Layer, **changes: Any) -> bool:
        return of(kept_by(layer, **{"kernel": "sdpa", **changes}).held, "BSS") > 0

    broadcast = Code(broadcasts_key=True)
    assert not whole(LLAMA) and not whole(LLAMA, numerics=CPU)
    for layer in (DROPPED, UNEVEN):
        assert whole(layer, numerics=CPU)
        assert not whole(layer)
        assert not whole(layer, numerics=CPU, kernel="flash")
    assert whole(LLAMA, code=broadcast)
    assert not whole(LLAMA, code=broadcast, kernel="flash")
    equal = replace(LLAMA.attention, kv_heads=6)
    assert not whole(replace(LLAMA, attention=equal), code=broadcast)


AROUND = 2 * (128 + 8 + 128) + 600  # norms and gate of the fused layer


def test_plain_products_by_hand() -> None:
    """Queries, keys and values of six heads in fp32, the output in 16 bits, fp32 weights."""
    plain = {"kernel": "sdpa", "code": Code(broadcasts_key=True)}
    math = kept_by(LLAMA, **plain).held
    assert of(math, "BS") == AROUND + 3 * 4 * 96 + 2 * 96
    assert of(math, "BSS") == 6 * 4
    split = kept_by(LLAMA, **plain, tensor_parallel=2).held
    assert of(split, "BS") == AROUND - 300 + (3 * 4 * 96 + 2 * 96) / 2
    assert of(split, "BSS") == 6 * 4 / 2
    uneven = kept_by(UNEVEN, kernel="sdpa", numerics=CPU).held
    assert of(uneven, "BS") == AROUND + 4 * (96 + 96 + 48) + 2 * 48
    dropped = kept_by(DROPPED, kernel="sdpa", numerics=CPU).held
    assert of(dropped, "BSS") == 6 * 3 * 4  # softmax, scaled mask, what is left


def test_eager_attention_by_hand() -> None:
    """16-bit queries, repeated keys and values, output; what a family computes in fp32 is wider."""
    for code, width in (
        (Code(), 2 * (96 + 96 + 96 + 96)),
        (Code(scores_in_fp32=True), 4 * (96 + 96) + 2 * (96 + 96)),
        (Code(repeats_key=True), 2 * (96 + 32 + 32 + 96)),
    ):
        held = kept_by(LLAMA, kernel="eager", code=code).held
        assert of(held, "BS") == AROUND + width
        assert of(held, "BSS") == 6 * (4 + 2)


def test_a_cpu_copies_scores_before_an_fp32_softmax() -> None:
    def peak(numerics: Numerics) -> float:
        forward = kept_by(LLAMA, kernel="eager", numerics=numerics).forward
        return max(of(state, "BSS") for state in forward)

    assert peak(BF16) == 6 * (2 + 4)  # scores and weights; the additive mask is the footprint's
    assert peak(CPU) == 6 * (4 + 4)


def test_autocast_puts_attention_into_16_bits() -> None:
    """Rotation under fp32 weights gives fp32; flash keeps 16-bit copies, a matrix its input's."""
    turned = replace(LLAMA, attention=replace(LLAMA.attention, rotary_dim=16))
    amp = replace(BF16, weight_itemsize=4, autocast=True)
    found = run(turned, setup(numerics=amp))
    row = PARTS.index("attention")
    assert found.held[row, BASIS.index("BS")] == 2 * (96 + 32 + 32 + 96) + 6 * 4 + 3 * 2 * 64
    wide = run(turned, setup(numerics=replace(amp, autocast=False)))
    assert wide.held[row, BASIS.index("BS")] == 4 * (96 + 32 + 32 + 96) + 6 * 4


# --- rarer layers


def test_latent_attention_puts_keys_together_from_two_parts() -> None:
    """DeepSeek-V2, section 2.1: three heads of 12 + 4 turned values, a latent of 20."""
    layer = replace(
        DENSE,
        linears=(
            linear("q_a_proj", 64, 24, "attention", "input"),
            linear("q_b_proj", 24, 48, "attention", "latent"),
            linear("kv_a_proj_with_mqa", 64, 24, "attention", "input"),
            linear("kv_b_proj", 20, 60, "attention", "latent"),
            *DENSE.linears[3:],
        ),
        attention=replace(DENSE.attention, rotary_dim=4, latent_width=24),
    )
    made = setup(fused=True)
    tape = Tape()
    x = tape.tensor(tokens(HIDDEN), 2)
    block = Block(tape, layer, made)
    q, k, v = block._latent(x, layer.attention)
    assert [of(part.elements, "BS") for part in (q, k, v)] == [48, 48, 24]
    assert of(v.buffer.bytes, "BS") == 2 * 60
    read = next(n.inputs[0] for n in tape.nodes if n.outputs and n.outputs[0].buffer is v.buffer)
    assert of(read.elements, "BS") == 20
    assert tape.nodes[-1].outputs[0] is k and len(tape.nodes[-1].inputs) == 2
    short = replace(layer, linears=(DENSE.linears[0], *layer.linears[2:]))
    direct = replace(short, linears=(replace(DENSE.linears[0], bias=False), *short.linears[1:]))
    tape = Tape()
    q, _, _ = Block(tape, direct, made)._latent(tape.tensor(tokens(HIDDEN), 2), layer.attention)
    assert of(q.elements, "BS") == 48
    # input of q_proj and kv_a, the whole output of kv_a, kv_b's latent is a view of it
    whole = run(layer, made).held
    parts = 128 + 8 + 128  # norm and input
    parts += 2 * 24 + 2 * 24  # what q_b and kv_b read (kv_a's output whole)
    parts += 2 * (48 + 48) + 2 * 60 + 2 * 24 + 3 * 4  # q, k, v in kv_b's output, context, sums
    parts += 128 + 8 + 128 + 2 * 2 * 100  # norm, input, activation
    assert of(whole, "BS") == parts


def test_a_state_space_layer_keeps_two_inner_maps() -> None:
    """Norm, its output, and three times the 200 values of the first matrix."""
    layer = Layer(
        kind="mamba",
        indices=(0,),
        linears=(
            linear("in_proj", 64, 200, "mixer", "input"),
            linear("x_proj", 7, 9, "mixer", "input"),
            linear("out_proj", 128, 64, "mixer", "hidden"),
        ),
        norms=NORMS[:1],
        attention=None,
    )
    found = run(layer, setup(fused=True))
    assert of(found.held, "BS") == 128 + 8 + 128 + 3 * 400
    extra = max(of(state, "BS") for state in found.backward)
    # at the second map: all kept but the last input, both its gradients, one more, and the stream's
    assert extra == 128 + 8 + 128 + 2 * 400 + 3 * 400 + 128
    assert of(run(replace(layer, norms=()), setup(fused=True)).held, "BS") == 128 + 3 * 400
    mlp = replace(layer, linears=DENSE.linears[4:])
    assert of(run(mlp, setup(fused=True)).held, "BS") == 128 + 8 + 128 + 2 * 200
    alone = replace(DENSE, linears=DENSE.linears[:4], norms=NORMS[:1])
    held = of(run(alone, setup(fused=True)).held, "BS")
    assert held == 128 + 8 + 128 + 2 * (48 + 48 + 24 + 24) + 3 * 4


def test_a_shared_expert_and_its_gate() -> None:
    """Two maps of 90 values; the gate's value, and the result that it multiplies."""
    shared = (
        linear("shared_up", 64, 90, "shared_expert", "residual"),
        linear("shared_down", 90, 64, "shared_expert", "hidden"),
    )
    gate = linear("shared_gate", 64, 1, "router", "residual")
    base = replace(MIXED, gated=False)

    def kept(*more: Linear) -> float:
        return of(run(replace(base, linears=(*MIXED.linears, *more)), setup(fused=True)).held, "BS")

    assert kept(*shared) - kept() == 2 * 2 * 90
    assert kept(*shared, gate) - kept(*shared) == 2 + 128


def test_routed_experts_by_hand() -> None:
    """Two rows a token: gathered states, both maps, weights, indices, the sorted result."""
    layer = replace(MIXED, attention=None, gated=False, linears=MIXED.linears[4:], norms=NORMS[:1])
    found = run(layer, setup(fused=True))
    kept = 128 + 8 + 128  # norm and its output, which the router reads
    kept += 4 * 8 + 2 * 8 + 2 * 2 + 0  # softmax over eight, indices, chosen weights in 16 bits
    kept += 2 * 8 + 2 * 128  # order of the rows, gathered states
    kept += 2 * 2 * 80 + 2 * 2 * 80  # the first map's output and what the second reads
    kept += 2 * 128 + 2 * 8  # what the weights multiply, and the order back
    assert of(found.held, "BS") == kept
    row = PARTS.index("routing")
    in_routing = 4 * 8 + 2 * 8 + 2 * 2 + 2 * 8 + 2 * 128 + 2 * 128 + 2 * 8
    assert found.held[row, BASIS.index("BS")] == in_routing
    weights = 2 * (512 + 8 * 64 * 80 + 8 * 40 * 64 + 64)
    assert found.weight_gradients[0] == weights
    half = run(layer, setup(fused=True, expert_parallel=2))
    assert half.weight_gradients[0] == 2 * (512 + 4 * 64 * 80 + 4 * 40 * 64 + 64)
