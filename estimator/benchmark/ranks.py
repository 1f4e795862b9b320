"""What each of several processes does: collectives alone, steps alone, and steps together.

    python -m torch.distributed.run ... -m estimator.benchmark.ranks REQUEST

Every time is the largest over the ranks, found by a collective itself, so all ranks know the same
result and the first one writes it down. A rank ends when the process that asked is gone.
"""

import inspect
import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from estimator.files import write_atomically

OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter")
WATCH_SECONDS = 1.0
GIVE_UP = timedelta(seconds=120)
MIB = 2**20
FIRST_BUCKET_BYTES, BUCKET_BYTES = MIB, 25 * MIB  # defaults of DistributedDataParallel
Request = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """The ranks, and the device of this one."""

    torch: Any
    dist: Any
    device: str
    backend: str

    @property
    def size(self) -> int:
        """Processes."""
        return int(self.dist.get_world_size())

    def synchronise(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device != "cpu":
            getattr(self.torch, self.torch.device(self.device).type).synchronize()

    def timed(self, work: Callable[[], object]) -> tuple[float, float]:
        """Wall and process seconds of `work`, begun by all ranks together."""
        self.dist.barrier()
        self.synchronise()
        wall, process = time.perf_counter(), time.process_time()
        work()
        self.synchronise()
        return time.perf_counter() - wall, time.process_time() - process

    def slowest(self, seconds: Sequence[float]) -> list[float]:
        """Each of the times on the rank that took longest."""
        found = self.torch.tensor(seconds, dtype=self.torch.float64)
        if self.backend != "gloo":
            found = found.to(self.torch.float32).to(self.device)
        self.dist.all_reduce(found, op=self.dist.ReduceOp.MAX)
        return [float(x) for x in found.tolist()]


def open_group(backend: str | None) -> Group:
    """Joins the ranks: NCCL on CUDA and ROCm, XCCL on Intel, else gloo on the CPU."""
    import torch
    import torch.distributed as dist

    local = int(os.environ.get("LOCAL_RANK", "0"))
    kind = "cpu"
    if backend in (None, "nccl") and torch.cuda.is_available():
        kind, backend = "cuda", "nccl"
    elif backend in (None, "xccl") and hasattr(torch, "xpu") and torch.xpu.is_available():
        kind, backend = "xpu", "xccl"
    if kind != "cpu" and local >= getattr(torch, kind).device_count():
        count = getattr(torch, kind).device_count()
        raise ValueError(f"{local + 1} processes on this node need as many devices; it has {count}")
    device = "cpu" if kind == "cpu" else f"{kind}:{local}"
    if kind == "cpu":
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    else:
        getattr(torch, kind).set_device(local)
    if not dist.is_initialized():
        dist.init_process_group(backend or "gloo", timeout=GIVE_UP)
    return Group(torch, dist, device, backend or "gloo")


def perform(request: Request) -> dict[str, Any]:
    """The reply to a request: `{"ok": result}`, or `{"error": why}`."""
    try:
        group = open_group(request.get("backend"))
        made = {"collectives": collectives, "scaling": scaling}[request["do"]](group, request)
    except Exception as error:  # a model class or a backend may raise anything
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}
    nodes = group.size // int(os.environ.get("LOCAL_WORLD_SIZE", group.size))
    about = {"nproc": group.size, "nodes": nodes, "backend": group.backend}
    return {"ok": made | about | {"device": group.device.partition(":")[0]}}


def collectives(group: Group, request: Request) -> dict[str, Any]:
    """Seconds of each collective by size, in rounds over all of them, and of plain copies.

    Sizes are those of the whole tensor: reduced, gathered, or before it is scattered.
    """
    sizes: list[int] = request["sizes"]
    work = {(o, size): _collective(group, o, size) for o in OPERATIONS for size in sizes}
    copies = _copy(group, max(sizes))
    found: dict[tuple[str, int], list[float]] = {key: [] for key in work}
    busy, copied = [], []
    for round_ in range(request["warm_up"] + request["rounds"]):
        for key, run in work.items():
            wall, process = group.timed(run)
            if round_ >= request["warm_up"]:
                found[key].append(wall)
                if key == ("all_reduce", max(sizes)):
                    busy.append(process / wall)
        copied.append(group.timed(copies)[0])
    return {
        "operations": {
            o: {str(size): group.slowest(found[o, size]) for size in sizes} for o in OPERATIONS
        },
        "busy_shares": group.slowest(busy),
        "copy_bytes": max(sizes),
        "copy_seconds": group.slowest(copied[request["warm_up"] :]),
    }


