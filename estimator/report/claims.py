"""What fine-tuning would really cost you: what is usually claimed for and against it, and the
number that this scenario gives beside each, with published evidence. It takes no side.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from rich.console import RenderableType

import pricing
from estimator.alternatives.account import PHRASES, Account
from estimator.alternatives.items import present_value_usd
from estimator.alternatives.more_labels import worth_of_labels_usd
from estimator.alternatives.quality import Way, access, incident_rate, resolution_rate, skill
from estimator.alternatives.training_gpus import run_gpu_hours
from estimator.alternatives.world import World
from estimator.decision.evaluate import world_of
from estimator.decision.simulate import Comparison
from estimator.decision.wording import money, percent, significant
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray
from estimator.report.layout import table
from estimator.scenario import AlternativeId
from pricing.findings import Evidence

OWN: AlternativeId = "self_hosted_finetune"
MORE_LABELS = 1000
MACHINE_ROLES = ("ml_engineer", "mlops_engineer", "site_reliability_engineer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim, what this scenario says of it, and what has been published."""

    id: str
    claim: str
    """As it is usually made."""
    here: str
    """This scenario's numbers, in a sentence."""
    evidence: str
    """A published finding, in a sentence."""
    source: str
    as_of: str


def claims(comparison: Comparison, *, calibration: Calibration | None = None) -> list[Claim]:
    """The ten claims in a fixed order; `calibration`: of the GPUs to train on, as in `compare`."""
    world = world_of(comparison.scenario, comparison.draws, calibration)
    gpus, domain = partial(_gpus, world=world), partial(_domain, world=world)
    return [
        _claim("many_gpus", "needs many GPUs", gpus, "effort-compute-share", comparison),
        _takes_long(comparison),
        _claim("mlops", "needs MLOps people", _people, "effort-project-quote", comparison),
        _claim("hallucinates", "still hallucinates", _errors, "gekhman", comparison),
        _may_not_beat(comparison),
        _claim("safeguards", "can lose its safeguards", _safety, "safety-gpt35-alpaca", comparison),
        _claim("specific", "makes answers task-specific", _skill, "lora-forgets-less", comparison),
        _claim("domain", "adapts to a domain", domain, "ovadia-abstract", comparison),
        _claim(
            "from_scratch",
            "is cheaper than training from scratch",
            _from_scratch,
            "lora-land-price",
            comparison,
        ),
        _claim(
            "saas",
            "a SaaS gives a quicker, better return",
            _saas,
            "effort-saas-weeks",
            comparison,
        ),
    ]


def claims_dict(found: Sequence[Claim]) -> list[dict[str, str]]:
    """The claims as plain data, for JSON."""
    return [asdict(claim) for claim in found]


def claims_parts(found: Sequence[Claim]) -> Iterator[RenderableType]:
    """The claims as a table for the terminal: claim, this scenario, evidence."""
    rows = [
        (claim.claim, f"{claim.here}\n{claim.evidence} ({claim.source}, {claim.as_of})")
        for claim in found
    ]
    yield table(
        "What fine-tuning would really cost you",
        ("Fine-tuning, it is said,", "Here; and what has been published"),
        rows,
        left=(0, 1),
    )


def _claim(
    id_: str, claim: str, here: Callable[[Comparison], str], finding_id: str, about: Comparison
) -> Claim:
    found = _finding(finding_id)
    return Claim(
        id=id_,
        claim=claim,
        here=here(about),
        evidence=found.claim + _figures(found),
        source=found.source,
        as_of=found.as_of,
    )


def _figures(found: Evidence) -> str:
    """The figures of a finding that compares two shares, and its setting: ": 5.5 % to 32 %"."""
    parts = []
    if found.unit == "share" and found.baseline is not None and found.value is not None:
        parts.append(f"from {_share(found.baseline)} to {_share(found.value)}")
    if found.condition:
        parts.append(found.condition)
    return f": {', '.join(parts)}" if parts else ""


def _finding(finding_id: str) -> Evidence:
    return next(
        found
        for topic in pricing.evidence_topics().values()
        for found in topic
        if found.id == finding_id
    )


