"""A matrix of the model on a tape, with its LoRA adapter if it has one."""

from estimator.llm.adapters import is_target
from estimator.llm.architecture import Linear
from estimator.training import operations as op
from estimator.training.setup import Adapter, Setup
from estimator.training.tape import Tape, Tensor, tokens

DEQUANTISED_ITEMSIZE = 2.0


def project(tape: Tape, x: Tensor, linear: Linear, setup: Setup) -> Tensor:
    """`linear(x)`, plus the adapter's path.

    A 4-bit matrix is dequantised into a buffer of 16-bit values for the product and again for its
    derivative (Dettmers et al., QLoRA, arXiv 2305.14314, equation 5). Tensor parallelism splits
    the outputs of the first matrix of a pair and the inputs of the second (Shoeybi et al.,
    Megatron-LM, arXiv 1909.08053, section 3).
    """
    share = 1.0 / setup.tensor_parallel
    ends_pair = linear.reads in ("context", "hidden") and linear.role != "head"
    quantised = setup.quantised and linear.role != "head" and linear.form != "tensor"
    out = op.linear(
        tape,
        x,
        linear.weights * share,
        tokens(linear.outputs if ends_pair else linear.outputs * share),
        setup.numerics,
        bias=float(linear.outputs * linear.bias),
        workspace=DEQUANTISED_ITEMSIZE * linear.weights * share if quantised else 0.0,
    )
    adapter = setup.adapter
    if adapter is None or not is_target(linear, adapter.targets):
        return out
    return _adapt(tape, x, out, linear, setup, adapter)


def _adapt(
    tape: Tape, given: Tensor, base: Tensor, linear: Linear, setup: Setup, adapter: Adapter
) -> Tensor:
    """`base + lora_B(lora_A(x)) * scaling`: `peft` casts x to the adapters' type and keeps it.

    Ref: `peft/tuners/lora/layer.py`, `Linear.forward`.
    """
    part, tape.part = tape.part, "adapter_inputs"
    low_entries = float(adapter.rank * linear.inputs)
    high_entries = float(adapter.rank * linear.outputs)
    numerics, itemsize = setup.numerics, adapter.itemsize
    x = op.cast(tape, given, itemsize)
    rank = tokens(adapter.rank)
    low = op.linear(tape, x, low_entries, rank, numerics, trained=True, itemsize=itemsize)
    high = op.linear(
        tape, low, high_entries, base.elements, numerics, trained=True, itemsize=itemsize
    )
    total = op.cast(tape, op.add(tape, base, op.scale(tape, high)), base.itemsize)
    tape.touch(x, given)
    tape.part = part
    return total
