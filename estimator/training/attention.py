"""Softmax attention on a tape, by kernel."""

from estimator.llm.architecture import Attention
from estimator.training import operations as op
from estimator.training.operations import FLOAT
from estimator.training.setup import Setup
from estimator.training.tape import Tape, Tensor, per, tokens


def attend(
    tape: Tape, q: Tensor, k: Tensor, v: Tensor, attention: Attention, setup: Setup
) -> Tensor:
    """The attention's output, ready for the output matrix."""
    if setup.numerics.autocast:
        k, q, v = (op.cast(tape, x, 2) for x in (k, q, v))
    if setup.kernel == "eager":
        return _eager(tape, q, k, v, attention, setup)
    if _needs_plain_products(attention, setup):
        return _math(tape, q, k, v, attention, setup)
    return _fused(tape, q, k, v, attention, setup)


def _needs_plain_products(attention: Attention, setup: Setup) -> bool:
    """Whether `F.scaled_dot_product_attention` falls back to plain products.

    It does where one key head serves all queries without being repeated (Falcon 7B), and on a CPU
    with dropout or with values of another width than keys. Ref: PyTorch
    `aten/src/ATen/native/transformers/sdp_utils_cpp.cpp` and `cuda/sdp_utils.cpp`.
    """
    if setup.kernel == "flash":
        return False
    broadcasts = setup.code.broadcasts_key and attention.kv_heads != attention.heads
    uneven = attention.head_dim != attention.value_head_dim
    return broadcasts or (setup.numerics.dispatch == "cpu" and (attention.dropout > 0.0 or uneven))


def _groups(attention: Attention, setup: Setup) -> float:
    """Query heads per key head that the kernel sees."""
    return 1.0 if setup.code.repeats_key else attention.heads / attention.kv_heads


def _fused(
    tape: Tape, q: Tensor, k: Tensor, v: Tensor, attention: Attention, setup: Setup
) -> Tensor:
    """A flash kernel: keeps queries, keys, values, its output and one log-sum per row and head.

    A window no wider than the sequence makes `sdpa` take a mask, for which `transformers` repeats
    keys and values and PyTorch converts the mask in each layer. Ref: Dao, FlashAttention-2, arXiv
    2307.08691, algorithm 1; `transformers/integrations/sdpa_attention.py`.
    """
    saves = []
    groups = _groups(attention, setup)
    if setup.masked(attention):
        # A single head is repeated by a view; several are copied.
        single = attention.kv_heads == 1
        k, v = (
            op.view(tape, x, groups * x.elements) if single else op.repeat(tape, x, groups)
            for x in (k, v)
        )
        saves = [tape.tensor(per("BSS", 1.0), q.itemsize, grad=False)]
    context = tape.tensor(tokens(attention.output_width / setup.tensor_parallel), q.itemsize)
    sums = tape.tensor(tokens(attention.heads / setup.tensor_parallel), FLOAT)
    tape.record([q, k, v], [context], saves=[q, k, v, context, sums, *saves])
    return op.copy(tape, context) if setup.code.concatenates_rotated else context


def _math(
    tape: Tape, q: Tensor, k: Tensor, v: Tensor, attention: Attention, setup: Setup
) -> Tensor:
    """`_scaled_dot_product_attention_math`: plain products in fp32, scores kept whole."""
    itemsize = q.itemsize
    groups = attention.heads / attention.kv_heads
    q, k = (op.scale(tape, op.cast(tape, x, FLOAT)) for x in (q, k))
    v = op.cast(tape, v, FLOAT)
    k = op.repeat(tape, k, groups) if groups > 1 else op.copy(tape, k)
    scores = op.matmul(
        tape, op.copy(tape, q), k, per("BSS", attention.heads / setup.tensor_parallel)
    )
    weights = op.softmax(tape, op.add_constant(tape, scores), upcast=True, fused_cast=True)
    weights = op.dropout(tape, weights, attention.dropout, setup.numerics.dispatch)
    v = op.repeat(tape, v, groups) if groups > 1 else op.copy(tape, v)
    context = op.matmul(tape, weights, v, tokens(attention.output_width / setup.tensor_parallel))
    return op.copy(tape, op.cast(tape, context, itemsize))


def _eager(
    tape: Tape, q: Tensor, k: Tensor, v: Tensor, attention: Attention, setup: Setup
) -> Tensor:
    """Attention written out in Python: scores, softmax and weights are kept whole."""
    code, numerics = setup.code, setup.numerics
    groups = _groups(attention, setup)
    if code.scores_in_fp32:
        q, k = op.cast(tape, q, FLOAT), op.cast(tape, k, FLOAT)
    k, v = (op.repeat(tape, x, groups) if groups > 1 else op.copy(tape, x) for x in (k, v))
    scores = op.matmul(
        tape, op.copy(tape, q), k, per("BSS", attention.heads / setup.tensor_parallel)
    )
    if code.scales_scores:
        scores = op.scale(tape, scores)
    if attention.softcap:
        scores = op.scale(tape, op.function(tape, op.scale(tape, scores), keeps="output"))
    scores = op.add_constant(tape, scores)
    if attention.sinks:
        scores = op.shift(tape, op.shift(tape, scores))
    # Autocast runs every softmax in fp32 (`aten/src/ATen/autocast_mode.h`).
    upcast = code.softmax_in_fp32 or numerics.autocast
    weights = op.softmax(tape, scores, upcast=upcast, fused_cast=numerics.dispatch == "cuda")
    weights = op.cast(tape, weights, v.itemsize)
    if attention.sinks:
        weights = op.view(tape, weights, weights.elements)
    weights = op.dropout(tape, weights, attention.dropout, numerics.dispatch)
    context = op.matmul(tape, weights, v, tokens(attention.output_width / setup.tensor_parallel))
    return op.copy(tape, context)