def _takes_long(comparison: Comparison) -> Claim:
    months = pricing.assumption("project.prototype_to_production_months")
    return Claim(
        id="takes_long",
        claim="takes long",
        here=_time(comparison),
        evidence=f"{months.mode:.0f} months from prototype to production for the AI projects "
        "that make it, about half of all",
        source=months.source or "",
        as_of=months.as_of or "",
    )


def _may_not_beat(comparison: Comparison) -> Claim:
    """The evidence is of the scenario's own task family."""
    family = comparison.scenario.quality.task_family
    beats = pricing.assumption(f"quality.tuning_beats_gpt4.{family}")
    return Claim(
        id="may_not_beat",
        claim="may not beat a plain GPT-class model",
        here=_beats(comparison),
        evidence=f"tuned models of at most 7B beat plainly prompted GPT-4 in "
        f"{_share(beats.mean())} of pairs of {family.replace('_', ' ')} task and base model",
        source=beats.source or "",
        as_of=beats.as_of or "",
    )


def _account(comparison: Comparison, name: AlternativeId) -> Account | None:
    outcome = comparison.outcomes.get(name)
    return outcome.account if outcome else None


def _missing(name: AlternativeId) -> str:
    return f"{PHRASES[name]} is not compared here"


def _gpus(comparison: Comparison, *, world: World) -> str:
    own = _account(comparison, OWN)
    if own is None:
        return _missing(OWN)
    training = comparison.scenario.training
    gpus = _own_cost_usd(own, "GPUs for training", comparison)
    whole = _own_cost_usd(own, None, comparison)
    return (
        f"{training.gpus} x {training.gpu}; one run takes "
        f"{_range(run_gpu_hours(world))} GPU hours; all training, failed and repeated runs "
        f"included, costs {money(gpus)}, {_share(gpus / whole)} of what the way itself costs"
    )


def _time(comparison: Comparison) -> str:
    own = _account(comparison, OWN)
    if own is None or own.project is None:
        return _missing(OWN)
    p50, p80 = np.quantile(own.go_live_months, [0.5, 0.8])
    stage = max(own.project.stage_dates(), key=lambda s: s.finish_days_p50 - s.start_days_p50)
    others = [
        f"{PHRASES[name]} {np.nanmedian(other.go_live_months):.1f}"
        for name in ("prompting", "rag", "saas")
        if (other := _account(comparison, name))
    ]
    beside = f"; {', '.join(others)}" if others else ""
    return (
        f"{p50:.1f} months to go-live, over {p80:.1f} in one case of five{beside}; "
        f"longest stage: {stage.stage.replace('_', ' ')}"
    )


def _people(comparison: Comparison) -> str:
    own = _account(comparison, OWN)
    if own is None or own.project is None:
        return _missing(OWN)
    days = own.project.person_days_by_role
    machine = sum(float(np.median(days[role])) for role in MACHINE_ROLES if role in days)
    whole = float(np.median(np.asarray(sum(days.values()))))
    running = comparison.draws[f"project.operate_fte.{OWN}"]
    return (
        f"{machine:.0f} of {whole:.0f} person-days before go-live are ML, MLOps and reliability "
        f"engineers'; then {_range(running)} full-time people keep it running"
    )


def _errors(comparison: Comparison) -> str:
    d = comparison.draws
    rates: tuple[tuple[str, Way], ...] = (
        ("tuned", "finetune"),
        ("tuned with retrieval", "finetune_rag"),
        ("retrieval alone", "rag"),
        ("prompted", "prompting"),
    )
    return "wrong among the answers given: " + ", ".join(
        f"{label} {_shares(d[f'quality.error_rate.{way}'])}" for label, way in rates
    )


def _beats(comparison: Comparison) -> str:
    d = comparison.draws
    tuned, prompted = resolution_rate(d, "finetune"), resolution_rate(d, "prompting")
    grounded = resolution_rate(d, "rag")
    return (
        f"the tuned model resolves more than the prompted one in "
        f"{percent(_mean(tuned > prompted))} of draws, more than retrieval on the general model in "
        f"{percent(_mean(tuned > grounded))}; {_share(_mean(d['quality.tuning_worse_than_base']))} "
        "of tunings come out worse than their own base"
    )


