"""What a refresh changes, by hand: rises, falls, and moves that no market makes."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pricing
from pricing.catalogue import read_catalogue
from pricing.changes import Key, absurd, compare

GROUPS = ((1, 2), (0,))


def prices(**by_gpu: float) -> dict[Key, float]:
    return {("AWS", gpu, "spot"): usd for gpu, usd in by_gpu.items()}


def test_changes_are_told_apart() -> None:
    found = compare(prices(a=1, b=2, c=3, d=4), prices(b=3, c=3, d=1, e=5))
    assert found.new == (("AWS", "e", "spot"),) and found.gone == (("AWS", "a", "spot"),)
    assert [(c.key[1], c.ratio) for c in found.up] == [("b", 1.5)]
    assert [(c.key[1], c.ratio) for c in found.down] == [("d", 0.25)]
    assert found.unchanged == 1


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 100)),
    st.dictionaries(st.sampled_from("abcdef"), st.floats(0.1, 100)),
)
def test_every_price_is_counted_once(before: dict[str, float], after: dict[str, float]) -> None:
    found = compare(prices(**before), prices(**after))
    both = len(found.up) + len(found.down) + found.unchanged
    assert both + len(found.gone) == len(before) and both + len(found.new) == len(after)
    assert not absurd(prices(**before), prices(**before), GROUPS)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (prices(a=1), prices(a=3), ()),
        (prices(a=1), prices(a=3.1), ("a spot 3.1 times as dear", "AWS 3.1 times as dear")),
        (prices(a=1), prices(a=0.2), ("a spot at 20.0% of its price", "AWS at 20.0% of its price")),
        (prices(a=1, b=1, c=1), prices(a=9, b=1, c=1), ("a spot 9.0 times as dear",)),
        (prices(**dict.fromkeys("abcdef", 1.0)), prices(a=1), ("AWS lost 5 of 6 prices",)),
        (prices(a=1, b=1), prices(a=1), ()),
    ],
)
def test_what_no_market_does(
    before: dict[Key, float], after: dict[Key, float], said: tuple[str, ...]
) -> None:
    assert absurd(before, after, GROUPS) == said


def catalogue(*items: list[Any], version: str = "20261101-7") -> dict[str, Any]:
    found = {"version": version, "malformed": 0, "items": list(items)}
    return {"version": "0.1.34", "failed": {}, "providers": {"runpod": found}}


TODAY = date(2026, 11, 23)


def test_counts_and_regions_at_one_price_are_one_offer() -> None:
    found = read_catalogue(
        catalogue(
            ["NVIDIA L4", "EU", 0.5, 1, "L4", 24.0, False],
            ["NVIDIA L4", "US", 1.0, 2, "L4", 24.0, False],
            ["NVIDIA L4", "US", 2.4, 4, "L4", 24.0, False],
        ),
        TODAY,
    )
    assert [(o.minimum_gpus, o.gpus_per_node, o.region) for o in found.offers] == [
        (1, 2, "EU; US"),
        (4, 4, "US"),
    ]
    assert [o.price_usd_per_gpu_hour for o in found.offers] == [0.5, 0.6]
    assert len({o.id for o in found.offers}) == 2
    assert {o.provider for o in found.offers} == {"RunPod"}


@pytest.mark.parametrize(
    ("instance", "name", "memory", "gpu"),
    [
        ("NVIDIA H100 PCIe", "H100", 80.0, "h100-pcie-80gb"),
        ("NVIDIA H100 80GB HBM3", "H100", 80.0, "h100-sxm5-80gb"),
        ("NVIDIA A100 80GB PCIe", "A100", 80.0, "a100-pcie-80gb"),
        ("NVIDIA A100-SXM4-80GB", "A100", 80.0, "a100-sxm4-80gb"),
        ("NVIDIA B200", "B200", 192.0, "b200-sxm-180gb"),
        ("NVIDIA H100 NVL", "H100NVL", 94.0, "h100-nvl-94gb"),
    ],
)
def test_the_form_of_a_card_is_read_from_its_instance(
    instance: str, name: str, memory: float, gpu: str
) -> None:
    (offer,) = read_catalogue(
        catalogue([instance, "US", 2.0, 1, name, memory, False]), TODAY
    ).offers
    assert offer.gpu == gpu


def test_a_price_far_off_its_kind_is_left_out() -> None:
    rows = [[f"pod {i}", "US", 2.0, 1, "H100", 80.0, False] for i in range(5)]
    found = read_catalogue(catalogue(*rows, ["pod 5", "US", 0.1, 1, "H100", 80.0, False]), TODAY)
    assert len(found.offers) == 5 and found.outliers == 1


@pytest.mark.parametrize(
    ("version", "as_of"),
    [("20261101-7", "2026-11-01"), ("20270101", "2026-11-23"), ("v12", "2026-11-23")],
)
def test_a_catalogue_is_as_old_as_its_version_says(version: str, as_of: str) -> None:
    row = ["pod", "US", 2.0, 1, "H100", 80.0, False]
    assert read_catalogue(catalogue(row, version=version), TODAY).offers[0].as_of == as_of


def test_age_is_told_after_ninety_days_only() -> None:
    assert pricing.staleness("2026-09-01", date(2026, 11, 30)) is None
    assert pricing.staleness(None, date(2030, 1, 1)) is None
    said = pricing.staleness("2026-09-01", date(2026, 12, 1))
    assert said is not None and "91 days old (2026-09-01)" in said
