"""A number of equal GPUs and the wires between them."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import CatalogError, InputError
from pricing.gpus import GpuSpec

FABRIC_FILE = Path(__file__).parent / "data" / "fabrics.csv"
GB = 1e9
PCIE_3_GB_PER_SECOND = 15.75
C2C_GB_PER_SECOND = 450.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fabric:
    """How the GPUs of one kind are usually put into nodes, and the nodes into a network."""

    gpus_per_node: int
    """GPUs behind one fast fabric (of a rack system: the rack)."""
    network_gb_per_second_per_gpu: float
    """Network bandwidth of a node in one direction, per GPU in it."""
    source: str
    as_of: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """`gpus` equal GPUs in nodes of `gpus_per_node`; the network joins the nodes."""

    gpu: GpuSpec
    gpus: int
    gpus_per_node: int
    network_gb_per_second: float
    """Network bandwidth of a whole node in one direction (the sum of its adapters)."""

    def __post_init__(self) -> None:
        if self.gpus < 1:
            raise InputError(f"gpus = {self.gpus}: at least 1 GPU is needed")
        if self.gpus_per_node < 1:
            raise InputError(f"gpus_per_node = {self.gpus_per_node}: at least 1 is needed")
        if not self.network_gb_per_second > 0:
            raise InputError(
                f"network_gb_per_second = {self.network_gb_per_second:g}: must be above 0"
            )

    @classmethod
    def of(
        cls,
        gpu: GpuSpec,
        gpus: int = 1,
        *,
        gpus_per_node: int | None = None,
        network_gb_per_second: float | None = None,
    ) -> "Cluster":
        """A cluster with the usual node and network of this GPU where none is given."""
        fabric = usual_fabric(gpu)
        per_node = fabric.gpus_per_node if gpus_per_node is None else gpus_per_node
        usual_network = fabric.network_gb_per_second_per_gpu * per_node
        return cls(
            gpu=gpu,
            gpus=gpus,
            gpus_per_node=per_node,
            network_gb_per_second=(
                usual_network if network_gb_per_second is None else network_gb_per_second
            ),
        )

    @property
    def nodes(self) -> int:
        """Nodes in use, the last one perhaps in part."""
        return -(-self.gpus // self.gpus_per_node)

    @property
    def link_bytes_per_second(self) -> float:
        """Bandwidth of one GPU to the others of its node, one direction."""
        return self.gpu.interconnect_gb_per_second * GB

    @property
    def host_bytes_per_second(self) -> float:
        """Bandwidth of one GPU to its CPU's memory, one direction."""
        return host_link_gb_per_second(self.gpu) * GB

    @property
    def network_bytes_per_second(self) -> float:
        """Bandwidth of one node to the others, one direction."""
        return self.network_gb_per_second * GB


def host_link_gb_per_second(gpu: GpuSpec) -> float:
    """Bandwidth between a GPU and its CPU's memory, one direction, in GB/s.

    PCI Express x16 carries 15.75 GB/s in generation 3 and twice that in each generation after
    (PCI-SIG); superchips join both by NVLink-C2C at 450 GB/s (NVIDIA Grace Hopper white paper).
    """
    if gpu.pcie.startswith("NVLink-C2C"):
        return C2C_GB_PER_SECOND
    generation = int(gpu.pcie[0])
    return PCIE_3_GB_PER_SECOND * 2.0 ** (generation - 3)


def usual_fabric(gpu: GpuSpec) -> Fabric:
    """The usual node and network of a GPU: by its id, else its generation, else the default."""
    fabrics = _fabrics()
    for key in (gpu.id, gpu.generation.casefold()):
        if key in fabrics:
            return fabrics[key]
    return fabrics["other"]


@cache
def _fabrics() -> Mapping[str, Fabric]:
    with FABRIC_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return MappingProxyType({row["key"]: _fabric(row, i) for i, row in enumerate(rows, start=2)})


def _fabric(row: dict[str, str], line: int) -> Fabric:
    try:
        return Fabric(
            gpus_per_node=int(row["gpus_per_node"]),
            network_gb_per_second_per_gpu=float(row["network_gb_per_second_per_gpu"]),
            source=row["source"],
            as_of=row["as_of"],
            evidence=row["evidence"],
        )
    except ValueError as error:
        raise CatalogError(f"{FABRIC_FILE.name}:{line}: {row['key']}: {error}") from None