def _safety(comparison: Comparison) -> str:
    d = comparison.draws
    tuned, plain = incident_rate(d, "finetune") * 1e6, incident_rate(d, "rag") * 1e6
    ratio = np.broadcast_to(d["quality.tuning_incident_multiplier"], (d.n,))
    return (
        f"{_range(tuned)} incidents per million answers once tuned, {_range(plain)} before: "
        f"{np.median(ratio):.0f} times as many, guards included"
    )


def _skill(comparison: Comparison) -> str:
    d = comparison.draws
    change = np.broadcast_to(skill(d, "finetune") - skill(d, "rag"), (d.n,))
    p10, p50, p90 = 100 * np.quantile(change, [0.1, 0.5, 0.9])
    return (
        f"skill at this one task changes by {p50:+.0f} points ({p10:+.0f} to {p90:+.0f}); what is "
        "lost at other tasks costs nothing here, because nothing else is asked of the model"
    )


def _domain(comparison: Comparison, *, world: World) -> str:
    d = comparison.draws
    ways: tuple[tuple[str, Way], ...] = (
        ("by tuning", "finetune"),
        ("by retrieval", "rag"),
        ("by a prompt", "prompting"),
    )
    text = "of what is needed to know it has " + ", ".join(
        f"{_shares(access(d, way))} {label}" for label, way in ways
    )
    if _account(comparison, OWN) is None:
        return text
    worth = float(np.mean(worth_of_labels_usd(world, OWN, MORE_LABELS)))
    verb = "bring" if worth >= 0 else "lose"
    return f"{text}; {MORE_LABELS:,} more examples would {verb} {money(abs(worth))}, price included"


def _from_scratch(comparison: Comparison) -> str:
    own, scratch = _account(comparison, OWN), _account(comparison, "pretrain")
    if own is None or scratch is None:
        return _missing("pretrain" if own else OWN)
    costs = [_own_cost_usd(account, None, comparison) for account in (own, scratch)]
    gpus = [_own_cost_usd(a, "GPUs for training", comparison) for a in (own, scratch)]
    return (
        f"the way itself costs {money(costs[0])} against {money(costs[1])} from scratch; its GPUs "
        f"for training {money(gpus[0])} against {money(gpus[1])}"
    )


def _saas(comparison: Comparison) -> str:
    pair = [comparison.outcomes.get(name) for name in ("saas", OWN)]
    if pair[0] is None or pair[1] is None:
        return _missing(OWN if pair[0] else "saas")
    bought, own = pair[0], pair[1]
    better = _mean(bought.npv_usd > own.npv_usd)
    live = [np.median(outcome.account.go_live_months) for outcome in (bought, own)]
    return (
        f"live after {live[0]:.1f} months against {live[1]:.1f}; worth "
        f"{money(float(np.mean(bought.npv_usd)))} against {money(float(np.mean(own.npv_usd)))}, "
        f"and more in {percent(better)} of draws"
    )


def _own_cost_usd(account: Account, category: str | None, comparison: Comparison) -> float:
    """Mean present cost of the way itself, or of one category of it."""
    aside = ("people handling requests", "errors")
    chosen = [
        item
        for item in account.items
        if (item.category == category if category else item.category not in aside)
    ]
    return float(np.mean(present_value_usd(chosen, "cost", comparison.draws.n)))


def _mean(values: ArrayLike) -> float:
    return float(np.mean(np.asarray(values)))


def _quantiles(values: ArrayLike) -> FloatArray:
    return np.asarray(np.quantile(np.asarray(values, np.float64), [0.1, 0.5, 0.9]))


def _range(values: ArrayLike) -> str:
    """Median with P10 and P90: "0.60 (0.37 to 0.89)"; a certain number alone."""
    p10, p50, p90 = map(float, _quantiles(values))
    return significant(p50) + (f" ({significant(p10)} to {significant(p90)})" if p10 < p90 else "")


def _shares(values: ArrayLike) -> str:
    p10, p50, p90 = map(float, _quantiles(values))
    return _share(p50) + (f" ({100 * p10:.0f} to {100 * p90:.0f})" if p10 < p90 else "")


def _share(share: float) -> str:
    """A share in percent, to two digits below ten: "2.9 %", "0.031 %", "76 %"."""
    return f"{significant(100 * share)} %"
