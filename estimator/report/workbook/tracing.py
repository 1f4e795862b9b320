"""Running the model's account modules on nodes instead of numbers.

The accounts are written once, for numpy. Here they run once more on traced arrays, with a numpy
whose constructors give traced arrays too, so that a workbook says exactly what the model does.
Only the thread that traces sees any difference.
"""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from estimator.report.workbook.cell import Node
from estimator.report.workbook.traced import (
    Traced,
    elementwise,
    inputs_behind,
    nodes_of,
)

PACKAGES = ("estimator.alternatives.", "estimator.project.")
ALSO = ("estimator.serving.replicas", "estimator.training.run")
_lock = threading.Lock()
_here = threading.local()


@contextmanager
def tracing() -> Iterator[list[frozenset[str]]]:
    """Within it, this thread's accounts may be built from traced draws.

    Gives a list that fills with the inputs behind every choice that stays as it is.
    """
    traced = _numpy()
    with _lock:
        swapped = [
            (module, name, getattr(module, name), new)
            for module in _modules()
            for name, new in ({"np": traced} | _frozen_in(module)).items()
            if hasattr(module, name)
        ]
        try:
            _here.on, _here.choices = True, []
            for module, name, _, new in swapped:
                setattr(module, name, new)
            yield _here.choices
        finally:
            _here.on = False
            for module, name, old, _ in swapped:
                setattr(module, name, old)


def _tracing() -> bool:
    return getattr(_here, "on", False)


def _modules() -> list[ModuleType]:
    return [m for name, m in sys.modules.items() if name.startswith(PACKAGES) or name in ALSO]


def _numpy() -> ModuleType:
    """Numpy, whose constructors give or keep traced arrays in a thread that traces."""
    made = ModuleType("numpy", np.__doc__)
    made.__dict__.update(np.__dict__)
    made.__dict__.update(
        {
            "asarray": _asarray,
            "array": _array,
            "arange": _arange,
            "broadcast": _broadcast,
            "argmax": _argmax,
            **{name: _constructor(name) for name in ("zeros", "ones", "full", "empty")},
        }
    )
    return made


def _asarray(x: Any, dtype: Any = None) -> Any:
    return x if isinstance(x, Traced) else np.asarray(x, dtype)


def _array(x: Any, dtype: Any = None) -> Any:
    return Traced(nodes_of(x).copy()) if _tracing() else np.array(x, dtype)


def _constructor(name: str) -> Callable[..., Any]:
    def construct(shape: Any, *args: Any, **kwargs: Any) -> Any:
        if not _tracing():
            return getattr(np, name)(shape, *args, **kwargs)
        filled = np.full(shape, *args) if name == "full" else np.full(shape, float(name == "ones"))
        return Traced(nodes_of(filled))

    return construct


def _arange(*args: Any) -> Any:
    """Months count from 0, here and in the first row of every sheet."""
    if not _tracing():
        return np.arange(*args)
    (n,) = args
    made = np.empty(n, dtype=object)
    made[:] = [Node("month", (), float(m), place=m) for m in range(n)]
    return Traced(made)


def _broadcast(*arrays: Any) -> Any:
    return np.broadcast(*(np.empty(np.shape(getattr(a, "nodes", a))) for a in arrays))


def _argmax(x: Any, axis: int | None = None) -> Any:
    """A choice between alternatives, which stays the one of the base case."""
    if not isinstance(x, Traced):
        return np.argmax(x, axis)
    _here.choices.append(inputs_behind(*x.nodes.ravel()))
    return np.argmax(x.values, axis)


def frozen(value: float, name: str, *made_from: Any) -> Traced:
    """A number computed by tuneroi, with the inputs that it was computed from."""
    nodes = [node for x in made_from if isinstance(x, Traced) for node in x.nodes.ravel()]
    return Traced.of(Node("frozen", (), float(value), name=name, behind=inputs_behind(*nodes)))


def _frozen_in(module: ModuleType) -> dict[str, Any]:
    """What cannot be a formula: the physics of training and serving; and chance at its median."""
    of_module: dict[str, dict[str, Callable[..., Any]]] = {
        "training_gpus": {
            "training_speed": _training_speed,
            "median_start_up_hours": _start_up_hours,
        },
        "serving_gpus": {"replica_speed": _replica_speed},
        "outcome": {"incident_count": _incident_count},
    }
    hooks = of_module.get(module.__name__.rsplit(".", 1)[-1], {})
    return {name: _hook(getattr(module, name), hook) for name, hook in hooks.items()}


def _hook(real: Callable[..., Any], hook: Callable[..., Any]) -> Callable[..., Any]:
    def in_numbers(*args: Any) -> Any:
        _here.on = False  # it may call itself, or keep what it finds
        try:
            return real(*args)
        finally:
            _here.on = True

    def call(*args: Any) -> Any:
        return hook(in_numbers, *args) if _tracing() else real(*args)

    return call


def _training_speed(real: Callable[..., Any], run: Any, calibration: Any = None) -> Traced:
    name = f"{run.model}, {run.method}, on {run.gpus} x {run.gpu}"
    return frozen(real(run, calibration), f"training speed: tokens per second and GPU, {name}")


def _start_up_hours(real: Callable[..., Any], architecture: Any) -> Traced:
    return frozen(real(architecture), "start-up hours: from renting GPUs to the first step")


def _replica_speed(real: Callable[..., Any], scenario: Any, prompt: Any, output: Any) -> Any:
    speed, late = real(scenario, prompt.values, output.values)
    s = scenario.serving
    name = f"replica speed: requests per second of {s.gpus_per_replica} x {s.gpu}"
    given = f"{prompt.values.item():.0f} tokens in, {output.values.item():.0f} out"
    return frozen(speed.item(), f"{name}, {given}", prompt, output)[None], late


def _incident_count(real: Callable[..., Any], expected: Any, uniform: Any) -> Any:
    assert float(uniform) == 0.5  # the base case has chance at its middle
    return elementwise("median_count", expected)
