"""A language model as the inventory of its matrices.

One structure says which matrices, norms and tables a model has, how often each occurs and what
each reads. Parameters, adapters, FLOPs and activation memory are sums over it, so they can never
contradict one another. Names are those of the `transformers` class, so that adapter targets mean
the same here as in `peft`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from estimator.llm.scan import Scan

Role = Literal[
    "attention",
    "cross_attention",
    "mixer",
    "mlp",
    "expert",
    "shared_expert",
    "router",
    "head",
    "projection",
]
"""What a matrix is for. `mixer` is the state-space or linear-attention block of a layer without
softmax attention; `projection` stands outside the layers (pooler, embedding projection)."""

Reads = Literal["input", "latent", "context", "residual", "hidden", "encoder", "final"]
"""Which tensor a matrix multiplies: the layer's (normalised) `input`; the compressed `latent` of
multi-head latent attention; the attention's output (`context`); the (normalised) state after
attention (`residual`); the MLP's inner activation (`hidden`); the `encoder`'s output (keys and
values of cross-attention); the state outside the layers (`final`). In a parallel block the MLP
reads `input` too."""

MLP_ROLES: frozenset[Role] = frozenset({"mlp", "expert", "shared_expert"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """`copies` equal matrices of one layer, as the `transformers` class names and fuses them."""

    name: str
    """Leaf name of the module (or of the tensor, when `form` is "tensor")."""
    inputs: int
    outputs: int
    role: Role
    reads: Reads
    bias: bool = False
    copies: int = 1
    """How many such matrices the layer holds (experts)."""
    active: int | None = None
    """How many of them one token uses; None: all."""
    form: Literal["linear", "conv1d", "tensor"] = "linear"
    """`linear`: an nn.Linear; `conv1d`: GPT-2's transposed Linear; `tensor`: a bare parameter
    (router weights, fused experts), which an adapter does not see as a module."""
    adapter_names: tuple[str, ...] | None = None
    """Names by which adapters reach it. None: its own if it is a module, none if it is a tensor.
    Fused experts keep the names of the matrices they were fused from, each with its own rank."""

    @property
    def adapter_targets(self) -> tuple[str, ...]:
        """Names of the adapters that it can carry; empty: it can carry none."""
        if self.adapter_names is not None:
            return self.adapter_names
        return () if self.form == "tensor" else (self.name,)

    @property
    def copies_per_token(self) -> int:
        """How many of the copies one token uses."""
        return self.copies if self.active is None else self.active

    @property
    def weights(self) -> int:
        """Entries of all copies, biases left out."""
        return self.inputs * self.outputs * self.copies

    @property
    def weights_per_token(self) -> int:
        """Entries that one token multiplies, biases left out (2 FLOPs each forward)."""
        return self.inputs * self.outputs * self.copies_per_token

    @property
    def parameters(self) -> int:
        """Parameters of all copies, biases included."""
        return self.weights + self.bias * self.outputs * self.copies

    @property
    def active_parameters(self) -> int:
        """Parameters that one token uses, biases included."""
        return self.weights_per_token + self.bias * self.outputs * self.copies_per_token


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """`copies` equal normalisations of one layer (or outside the layers)."""

    name: str
    width: int
    """Length of the weight vector."""
    kind: Literal["rms", "layer"] = "rms"
    weight: bool = True
    bias: bool = False
    copies: int = 1
    applied_width: int | None = None
    """Values per token that one copy normalises; None: `width`. Larger where one weight vector
    serves every head (q_norm, k_norm)."""

    @property
    def parameters(self) -> int:
        """Parameters of all copies."""
        return (self.weight + self.bias) * self.width * self.copies

    @property
    def values_per_token(self) -> int:
        """Values per token that all copies normalise."""
        return (self.width if self.applied_width is None else self.applied_width) * self.copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """A table looked up by index: tokens, positions, or segments (token types)."""

    name: str
    rows: int
    width: int
    role: Literal["token", "position", "segment"] = "token"

    @property
    def parameters(self) -> int:
        """Entries of the table."""
        return self.rows * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """The softmax attention of a layer: two batched products without parameters."""

    heads: int
    kv_heads: int
    head_dim: int
    """Width of one query and key head (for latent attention: the part without position plus
    the rotary part)."""
    value_head_dim: int
    window: int | None = None
    """Tokens that a query can see back (sliding window or chunk); None: all."""
    causal: bool = True
    rotary_dim: int = 0
    """Width of each head that is rotated; 0: no rotary positions."""
    latent_width: int | None = None
    """Values cached per token by multi-head latent attention; None: keys and values are cached."""
    softcap: bool = False
    """Whether the scores pass a tanh cap (Gemma 2), which rules out most fused kernels."""
    sinks: bool = False
    """Whether each head has a learned sink (gpt-oss)."""
    dropout: float = 0.0
    """Probability with which training drops attention weights."""

    @property
    def query_width(self) -> int:
        """Values per token of all query heads."""
        return self.heads * self.head_dim

    @property
    def key_width(self) -> int:
        """Values per token of all key heads."""
        return self.kv_heads * self.head_dim

    @property
    def value_width(self) -> int:
        """Values per token of all value heads."""
        return self.kv_heads * self.value_head_dim

    @property
    def output_width(self) -> int:
        """Values per token of the attention's output, before the output projection."""
        return self.heads * self.value_head_dim

    @property
    def cache_width(self) -> int:
        """Values that the KV cache holds per token and layer."""
        if self.latent_width is not None:
            return self.latent_width
        return self.key_width + self.value_width


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Identical layers of one kind, and where in the stack they stand."""

    kind: str
    """For reading: "dense", "moe", "sliding", "full", "encoder", "mamba", ..."""
    indices: tuple[int, ...]
    """Places in the stack, 0 first."""
    linears: tuple[Linear, ...]
    norms: tuple[Norm, ...]
    attention: Attention | None
    cross_attention: Attention | None = None
    scan: Scan | None = None
    """The recurrence of a layer without softmax attention."""
    other_parameters: int = 0
    """Parameters that are neither matrix nor norm (sinks, convolutions, state-space vectors)."""
    gated: bool = False
    """Whether the MLP multiplies its activation by a second projection (SwiGLU, GeGLU)."""
    activation: str = "gelu"
    stack: Literal["decoder", "encoder"] = "decoder"
    dropout: float = 0.0
    """Probability with which training drops values of each residual branch."""

    @property
    def count(self) -> int:
        """How many layers of this kind the model has."""
        return len(self.indices)

    @property
    def norm_parameters(self) -> int:
        """Norm parameters of one layer."""
        return sum(norm.parameters for norm in self.norms)

    @property
    def parameters(self) -> int:
        """Parameters of one layer."""
        matrices = sum(linear.parameters for linear in self.linears)
        return matrices + self.norm_parameters + self.other_parameters

    @property
    def active_parameters(self) -> int:
        """Parameters of one layer that one token uses."""
        matrices = sum(linear.active_parameters for linear in self.linears)
        return matrices + self.norm_parameters + self.other_parameters

    @property
    def weights_per_token(self) -> int:
        """Matrix entries of one layer that one token multiplies (2 FLOPs each forward)."""
        return sum(linear.weights_per_token for linear in self.linears)

    @property
    def mlp_width(self) -> int:
        """Inner MLP values per token: active experts and shared experts added up."""
        return sum(
            linear.inputs * linear.copies_per_token
            for linear in self.linears
            if linear.role in MLP_ROLES and linear.reads == "hidden"
        )

    @property
    def branches(self) -> int:
        """Residual branches: attention or scan, and MLP; some models give each its own layer."""
        mlp = any(x.role in MLP_ROLES for x in self.linears)
        return mlp + any(x.role in ("attention", "mixer") for x in self.linears)

    @property
    def is_moe(self) -> bool:
        """Whether a router chooses experts for each token."""
        return any(linear.role == "expert" for linear in self.linears)

    @property
    def experts(self) -> int:
        """Routed experts of the layer; 0 in a dense layer."""
        return max((x.copies for x in self.linears if x.role == "expert"), default=0)

    @property
    def experts_per_token(self) -> int:
        """Routed experts that one token uses; 0 in a dense layer."""
        return max((x.copies_per_token for x in self.linears if x.role == "expert"), default=0)

    @property
    def is_parallel(self) -> bool:
        """Whether attention and MLP read the same input (parallel block)."""
        return any(x.role in MLP_ROLES and x.reads == "input" for x in self.linears)


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The dimensions of a transformer as its config.json states them."""

    id: str
    family: str
    """The `model_type` of its config.json."""
    kind: Literal["decoder", "encoder", "encoder-decoder"] = "decoder"
    hidden_size: int
    vocab_size: int
    """Rows of the token table, padding included."""
    layers: tuple[Layer, ...]
    embeddings: tuple[Embedding, ...]
    norms: tuple[Norm, ...] = ()
    """Norms outside the layers (final norm, embedding norm)."""
    projections: tuple[Linear, ...] = ()
    """Matrices outside the layers other than the head (pooler, embedding projection)."""
    head: Linear | None
    """The matrix that makes logits; None: the model ends in hidden states."""
    tied_embeddings: bool
    """Whether the head shares the token table, and so adds no matrix of its own."""
    other_parameters: int = 0
    """Parameters outside the layers that are neither matrix, norm nor table."""
    unbuilt_parameters: int = 0
    """Parameters of the checkpoint which the `transformers` class leaves out and the total does
    not count (multi-token-prediction layers)."""
    context_length: int | None = None
    """Longest sequence in tokens that the config states; None: it states none."""
    embedding_dropout: float = 0.0
    logit_softcap: bool = False
    typical: bool = False
    """Whether it was made from a bare size instead of a config."""
    notes: tuple[str, ...] = ()

    @classmethod
    def from_hf_config(cls, config: Mapping[str, object], id: str = "") -> "Architecture":
        """The architecture that a config.json of `transformers` describes.

        Missing keys take the default of the `transformers` class and `notes` says so where it
        matters. Multimodal configs give their text part. Raises `InputError` for a value that
        no model can have and `CatalogError` for a `model_type` that is not known.
        """
        from estimator.llm.families import read_config

        return read_config(config, id)

    @property
    def embedding_parameters(self) -> int:
        """Entries of the token table."""
        return sum(table.parameters for table in self.embeddings if table.role == "token")

    @property
    def position_parameters(self) -> int:
        """Entries of the learned position and segment tables."""
        return sum(table.parameters for table in self.embeddings if table.role != "token")

    @property
    def final_norm_parameters(self) -> int:
        """Parameters of the norms outside the layers."""
        return sum(norm.parameters for norm in self.norms)

    @property
    def head_parameters(self) -> int:
        """Parameters that the head adds: with tied embeddings its bias alone."""
        if self.head is None:
            return 0
        return self.head.parameters - (self.head.weights if self.tied_embeddings else 0)

    @property
    def num_layers(self) -> int:
        """Layers of all kinds (encoder and decoder added up)."""
        return sum(layer.count for layer in self.layers)

    @property
    def main_layer(self) -> Layer:
        """The most frequent kind of layer, of the kinds with attention where there is one."""
        with_attention = [layer for layer in self.layers if layer.attention is not None]
        return max(with_attention or self.layers, key=lambda layer: layer.count)

    @property
    def num_attention_heads(self) -> int:
        """Query heads of the most frequent layer with attention; 0 if no layer has any."""
        attention = self.main_layer.attention
        return attention.heads if attention else 0

    @property
    def num_key_value_heads(self) -> int:
        """Key and value heads of the most frequent layer with attention; 0 if none has any."""
        attention = self.main_layer.attention
        return attention.kv_heads if attention else 0

    @property
    def head_dim(self) -> int:
        """Width of a query head of the most frequent layer with attention; 0 if none has any."""
        attention = self.main_layer.attention
        return attention.head_dim if attention else 0

    @property
    def intermediate_size(self) -> int:
        """Inner MLP values per token of the most frequent layer that has an MLP."""
        widths = [(layer.count, layer.mlp_width) for layer in self.layers if layer.mlp_width]
        return max(widths, default=(0, 0))[1]

    @property
    def is_moe(self) -> bool:
        """Whether any layer routes tokens to experts."""
        return any(layer.is_moe for layer in self.layers)

    def linears(self) -> Iterator[tuple[Linear, int]]:
        """Every matrix with the number of layers it occurs in; outside the layers 1.

        The head is given with its bias, tied or not: whether it adds parameters is
        `head_parameters`; that it costs FLOPs is certain.
        """
        for layer in self.layers:
            for linear in layer.linears:
                yield linear, layer.count
        for linear in self.projections:
            yield linear, 1
        if self.head is not None:
            yield self.head, 1
