from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.hardware.rates import (
    Rates,
    achievable_matmul_flops,
    all_gather_seconds,
    all_reduce_seconds,
    all_to_all_seconds,
    cluster_rates,
    peak_flops,
    place,
)
from pricing import gpu_spec, gpu_specs

VALUES = shipped_calibration().values


def rates(link=100.0, network=80.0, per_node=8):
    return Rates(
        matmul_flops_per_second=1.0,
        wide_matmul_flops_per_second=1.0,
        attention_flops_per_second=1.0,
        memory_bytes_per_second=1.0,
        link_bytes_per_second=link,
        network_bytes_per_second=network,
        host_bytes_per_second=1.0,
        gpus_per_node=per_node,
    )


def group(ranks, inner=1, latency=0.0, **kwargs):
    return place(
        rates(**kwargs),
        ranks,
        inner,
        link_efficiency=1.0,
        network_efficiency=1.0,
        link_latency_seconds=latency,
        network_latency_seconds=latency,
    )


def test_all_reduce_agrees_with_the_bus_bandwidth_of_nccl_tests():
    """nccl-tests: busbw = bytes / time x 2 (n-1) / n, and busbw is the link's bandwidth."""
    seconds = all_reduce_seconds(group(8), 1000.0)
    assert 1000.0 / seconds * 2 * 7 / 8 == pytest.approx(100.0)


def test_across_nodes_the_slower_of_link_and_network_decides():
    assert all_gather_seconds(group(16), 160.0) == pytest.approx(15 / 16 * 160 / 80)
    assert all_gather_seconds(group(16, network=1000.0), 160.0) == pytest.approx(1.5)


def test_groups_that_share_a_node_share_its_network():
    """Every eighth GPU: one rank per node and group, an eighth of the adapters each."""
    assert all_gather_seconds(group(2, inner=8), 100.0) == pytest.approx(0.5 * 100 / 10)


def test_all_to_all_sends_most_bytes_over_the_network():
    """16 ranks in 2 nodes: 7/16 of 160 bytes stay inside, 8/16 leave over an eighth of 80."""
    assert all_to_all_seconds(group(16), 160.0) == pytest.approx(max(70 / 100, 80 / 10))
    assert all_to_all_seconds(group(8), 160.0) == pytest.approx(140 / 100)


def test_one_rank_needs_no_collective():
    for collective in (all_gather_seconds, all_reduce_seconds, all_to_all_seconds):
        assert collective(group(1, latency=1.0), 1e9) == 0.0


def test_small_messages_cost_the_latency_of_the_shipped_calibration():
    """32 KiB over 32 GPUs in 4 nodes: 0.48 GB/s (ml-engineering, all_reduce_bench.py)."""
    latency = VALUES["network_latency_seconds"]["all"]
    assert latency == pytest.approx(32768 / 0.48e9, rel=0.05)


@given(st.integers(1, 64), st.floats(1.0, 1e9))
def test_more_bytes_and_more_ranks_never_take_less(ranks, size):
    assert all_gather_seconds(group(ranks), 2 * size) >= all_gather_seconds(group(ranks), size)
    bigger = all_gather_seconds(group(2 * ranks), size)
    assert bigger >= all_gather_seconds(group(ranks), size) * (1 - 1e-12)


def test_groups_may_be_arrays():
    many = all_gather_seconds(group(np.array([1, 8, 16])), 160.0)
    assert many == pytest.approx([0.0, 7 / 8 * 160 / 100, 15 / 16 * 160 / 80])


def test_a_measured_maximum_is_used_as_it_is():
    gpu = gpu_spec("h100-sxm5-80gb")
    assert achievable_matmul_flops(gpu, "bf16", VALUES) == gpu.mamf_bf16_tflops * 1e12
    assert achievable_matmul_flops(gpu, "fp8", VALUES) == gpu.mamf_fp8_tflops * 1e12


def test_an_unmeasured_card_takes_a_share_of_its_peak():
    gpu = replace(gpu_spec("h100-sxm5-80gb"), mamf_bf16_tflops=None, mamf_fp8_tflops=None)
    share = VALUES["achievable_share_of_peak"]["large"]
    assert achievable_matmul_flops(gpu, "bf16", VALUES) == pytest.approx(989e12 * share)
    assert achievable_matmul_flops(gpu, "fp8", VALUES) < 1979e12 * share


def test_fp8_of_a_card_measured_in_bf16_only_follows_its_bf16_share():
    gpu = gpu_spec("mi300x-192gb")
    share = gpu.mamf_bf16_tflops / gpu.dense_tflops["bf16"]
    expected = gpu.dense_tflops["fp8"] * 1e12 * share * VALUES["fp8_share_ratio"]["all"]
    assert achievable_matmul_flops(gpu, "fp8", VALUES) == pytest.approx(expected)


def test_no_card_reaches_more_than_its_peak():
    for gpu in gpu_specs().values():
        for number_format in ("bf16", "fp16", "fp8", "fp32"):
            if number_format in gpu.dense_tflops:
                reached = achievable_matmul_flops(gpu, number_format, VALUES)
                assert 0 < reached <= peak_flops(gpu, number_format)


def test_a_missing_format_is_named_with_what_there_is():
    with pytest.raises(InputError, match=r"t4-16gb has no bf16 matrix units; it has: fp32, fp16"):
        peak_flops(gpu_spec("t4-16gb"), "bf16")


def test_narrow_formats_keep_head_and_attention_in_16_bits():
    cluster = Cluster.of(gpu_spec("h100-sxm5-80gb"), 1)
    wide, narrow = (cluster_rates(cluster, f, VALUES) for f in ("bf16", "fp8"))
    assert narrow.matmul_flops_per_second > wide.matmul_flops_per_second
    assert narrow.wide_matmul_flops_per_second == wide.matmul_flops_per_second
    assert narrow.attention_flops_per_second == wide.attention_flops_per_second
