"""GPU specifications: memory, bandwidth, dense peaks, interconnect, power and purchase price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import CatalogError, unknown
from estimator.quantity import Evidence, Quantity
from pricing.table import DATA, Row, read_rows

DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8", "fp4")
COLUMNS = (
    "id",
    "aliases",
    "vendor",
    "generation",
    "memory_gb",
    "memory_gib",
    "memory_source",
    "memory_bandwidth_gb_per_second",
    *(f"dense_{dtype}_tflops" for dtype in DTYPES),
    "mamf_bf16_tflops",
    "mamf_fp8_tflops",
    "interconnect",
    "interconnect_gb_per_second",
    "pcie",
    "tdp_watts",
)
PURCHASE_COLUMNS = ("gpu", "min_usd", "mode_usd", "max_usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One GPU as its maker sells it, and what programs have measured on it.

    Peaks are dense (no structured sparsity) with fp32 accumulation, in TFLOPS (int8: TOPS); None
    where the chip lacks the type or no figure is known. MAMF is the highest matrix-multiply rate
    that a search over shapes has measured (ml-engineering, compute/accelerator).
    """

    id: str
    aliases: tuple[str, ...]
    """Short names and the names that drivers report; compared without case, space or vendor."""
    vendor: str
    generation: str
    memory_gb: float
    """Memory as sold. The label is nearer GiB than GB at most makers: do not compute with it."""
    memory_gib: float
    """Memory in GiB that the CUDA, HIP or Gaudi runtime reports as the device's total."""
    memory_source: str
    memory_bandwidth_gb_per_second: float
    dense_tflops: Mapping[str, float] = field(hash=False)
    """Dense peak by type; types that the chip lacks are left out."""
    mamf_bf16_tflops: float | None
    mamf_fp8_tflops: float | None
    interconnect: str
    """Fastest link between the GPUs of one node."""
    interconnect_gb_per_second: float
    """Unidirectional bandwidth per GPU over that link; datasheets often print twice this."""
    pcie: str
    tdp_watts: float | None
    purchase_price_usd: Quantity | None
    """Street price of one card or module, without its server."""
    source: str
    as_of: str
    evidence: Evidence
    note: str | None

    @property
    def interconnect_bidirectional_gb_per_second(self) -> float:
        """Both directions of the link together, as NVIDIA's datasheets print it."""
        return 2 * self.interconnect_gb_per_second

    def peak_tflops(self, dtype: str) -> float:
        """Dense peak in TFLOPS for `dtype`."""
        if dtype not in self.dense_tflops:
            raise unknown(f"matrix type for {self.id}", dtype, self.dense_tflops)
        return self.dense_tflops[dtype]


@cache
def gpu_specs() -> Mapping[str, GpuSpec]:
    """Every known GPU by id."""
    return read_gpu_specs(DATA / "gpus.csv", DATA / "gpu_purchase.csv")


def gpu_spec(name: str) -> GpuSpec:
    """The GPU with this id or alias; names compare without case, spaces or vendor prefix."""
    specs, folded = gpu_specs(), _folded(name)
    if found := _ids_by_name().get(folded):
        return specs[found]
    if variants := [gpu for gpu in specs if gpu.startswith(f"{folded}-")]:
        raise CatalogError(f"GPU {name!r} comes in several kinds; name one: {', '.join(variants)}")
    raise unknown("GPU", name, {*specs, *_short_names()})


def gpu_family(name: str) -> tuple[str, ...]:
    """Ids of every GPU that a short name may mean: h100 is the SXM, the PCIe and the NVL card.

    A name that says more, such as h100-pcie or a driver's own, means that one GPU.
    """
    specs, folded = gpu_specs(), _folded(name)
    if variants := tuple(gpu for gpu in specs if folded and f"{gpu}-".startswith(f"{folded}-")):
        return variants
    return (gpu_spec(name).id,)


def read_gpu_specs(path: Path, purchase_path: Path) -> Mapping[str, GpuSpec]:
    """The GPUs of one table, with the purchase prices of another."""
    rows = read_rows(path, COLUMNS)
    _check_aliases(rows)
    known = {row.text("id") for row in rows}
    purchases = {r.text("gpu"): r for r in read_rows(purchase_path, PURCHASE_COLUMNS, key="gpu")}
    for gpu, row in purchases.items():
        if gpu not in known:
            raise row.error("gpu", f"is not in {path.name}")
    specs = (_spec(row, purchases.get(row.text("id"))) for row in rows)
    return MappingProxyType({spec.id: spec for spec in specs})


def _spec(row: Row, purchase: Row | None) -> GpuSpec:
    peaks = {dtype: row.optional_number(f"dense_{dtype}_tflops") for dtype in DTYPES}
    return GpuSpec(
        id=row.text("id"),
        aliases=_aliases(row),
        vendor=row.text("vendor"),
        generation=row.text("generation"),
        memory_gb=row.number("memory_gb"),
        memory_gib=row.number("memory_gib"),
        memory_source=row.text("memory_source"),
        memory_bandwidth_gb_per_second=row.number("memory_bandwidth_gb_per_second"),
        dense_tflops={dtype: peak for dtype, peak in peaks.items() if peak is not None},
        mamf_bf16_tflops=row.optional_number("mamf_bf16_tflops"),
        mamf_fp8_tflops=row.optional_number("mamf_fp8_tflops"),
        interconnect=row.text("interconnect"),
        interconnect_gb_per_second=row.number("interconnect_gb_per_second"),
        pcie=row.text("pcie"),
        tdp_watts=row.optional_number("tdp_watts"),
        purchase_price_usd=_purchase_price(purchase) if purchase else None,
        **row.provenance(),
    )


def _purchase_price(row: Row) -> Quantity:
    return row.quantity({"min": "min_usd", "mode": "mode_usd", "max": "max_usd"}, "USD/GPU")


def _aliases(row: Row) -> tuple[str, ...]:
    return tuple(a.strip() for a in (row.optional_text("aliases") or "").split(";") if a.strip())


def _check_aliases(rows: tuple[Row, ...]) -> None:
    owners: dict[str, str] = {}
    for row in rows:
        for name in map(_folded, (row.text("id"), *_aliases(row))):
            if owners.setdefault(name, row.text("id")) != row.text("id"):
                raise row.error("aliases", f"holds {name!r}, which {owners[name]} has already")


@cache
def _ids_by_name() -> Mapping[str, str]:
    return {_folded(n): spec.id for spec in gpu_specs().values() for n in (spec.id, *spec.aliases)}


def _short_names() -> set[str]:
    return {a for spec in gpu_specs().values() for a in spec.aliases if a == a.lower()}


def _folded(name: str) -> str:
    words = name.casefold().replace("_", " ").replace("-", " ").split()
    return "-".join(w for w in words if w not in {"nvidia", "geforce", "amd", "instinct", "tesla"})