def _collective(group: Group, operation: str, size: int) -> Callable[[], object]:
    """One collective over `size` bytes of fp32 in all, its buffers made beforehand."""
    torch, dist = group.torch, group.dist
    share = max(size // 4 // group.size, 1)
    whole = torch.ones(share * group.size, device=group.device)
    part = torch.ones(share, device=group.device)
    # Newer releases of PyTorch have new names for two of them.
    gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
    scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
    return {
        "all_reduce": lambda: dist.all_reduce(whole),
        "all_gather": lambda: gather(whole, part),
        "reduce_scatter": lambda: scatter(part, whole),
    }[operation]


def _copy(group: Group, size: int) -> Callable[[], object]:
    """A copy into memory not used before: what packing gradients into a new bucket costs."""
    held = group.torch.ones(size // 4, device=group.device)

    def copy() -> object:
        return held.clone()

    return copy


def scaling(group: Group, request: Request) -> dict[str, Any]:
    """Seconds of a step alone on one rank, on all ranks apart, together, and of messages alone.

    One of each in every round, so that a busy neighbour hits all alike.
    """
    steps = _steps(group, request)
    apart, first = steps.apart, group.dist.get_rank() == 0
    kinds: dict[str, Callable[[], object]] = {
        "alone": lambda: steps.alone() if first else None,
        "apart": apart,
        "together": steps.together,
        "messages": _all_messages(group, steps.messages),
    }
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    parts: list[list[float]] = []
    for round_ in range(request["warm_up"] + request["rounds"]):
        for kind, run in kinds.items():
            wall, _ = group.timed(run)
            if round_ >= request["warm_up"]:
                found[kind].append(wall)
                if kind == "apart":
                    parts.append(list(apart.parts))
    return {
        "seconds": {kind: group.slowest(times) for kind, times in found.items()},
        "parts": [group.slowest(part) for part in parts],
        "messages": [[operation, size] for operation, size in steps.messages],
    }


Message = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Steps:
    """The kinds of step that are compared, and what the last one sends."""

    alone: "Step"
    apart: "Step"
    together: "Step"
    messages: list[Message]


def _steps(group: Group, request: Request) -> Steps:
    """Steps of the same model without and with communication.

    FSDP2 is work also for one process: it copies parameters and gradients into buffers and back.
    Apart, each process therefore shards over itself alone.
    """
    from estimator.benchmark.building import build

    def made() -> Any:
        group.torch.manual_seed(0)
        return build(request["case"], group.device)

    built = made()
    alone = Step(group, built.model, built.optimizer, built)
    if request["mode"] == "ddp":
        from torch.nn.parallel import DistributedDataParallel

        trained = [p for p in built.model.parameters() if p.requires_grad]
        devices = None if group.device == "cpu" else [group.torch.device(group.device).index]
        wrapped = DistributedDataParallel(built.model, device_ids=devices)
        messages = [("all_reduce", size) for size in bucket_bytes(_sizes(trained))]
        # The wrapped module itself exchanges nothing, not even its buffers.
        return Steps(alone, alone, Step(group, wrapped, built.optimizer, built), messages)
    from torch.distributed.device_mesh import init_device_mesh

    mesh = init_device_mesh(
        group.device.partition(":")[0], (group.size, 1), mesh_dim_names=("all", "own")
    )
    own, shared = made(), made()
    messages = _messages(shared)
    apart, together = (
        _sharded(group, one, mesh[name]) for one, name in ((own, "own"), (shared, "all"))
    )
    return Steps(alone, apart, together, messages)


def _sharded(group: Group, built: Any, mesh: Any) -> "Step":
    """FSDP2 by layer and once around the rest, its optimizer over the shards."""
    from torch.distributed.fsdp import fully_shard

    for layer in built.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(built.model, mesh=mesh)
    trained = [p for p in built.model.parameters() if p.requires_grad]
    return Step(group, built.model, _like(built.optimizer, trained), built)


def _like(optimizer: Any, parameters: list[Any]) -> Any:
    """The same optimizer over other parameters: sharding has put new ones in place of the old."""
    kind = type(optimizer)
    known = inspect.signature(kind.__init__).parameters
    return kind(parameters, **{k: v for k, v in optimizer.defaults.items() if k in known})


def _messages(built: Any) -> list[Message]:
    """What one step under FSDP2 sends, in its order.

    The outermost unit stays whole between forward and backward.
    """
    inside = {id(p) for layer in built.layers for p in layer.parameters()}
    rest = [p for p in built.model.parameters() if id(p) not in inside]
    units = [rest, *(list(layer.parameters()) for layer in built.layers)]
    gathered = [sum(_sizes(unit)) for unit in units]
    scattered = [sum(_sizes([p for p in unit if p.requires_grad])) for unit in units]
    return [
        *(("all_gather", size) for size in gathered),
        *(("all_gather", size) for size in gathered[1:]),
        *(("reduce_scatter", size) for size in scattered if size),
    ]


def _sizes(parameters: Sequence[Any]) -> list[int]:
    return [p.numel() * p.element_size() for p in parameters]


def bucket_bytes(parameter_bytes: Sequence[int]) -> list[int]:
    """Bytes of the buckets of DistributedDataParallel, in the order in which they are sent.

    Parameters fill buckets from the last to the first; a small first bucket starts the sending
    early (Li et al. 2020, "PyTorch Distributed", section 3.2.3).
    """
    buckets, held, cap = [], 0, FIRST_BUCKET_BYTES
    for size in reversed(parameter_bytes):
        held += size
        if held >= cap:
            buckets.append(held)
            held, cap = 0, BUCKET_BYTES
    return [*buckets, held] if held else buckets


class Step:
    """One training step, its three parts timed; `parts` holds the seconds of the last one."""

    def __init__(self, group: Group, model: Any, optimizer: Any, built: Any) -> None:
        self.group, self.model, self.optimizer, self.built = group, model, optimizer, built
        self.parts: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __call__(self) -> None:
        """Forward, backward, optimizer."""
        ids = self.built.ids
        marks = [self._mark()]
        with self.built.autocast():
            loss = self.model(input_ids=ids, labels=ids, use_cache=False).loss
        marks.append(self._mark())
        loss.backward()
        marks.append(self._mark())
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        marks.append(self._mark())
        forward, backward, optimizer = (b - a for a, b in pairwise(marks))
        self.parts = (forward, backward, optimizer)

    def _mark(self) -> float:
        self.group.synchronise()
        return time.perf_counter()


def _all_messages(group: Group, messages: Sequence[Message]) -> Callable[[], None]:
    runs = [_collective(group, operation, size) for operation, size in messages]

    def send() -> None:
        for run in runs:
            run()

    return send


def _watch(parent: int) -> None:
    """End this rank when the process that asked, or the launcher, is gone."""
    launcher = os.getppid()

    def look() -> None:
        while os.getppid() == launcher and _alive(parent):
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=look, daemon=True).start()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main() -> None:
    """Do what the request file says; the first rank, or one that failed, writes the reply."""
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    request = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    _watch(request["parent"])
    reply = perform(request)
    written = Path(request["reply"])
    if os.environ["RANK"] == "0" or ("error" in reply and not written.exists()):
        write_atomically(written, json.dumps(reply))
    if "error" in reply:
        sys.exit(1)
    import torch.distributed as dist

    dist.destroy_process_group()


if __name__ == "__main__":
    main()
