"""What a layer, a loss and the passes keep: against published counts, PyTorch and by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from toys import DENSE, MIXTURE, NORMS

from estimator.llm.architecture import Architecture, Attention, Layer, Linear
from estimator.training import operations as op
from estimator.training.blocks import Block, loss
from estimator.training.families import Code
from estimator.training.footprint import PARTS, Footprint, Stage
from estimator.training.operations import Numerics
from estimator.training.setup import Adapter, Setup
from estimator.training.tape import BASIS, Replay, Tape, per, replay, tokens

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


# --- operations against autograd


@pytest.mark.parametrize("case", ["multiply", "scale", "relu", "silu", "matmul", "softmax",
                                  "linear", "gather", "constant", "dropout"])  # fmt: skip
def test_an_operation_keeps_what_autograd_keeps(case: str) -> None:
    """Bytes of the tensors that PyTorch packs for the derivative, 4 tokens of 8 fp32 values."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, y = (torch.rand(4, 8, requires_grad=True) for _ in range(2))
    square, weight = (torch.rand(8, 8, requires_grad=True) for _ in range(2))
    index = torch.tensor([3, 1, 2, 0])
    held: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        held[tensor.untyped_storage().data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        {
            "multiply": lambda: x * y,
            "scale": lambda: x * 3.0,
            "relu": lambda: torch.relu(x),
            "silu": lambda: functional.silu(x),
            "matmul": lambda: x @ square,
            "softmax": lambda: x.softmax(-1),
            "linear": lambda: functional.linear(x, weight),
            "gather": lambda: x[index],
            "constant": lambda: x + y.detach(),
            "dropout": lambda: functional.dropout(x, 0.5),
        }[case]()
    packed = sum(held.values())
    if case == "linear":
        packed -= 8 * 8 * 4  # the weight exists anyway
    tape = Tape()
    a, b = (tape.tensor(tokens(8), 4) for _ in range(2))
    numerics = replace(BF16, weight_itemsize=4)
    {
        "multiply": lambda: op.multiply(tape, a, b),
        "scale": lambda: op.scale(tape, a),
        "relu": lambda: op.function(tape, a, keeps="output"),
        "silu": lambda: op.function(tape, a, keeps="input"),
        "matmul": lambda: op.matmul(tape, a, tape.tensor(per("1", 64.0), 4), tokens(8)),
        "softmax": lambda: op.softmax(tape, a, upcast=True, fused_cast=False),
        "linear": lambda: op.linear(tape, a, 64.0, tokens(8), numerics),
        "gather": lambda: op.gather(tape, a, tokens(8), tokens(1)),
        "constant": lambda: op.add_constant(tape, a),
        "dropout": lambda: op.dropout(tape, a, 0.5, "cpu"),
    }[case]()
    size = sum(buffer.bytes for buffer in tape.nodes[-1].saves) if tape.nodes[-1].saves else None
    assert packed == (0 if size is None else size @ np.array([1, 1, 4, 1, 4.0]))


def test_a_mask_of_dropout_takes_a_byte_on_a_gpu() -> None:
    tape = Tape()
    x = tape.tensor(tokens(8), 2)
    assert op.dropout(tape, x, 0.0, "cuda") is x and not tape.nodes
    op.dropout(tape, x, 0.1, "cuda")
    assert of(tape.nodes[-1].saves[0].bytes, "BS") == 8


def test_gradients_of_one_tensor_are_added_in_place_on_a_gpu() -> None:
    """Two functions of x that are added: traced, their sum is a third buffer."""

    def peak(in_place: bool) -> float:
        tape = Tape()
        x = tape.tensor(tokens(8), 2)
        first = op.function(tape, x, keeps="output")
        second = op.function(tape, x, keeps="output")
        out = op.add(tape, first, second)
        found = replay(tape, x, out, PARTS, merges_in_place=in_place, keeps_source=True)
        return max(of(state, "BS") for state in found.backward)

    # kept: two outputs; alive: the gradient of the sum, which both receive, and one of x
    assert peak(True) == 16 * (2 + 1 + 1)
    assert peak(False) == 16 * (1 + 3)


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
