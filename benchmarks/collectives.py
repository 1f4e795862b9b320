"""Two gloo processes on this CPU: collectives, steps together, and how well both predict them."""

import json
import statistics
import tempfile
from pathlib import Path

from estimator.benchmark.collectives import OPERATIONS, CollectiveRates, measure_collectives
from estimator.benchmark.scaling import Mode, Scaling, measure_scaling, predict_scaling
from estimator.benchmark.target import Target, target_of
from estimator.benchmark.worker import busy_share

NPROC = 2
ROUNDS = 12
CASES: tuple[tuple[int, int, int, Mode], ...] = (
    (256, 4, 128, "ddp"),
    (384, 2, 64, "ddp"),
    (512, 2, 32, "ddp"),
    (512, 4, 64, "ddp"),
    (256, 4, 128, "fsdp2"),
    (512, 2, 64, "fsdp2"),
)
"""Width, layers, sequence length, and how the processes share the step."""


def llama(folder: Path, width: int, layers: int, sequence_length: int) -> Target:
    """A small Llama, trained whole in fp32."""
    config = {
        "model_type": "llama",
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "num_key_value_heads": width // 64,
        "vocab_size": 8192,
        "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    }
    file = folder / f"{width}-{layers}.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    return target_of(
        str(file),
        offline=True,
        method="full",
        precision="fp32",
        sequence_length=sequence_length,
        micro_batch=1,
    )


def show_rates(rates: CollectiveRates) -> None:
    """Alpha, bandwidth and how far the line is from the measurements."""
    for name in OPERATIONS:
        rate = getattr(rates, name)
        alpha, speed = 1e3 * rate.alpha_seconds, rate.bytes_per_second / 1e9
        print(f"{name:14s} {alpha:5.2f} ms + bytes / {speed:.2f} GB/s, off {rate.fit_error:.0%}")
    copies = rates.copy_bytes_per_second / 1e9
    print(f"busy share of a large all-reduce {rates.busy_share:.2f}, copies {copies:.2f} GB/s")


def show(name: str, found: Scaling, predicted: float) -> float:
    """One line of the table; the relative error of the prediction."""
    error = predicted / found.together_seconds - 1
    print(
        f"{name:22s} {1e3 * found.alone_seconds:6.0f} {1e3 * found.apart.seconds:6.0f} "
        f"{1e3 * found.together_seconds:9.0f} {1e3 * found.messages_seconds:9.0f} "
        f"{found.overlap_share:8.2f} {1e3 * predicted:10.0f} {error:+7.0%}   {found.spread:.0%}"
    )
    return error


def main() -> None:
    """Print the figures."""
    print(f"load of this machine before: {busy_share():.0%} of its cores")
    rates = measure_collectives(NPROC)
    show_rates(rates)
    columns = "alone  apart  together  messages  overlap  predicted  error  spread"
    print(f"{'milliseconds':23s}{columns}")
    errors = []
    with tempfile.TemporaryDirectory() as folder:
        for width, layers, length, mode in CASES:
            target = llama(Path(folder), width, layers, length)
            found = measure_scaling(target, NPROC, mode, rounds=ROUNDS)
            predicted = predict_scaling(found.apart, rates, NPROC, found.messages, mode)
            errors.append(abs(show(f"{mode} {width}x{layers} T={length}", found, predicted)))
    print(
        f"error of the prediction: median {statistics.median(errors):.0%}, worst {max(errors):.0%}"
    )


if __name__ == "__main__":
    main()
