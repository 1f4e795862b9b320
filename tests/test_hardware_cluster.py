import csv

import pytest

from estimator.errors import InputError
from estimator.hardware.cluster import FABRIC_FILE, Cluster, host_link_gb_per_second, usual_fabric
from pricing import gpu_spec, gpu_specs


def test_usual_node_and_network_of_a_dgx_h100():
    cluster = Cluster.of(gpu_spec("h100-sxm5-80gb"), 16)
    assert cluster.gpus_per_node == 8
    assert cluster.nodes == 2
    assert cluster.link_bytes_per_second == 450e9
    assert cluster.network_bytes_per_second == 8 * 400e9 / 8  # eight adapters of 400 Gbit/s


def test_a_rack_system_is_one_node_of_72():
    cluster = Cluster.of(gpu_spec("gb200-nvl72-186gb"), 64)
    assert (cluster.gpus_per_node, cluster.nodes) == (72, 1)


def test_given_numbers_replace_the_usual_ones():
    cluster = Cluster.of(gpu_spec("a100-sxm4-80gb"), 6, gpus_per_node=4, network_gb_per_second=12.5)
    assert (cluster.nodes, cluster.network_bytes_per_second) == (2, 12.5e9)


def test_a_smaller_node_has_its_share_of_the_network():
    assert (
        Cluster.of(gpu_spec("a100-sxm4-80gb"), 4, gpus_per_node=4).network_gb_per_second == 4 * 25
    )


@pytest.mark.parametrize(
    "given", [{"gpus": 0}, {"gpus_per_node": 0}, {"network_gb_per_second": 0.0}]
)
def test_impossible_clusters_are_refused_by_name(given):
    with pytest.raises(InputError, match=next(iter(given))):
        Cluster.of(gpu_spec("a100-sxm4-80gb"), **{"gpus": 1, **given})


@pytest.mark.parametrize(
    ("gpu", "gb_per_second"),
    [("a100-sxm4-80gb", 31.5), ("h100-sxm5-80gb", 63.0), ("gh200-sxm-96gb", 450.0)],
)
def test_host_links_by_generation(gpu, gb_per_second):
    """PCI-SIG: 16 lanes of 16 and 32 GT/s carry 31.5 and 63 GB/s; NVLink-C2C 450 each way."""
    assert host_link_gb_per_second(gpu_spec(gpu)) == gb_per_second


def test_every_gpu_has_a_host_link():
    assert all(10 < host_link_gb_per_second(gpu) < 1000 for gpu in gpu_specs().values())


def test_every_gpu_has_a_fabric_that_names_its_source():
    for gpu in gpu_specs().values():
        fabric = usual_fabric(gpu)
        assert fabric.gpus_per_node >= 1
        assert fabric.network_gb_per_second_per_gpu > 0
        assert fabric.source
        assert fabric.evidence in {"measured", "seen", "seen-secondary", "recalled", "guess"}


def test_fabric_keys_are_known_gpus_or_generations():
    known = set(gpu_specs()) | {x.generation.casefold() for x in gpu_specs().values()} | {"other"}
    with FABRIC_FILE.open(encoding="utf-8", newline="") as file:
        keys = [row["key"] for row in csv.DictReader(file)]
    assert set(keys) <= known
    assert len(keys) == len(set(keys))


def test_the_network_is_never_faster_than_the_links():
    for gpu in gpu_specs().values():
        assert usual_fabric(gpu).network_gb_per_second_per_gpu <= gpu.interconnect_gb_per_second
