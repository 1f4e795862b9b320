"""What fine-tuning would really cost: every claim has this scenario's number and a source."""

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

import pricing
from estimator.alternatives.training_gpus import run_gpu_hours
from estimator.decision.evaluate import world_of
from estimator.decision.simulate import Comparison, compare
from estimator.report.claims import claims, claims_dict, claims_parts
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 24
pretrain: {gpus: 64}
""")
IDS = [
    "many_gpus",
    "takes_long",
    "mlops",
    "hallucinates",
    "may_not_beat",
    "safeguards",
    "specific",
    "domain",
    "from_scratch",
    "saas",
]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(BASE, n=512)


def here(of: Comparison, claim_id: str) -> str:
    return next(claim.here for claim in claims(of) if claim.id == claim_id)


def test_all_ten_claims_with_a_number_a_source_and_a_date(comparison: Comparison) -> None:
    found = claims(comparison)
    assert [claim.id for claim in found] == IDS
    for claim in found:
        assert re.search(r"\d", claim.here), claim
        assert len(claim.evidence) > 20 and len(claim.source) > 5, claim
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", claim.as_of), claim
        assert "nan" not in claim.here and "None" not in f"{claim.evidence}{claim.source}"


def test_the_section_takes_no_side(comparison: Comparison) -> None:
    text = " ".join(f"{c.claim} {c.here} {c.evidence}".lower() for c in claims(comparison))
    for word in ("should", "myth", "unfortunately", "only", "huge", "worth it", "wrongly believe"):
        assert not re.search(rf"\b{word}\b", text), word


def test_gpu_hours_are_those_of_the_physics(comparison: Comparison) -> None:
    hours = run_gpu_hours(world_of(BASE, comparison.draws))
    stated = re.search(r"one run takes ([\d.,]+)", here(comparison, "many_gpus"))
    assert stated is not None
    assert float(stated[1].replace(",", "")) == pytest.approx(np.median(hours), rel=0.05)


def test_time_is_that_of_the_account(comparison: Comparison) -> None:
    live = comparison.outcomes["self_hosted_finetune"].account.go_live_months
    assert here(comparison, "takes_long").startswith(f"{np.median(live):.1f} months")
    assert f"{np.quantile(live, 0.8):.1f} in one case of five" in here(comparison, "takes_long")


def test_the_evidence_is_of_the_scenarios_own_kind_of_task() -> None:
    for family in ("classic_nlp", "coding"):
        scenario = with_inputs(BASE, {"quality.task_family": family})
        found = {c.id: c for c in claims(compare(scenario, n=256))}
        share = pricing.assumption(f"quality.tuning_beats_gpt4.{family}").mean()
        assert f"{100 * share:.0f} %" in found["may_not_beat"].evidence
        assert family.replace("_", " ") in found["may_not_beat"].evidence


def test_published_shares_are_quoted(comparison: Comparison) -> None:
    evidence = next(c.evidence for c in claims(comparison) if c.id == "safeguards")
    assert "from 5.5 % to 32 %" in evidence


def test_a_way_that_is_not_compared_is_said_to_be_missing() -> None:
    few = compare(with_inputs(BASE, {"alternatives": ["rag", "prompting"]}), n=256)
    assert here(few, "takes_long") == "fine-tuning and hosting it yourself is not compared here"
    assert "not compared" in here(few, "saas") and "not compared" in here(few, "from_scratch")
    assert "wrong among the answers" in here(few, "hallucinates")


def test_text_and_json_say_the_same(comparison: Comparison) -> None:
    data = json.loads(json.dumps(claims_dict(claims(comparison))))
    page = io.StringIO()
    console = Console(width=600, file=page)
    for part in claims_parts(claims(comparison)):
        console.print(part)
    text = page.getvalue()
    for row in data:
        assert set(row) == {"id", "claim", "here", "evidence", "source", "as_of"}
        assert row["claim"] in text and row["here"] in text
