"""One transformer layer and the loss as operations on a tape.

Written after the `forward` functions of `transformers` 5: the shape of a layer comes from its
`Architecture`, the habits of the family's code from `families.py`.
"""

from dataclasses import dataclass

from estimator.llm.architecture import Architecture, Attention, Layer, Linear, Norm
from estimator.training import operations as op
from estimator.training.attention import attend
from estimator.training.experts import route
from estimator.training.families import activation, placement
from estimator.training.matrices import project
from estimator.training.operations import FLOAT
from estimator.training.setup import Setup
from estimator.training.tape import NOTHING, Tape, Tensor, tokens

LOSS_CHUNKS = 8.0
"""Parts in which a chunked or fused loss goes through the tokens (torchtune's default)."""


@dataclass(slots=True)
class Block:
    """Writes the operations of one layer."""

    tape: Tape
    layer: Layer
    setup: Setup

    def run(self, x: Tensor) -> Tensor:
        """The layer's output for its input x."""
        if self.layer.branches == 1:
            return self._alone(x)
        if self.layer.attention is None:
            return op.add(self.tape, x, self._mixer(self._first_norm(x)))
        if self.layer.is_parallel:
            return self._parallel(x)
        place = placement([norm.name for norm in self.layer.norms])
        branch = self._attention(self._norm(x, place.before_attention), self.layer.attention)
        attended = self._branch(branch, place.after_attention)
        x = self._norm(op.add(self.tape, x, attended), place.after_attention_sum)
        if self.layer.cross_attention is not None:
            x = op.add(self.tape, x, self._attention(x, self.layer.cross_attention))
        mixed = self._branch(self._mlp(self._norm(x, place.before_mlp)), place.after_mlp)
        if self.setup.code.keeps_branch:
            self.tape.touch(attended)
        return self._norm(op.add(self.tape, x, mixed), place.after_mlp_sum)

    def _alone(self, x: Tensor) -> Tensor:
        """A layer of one branch: attention, a scan or an MLP."""
        normed = self._first_norm(x)
        if self.layer.attention is not None:
            return op.add(self.tape, x, self._attention(normed, self.layer.attention))
        scans = any(m.role == "mixer" for m in self.layer.linears)
        return op.add(self.tape, x, self._mixer(normed) if scans else self._mlp(normed))

    def _parallel(self, x: Tensor) -> Tensor:
        """Attention and MLP side by side on the same input."""
        attention = self.layer.attention
        assert attention is not None
        names = [n.name for n in self.layer.norms if n.name not in ("q_norm", "k_norm")]
        normed = self._norm(x, names[0])
        attended = self._drop(self._attention(normed, attention))
        normed_mlp = self._norm(x, names[1]) if len(names) > 1 else normed
        mixed = self._drop(self._mlp(normed_mlp))
        return op.add(self.tape, op.add(self.tape, mixed, attended), x)

    def _branch(self, x: Tensor, norm: str | None) -> Tensor:
        """What happens to a branch before it is added to the stream."""
        x = self._drop(self._norm(x, norm))
        return op.scale(self.tape, x) if self.setup.code.scales_branches else x

    def _drop(self, x: Tensor) -> Tensor:
        return op.dropout(self.tape, x, self.layer.dropout, self.setup.numerics.dispatch)

    def _norm(self, x: Tensor, name: str | None) -> Tensor:
        norm = next((n for n in self.layer.norms if n.name == name), None)
        return x if norm is None else normalise(self.tape, x, norm, self.setup)

    def _first_norm(self, x: Tensor) -> Tensor:
        return normalise(self.tape, x, self.layer.norms[0], self.setup) if self.layer.norms else x

    def _linear(self, x: Tensor, linear: Linear) -> Tensor:
        return project(self.tape, x, linear, self.setup)

    def _named(self, name: str) -> Linear:
        return next(linear for linear in self.layer.linears if linear.name == name)

    def _attention(self, x: Tensor, attention: Attention) -> Tensor:
        self.tape.part = "attention"
        q, k, v = self._query_key_value(x, attention)
        q, k = self._norm(q, "q_norm"), self._norm(k, "k_norm")
        if attention.rotary_dim:
            q, k = self._rotate(q), self._rotate(k)
        context = attend(self.tape, q, k, v, attention, self.setup)
        self.tape.part = "activations"
        out = self._linear(context, next(x for x in self.layer.linears if x.reads == "context"))
        self.tape.touch(x)
        return out

    def _rotate(self, x: Tensor) -> Tensor:
        if self.setup.fused:
            return op.view(self.tape, x)
        straight = op.reshape_gradient(self.tape, x)
        return op.rotate(self.tape, straight, max(x.itemsize, self.setup.stream_itemsize))

    def _query_key_value(self, x: Tensor, attention: Attention) -> tuple[Tensor, Tensor, Tensor]:
        if attention.latent_width is not None:
            return self._latent(x, attention)
        code = self.setup.code
        matrices = [m for m in self.layer.linears if m.role == "attention" and m.reads == "input"]
        if len(matrices) == 3:
            q, k, v = (self._linear(x, matrix) for matrix in matrices)
            return q, k, v
        fused = self._linear(x, matrices[0])
        widths = (attention.query_width, attention.key_width, attention.value_width)
        shares = [width / sum(widths) for width in widths]
        if code.slices_fused:
            q, k, v = (op.view(self.tape, fused, fused.elements * share) for share in shares)
        else:
            q, k, v = op.split(self.tape, fused, *shares)
        if code.repeats_key:
            groups = attention.heads / attention.kv_heads
            k, v = op.repeat(self.tape, k, groups), op.repeat(self.tape, v, groups)
        return q, k, v

    def _latent(self, x: Tensor, attention: Attention) -> tuple[Tensor, Tensor, Tensor]:
        """Multi-head latent attention: low-rank paths; keys are put together from two parts.

        Ref: DeepSeek-V2, arXiv 2405.04434, section 2.1.
        """
        if any(linear.name == "q_proj" for linear in self.layer.linears):
            q = self._linear(x, self._named("q_proj"))
        else:
            low = self._norm(self._linear(x, self._named("q_a_proj")), "q_a_layernorm")
            q = self._linear(low, self._named("q_b_proj"))
        down, up = self._named("kv_a_proj_with_mqa"), self._named("kv_b_proj")
        share = up.inputs / down.outputs
        latent, key = op.split(self.tape, self._linear(x, down), share, 1.0 - share)
        wide = self._linear(self._norm(latent, "kv_a_layernorm"), up)
        nope = attention.head_dim - attention.rotary_dim
        share = nope / (nope + attention.value_head_dim)
        k, v = op.split(self.tape, wide, share, 1.0 - share)
        whole = self.tape.tensor(q.elements, q.itemsize)
        self.tape.record([k, key], [whole])
        return q, whole, v

    def _mixer(self, x: Tensor) -> Tensor:
        """A state-space or linear-attention block, roughly: its matrices with two inner maps."""
        matrices = [m for m in self.layer.linears if m.role == "mixer"]
        inner = op.function(self.tape, self._linear(x, matrices[0]), keeps="input", extra=1.0)
        inner = op.function(self.tape, inner, keeps="input", extra=1.0)
        share = matrices[-1].inputs / matrices[0].outputs
        return self._linear(op.view(self.tape, inner, inner.elements * share), matrices[-1])

    def _mlp(self, x: Tensor) -> Tensor:
        matrices = [m for m in self.layer.linears if m.role == "mlp"]
        out = self._mixture(x) if self.layer.is_moe else self._dense(x, matrices)
        self.tape.touch(x)
        return out

    def _mixture(self, x: Tensor) -> Tensor:
        """Routed experts and, where there is one, the shared expert beside them."""
        activate = activation(self.layer.activation, self.setup.code)
        shared = [m for m in self.layer.linears if m.role == "shared_expert"]
        gate = next((m for m in self.layer.linears if m.role == "router" and m.outputs == 1), None)
        own = self._dense(x, shared) if gate else None
        out = route(self.tape, x, self.layer, activate, self.setup)
        if gate and own:
            opened = op.function(self.tape, self._linear(x, gate), keeps="output")
            own = op.multiply_broadcast(self.tape, own, opened)
        elif shared:
            own = self._dense(x, shared)
        return op.add(self.tape, out, own) if own else out

    def _dense(self, x: Tensor, matrices: list[Linear]) -> Tensor:
        """An MLP; one without matrices passes x on."""
        if not matrices:
            return x
        down = next(m for m in matrices if m.reads == "hidden")
        return self._linear(self._inner(x, [m for m in matrices if m is not down]), down)

    def _inner(self, x: Tensor, matrices: list[Linear]) -> Tensor:
        """The MLP's inner activation."""
        activate = activation(self.layer.activation, self.setup.code)
        first = self._linear(x, matrices[0])
        if not self.layer.gated:
            return activate(self.tape, first)
        if len(matrices) == 1:
            gate, up = op.split(self.tape, first, 0.5, 0.5)
        elif not self.setup.fused:
            gate = activate(self.tape, first)
            return op.multiply(self.tape, gate, self._linear(x, matrices[1]))
        else:
            gate, up = first, self._linear(x, matrices[1])
        if self.setup.fused:
            return op.fused_gate(self.tape, gate, up)
        return op.multiply(self.tape, activate(self.tape, gate), up)


