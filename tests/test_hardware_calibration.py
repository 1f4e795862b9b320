import json
import math
from typing import get_args

import numpy as np
import pytest

from estimator.errors import CatalogError, InputError
from estimator.hardware.calibration import (
    CALIBRATION_FILE,
    generation_key,
    load_calibration,
    lookup,
    shipped_calibration,
)
from estimator.hardware.efficiency import Efficiency, efficiency
from estimator.hardware.rates import NumberFormat
from estimator.training.recipe import AttentionKernel, Loss, Optimizer, Stack
from pricing import gpu_specs

CALIBRATION = shipped_calibration()
CHOICES = {
    "loss": Loss,
    "stack": Stack,
    "kernel": AttentionKernel,
    "optimizer": Optimizer,
    "format": NumberFormat,
}


@pytest.mark.parametrize("name", CALIBRATION.parameters)
def test_every_choice_a_recipe_offers_has_an_entry(name):
    parameter = CALIBRATION.parameters[name]
    if parameter.by in CHOICES:
        assert set(get_args(CHOICES[parameter.by])) <= set(parameter.entries)


@pytest.mark.parametrize("name", CALIBRATION.parameters)
def test_every_parameter_says_unit_meaning_and_source(name):
    parameter = CALIBRATION.parameters[name]
    assert parameter.unit
    assert parameter.meaning
    assert parameter.source


def test_fitted_entries_stay_near_their_priors_and_the_others_at_them():
    for name, parameter in CALIBRATION.parameters.items():
        for key, entry in parameter.entries.items():
            moved = abs(math.log(entry.value / entry.prior))
            if entry.prior_log_sd:
                assert moved <= 3 * entry.prior_log_sd, (name, key)
                assert entry.log_sd <= entry.prior_log_sd * 1.001, (name, key)
            else:
                assert moved == 0, (name, key)


def test_shares_of_a_rate_are_plausible():
    for name in ("exposed_tensor", "exposed_expert", "exposed_context", "exposed_data"):
        assert 0 < CALIBRATION.values[name]["all"] <= 1
    for name in ("link_efficiency", "network_efficiency"):
        assert 0.3 < CALIBRATION.values[name]["all"] <= 1
    assert all(0.5 < x < 1.1 for x in CALIBRATION.values["matmul_efficiency"].values())


def test_the_shipped_fit_says_what_it_rests_on():
    assert CALIBRATION.rows > 500
    assert {"ampere", "hopper"} <= set(CALIBRATION.generations_seen)
    assert {"huggingface", "megatron"} <= set(CALIBRATION.stacks_seen)
    assert set(CALIBRATION.stacks_seen) <= set(get_args(Stack))


def test_every_gpu_generation_finds_its_efficiency():
    generations = {generation_key(gpu.generation) for gpu in gpu_specs().values()}
    assert "blackwell" in generations
    found = lookup(CALIBRATION.values, "matmul_efficiency", np.array(sorted(generations)))
    assert found.shape == (len(generations),)


def test_lookup_keeps_the_order_of_its_keys():
    stacks = np.array(["megatron", "huggingface", "megatron"])
    entries = CALIBRATION.values["stack_factor"]
    expected = [entries[stack] for stack in stacks]
    assert lookup(CALIBRATION.values, "stack_factor", stacks).tolist() == expected


def test_an_unknown_stack_is_an_error_not_a_guess():
    with pytest.raises(CatalogError, match="stack_factor has no entry for 'abacus'"):
        lookup(CALIBRATION.values, "stack_factor", "abacus")


def test_less_known_means_wider_intervals():
    factors = [CALIBRATION.spread[x].factor for x in ("seen", "one_unseen", "both_unseen")]
    assert factors == sorted(factors)
    assert factors[0] > 1.1


def test_knowledge_counts_what_the_fit_has_not_seen():
    assert CALIBRATION.knowledge("Blackwell Ultra", "megatron") == "seen"
    assert CALIBRATION.knowledge("Turing", "megatron") == "one_unseen"
    assert CALIBRATION.knowledge("Turing", "abacus") == "both_unseen"


def test_the_efficiency_factor_covers_80_percent_between_its_ends():
    factor = CALIBRATION.efficiency_factor("Hopper", "huggingface")
    p10, p50, p90 = factor.p10_p50_p90()
    width = CALIBRATION.spread["seen"].factor
    assert (p10, p50, p90) == pytest.approx((1 / width, 1.0, width))


def test_compiling_lowers_elementwise_traffic_only():
    plain = efficiency(CALIBRATION.values, generation="hopper", stack="torchtune")
    fused = efficiency(CALIBRATION.values, generation="hopper", stack="torchtune", compiled=True)
    changed = [n for n in Efficiency.__slots__ if getattr(plain, n) != getattr(fused, n)]
    assert changed == ["elementwise_passes"]
    assert fused.elementwise_passes < plain.elementwise_passes


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json does not exist"):
        load_calibration(tmp_path / "gone.json")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"value": -1.0}, r"mine\.json: parameters\.few_tokens\.entries\.all\.value"),
        ({"surprise": 1}, r"mine\.json: parameters\.few_tokens\.entries\.all\.surprise"),
    ],
)
def test_a_bad_entry_is_named_by_its_place(tmp_path, change, place):
    data = json.loads(CALIBRATION_FILE.read_text(encoding="utf-8"))
    data["parameters"]["few_tokens"]["entries"]["all"] |= change
    (tmp_path / "mine.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CatalogError, match=place):
        load_calibration(tmp_path / "mine.json")


def test_a_parameter_by_generation_needs_an_entry_for_unknown_ones(tmp_path):
    data = json.loads(CALIBRATION_FILE.read_text(encoding="utf-8"))
    del data["parameters"]["matmul_efficiency"]["entries"]["other"]
    (tmp_path / "mine.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(CatalogError, match='no entry "other"'):
        load_calibration(tmp_path / "mine.json")


def test_a_written_calibration_reads_back_equal(tmp_path):
    path = tmp_path / "copy.json"
    path.write_text(CALIBRATION.model_dump_json(), encoding="utf-8")
    assert load_calibration(path) == CALIBRATION
