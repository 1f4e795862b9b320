"""Electricity and carbon: against a measured node, by hand, by their properties, their tables."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import CatalogError, InputError
from estimator.hardware import energy
from estimator.hardware.energy import energy_figures, energy_use, grid_of, pue_of
from pricing import gpu_offers, gpu_spec

H100 = gpu_spec("h100-sxm5-80gb")


def test_a_busy_node_draws_what_was_measured() -> None:
    """8.4 kW at most for eight H100 (arXiv 2412.08602), before cooling."""
    found = energy_use(H100, 1.0, provider="GCP")
    node_kilowatts = 8 * found.watts_per_gpu.p50 / 1000 / pue_of("GCP").median()
    assert 6.5 < node_kilowatts < 8.4
    assert 8 * found.watts_per_gpu.p90 / 1000 / pue_of("GCP").median() > 8.0


def test_by_hand() -> None:
    """700 W x (0.85 + 0.5) x PUE 1.15 for 1000 GPU hours in Virginia, at central figures."""
    found = energy_use(H100, 1000.0, provider="AWS", region="us-east-1")
    by_hand = 700 * (0.85 + 0.5) * 1.15
    assert found.kwh.p50 == pytest.approx(by_hand, rel=0.05)
    assert found.kg_co2e.p50 == pytest.approx(by_hand * 0.32305, rel=0.05)
    assert found.kwh.p10 < found.kwh.p50 < found.kwh.p90


@given(hours=st.floats(0.1, 1e6), factor=st.floats(1.1, 10.0), busy=st.floats(0.0, 1.0))
def test_proportional_to_hours_and_more_when_busy(hours, factor, busy) -> None:
    once, more = (
        energy_use(H100, x, utilisation=busy, provider="AWS", region="us-east-1")
        for x in (hours, factor * hours)
    )
    assert more.kwh.p50 == pytest.approx(factor * once.kwh.p50)
    assert more.kg_co2e.p90 == pytest.approx(factor * once.kg_co2e.p90)
    assert once.kwh.p50 <= energy_use(H100, hours, provider="AWS", region="us-east-1").kwh.p50


def test_regions_are_found_as_offers_write_them() -> None:
    assert grid_of("AWS", "us-east-1").place == "Northern Virginia"
    assert grid_of("azure", "East US").place == "Northern Virginia"
    assert grid_of("Azure", "eastus").place == "Northern Virginia"
    assert grid_of("GCP", "europe-west9").grams_co2e_per_kwh == 16.3
    assert grid_of("GCP", "nowhere; us-central1").place == "Iowa"
    assert grid_of("Nebius", "Austria").grams_co2e_per_kwh == 147.573
    unknown = grid_of("RunPod", None)
    assert unknown.place == "not known" and unknown.evidence == "guess"
    named = {(o.provider, o.region) for o in gpu_offers() if o.provider in ("AWS", "GCP")}
    assert all(grid_of(*place).place != "not known" for place in named)


def test_other_providers_take_the_usual_pue() -> None:
    assert pue_of("AWS").numbers == (1.04, 1.15, 1.35)
    assert pue_of("RunPod") == pue_of(None) == pue_of("other")
    assert pue_of("GCP").mean() < pue_of("RunPod").mean()


def test_every_figure_has_a_source() -> None:
    for quantity in vars(energy_figures()).values():
        assert quantity.source and quantity.as_of and quantity.evidence
    for grid in energy._grids().values():
        assert grid.source and grid.as_of and 0 < grid.grams_co2e_per_kwh < 1100


def test_what_cannot_be_said_is_refused() -> None:
    with pytest.raises(InputError, match="the power of h100-sxm5-80gb is unknown"):
        energy_use(replace(H100, tdp_watts=None), 1.0)
    with pytest.raises(InputError, match=r"utilisation = 1.5"):
        energy_use(H100, 1.0, utilisation=1.5)


def test_a_broken_table_names_line_and_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "pue.csv"
    broken.write_text(energy.PUE_FILE.read_text("utf-8").replace("1.15,", "good,", 1), "utf-8")
    monkeypatch.setattr(energy, "PUE_FILE", broken)
    with pytest.raises(CatalogError, match=r"pue.csv, line 2, mode: 'good' is not a number"):
        energy._pue.__wrapped__()