def normalise(tape: Tape, x: Tensor, norm: Norm, setup: Setup) -> Tensor:
    """A norm as the family writes it, or a fused one, which keeps its input."""
    numerics, style = setup.numerics, setup.code.norm
    rows = x.elements / norm.width
    entries = float(norm.width * norm.weight)
    weight = tape.parameter(entries, numerics.weight_itemsize, grad=numerics.trained)
    if setup.fused:
        return op.layer_norm(tape, x, rows, weight)
    if norm.kind == "layer" and style == "upcast":
        return op.cast(tape, op.layer_norm(tape, op.cast(tape, x, FLOAT), rows, weight), x.itemsize)
    if norm.kind == "layer" and style == "cast_first":
        return op.layer_norm(tape, x, rows, weight)
    core = op.rms_core(tape, x, rows) if norm.kind == "rms" else op.centred_core(tape, x, rows)
    if style == "cast_first":
        return op.multiply_broadcast(tape, op.cast(tape, core, x.itemsize), weight)
    return op.cast(tape, op.multiply_broadcast(tape, core, weight), x.itemsize)


def loss(tape: Tape, x: Tensor, architecture: Architecture, setup: Setup) -> Tensor:
    """Final norm, head and cross-entropy; sums what `transformers` and fused losses keep.

    Ref: `transformers/loss/loss_utils.py`; chunked: torchtune `CEWithChunkedOutputLoss`; fused:
    Liger Kernel, arXiv 2410.10989, section 3.3.
    """
    for norm in architecture.norms[-1:]:
        x = normalise(tape, x, norm, setup)
    tape.part = "logits"
    end = tape.tensor(NOTHING, FLOAT)
    if architecture.head is None:
        tape.record([x], [end])
        return end
    tape.pins.add(x.buffer)
    if setup.loss == "fused":
        return _fused_loss(tape, x, architecture.head, setup, end)
    logits = project(tape, x, architecture.head, setup)
    if architecture.logit_softcap:
        bent = op.function(tape, op.scale(tape, logits), keeps="output")
        logits = op.scale(tape, bent)
    tape.pins.add(logits.buffer)
    if setup.loss == "chunked":
        chunk = logits.elements * FLOAT / LOSS_CHUNKS
        tape.record([logits], [end], saves=[logits], backward_extra=2.0 * chunk)
        return end
    logits = op.cast(tape, logits, FLOAT)
    if setup.loss == "kernel":
        tape.record([logits], [end], saves=[logits])
        return end
    chances = tape.tensor(logits.elements, FLOAT)
    tape.record([logits], [chances], saves=[chances])
    tape.record([chances], [end])
    return end


def _fused_loss(tape: Tape, x: Tensor, head: Linear, setup: Setup, end: Tensor) -> Tensor:
    """Head and loss in parts; the gradients are made in the forward pass."""
    trained = setup.numerics.trained
    weight = tape.parameter(head.weights, setup.numerics.weight_itemsize, grad=trained)
    gradient = tape.tensor(x.elements, x.itemsize, grad=False)
    part = tokens(head.outputs) / LOSS_CHUNKS * (x.itemsize + FLOAT)
    tape.record([x, weight], [end], saves=[gradient], forward_extra=part)
    return end
