"""A comparison of accounts that are made by hand: every result of it can be worked out on paper."""

from collections.abc import Mapping

import numpy as np
import pytest

from estimator.alternatives.account import Account
from estimator.alternatives.items import Category, Kind, LineItem, Profile
from estimator.alternatives.world import World
from estimator.decision import simulate
from estimator.decision.simulate import Comparison, compare
from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario
from estimator.scenario.inputs import describe_input

N = 64
DEMAND = "demand.requests_per_month"
BASE = parse_scenario("""
demand: {requests_per_month: {low: 10000, high: 20000}}
horizon_months: 12
materiality_usd: 0
alternatives: [rag, saas, staged]
""")
Line = tuple[Kind, Category, object]
AT_ONCE = Profile.of(np.eye(12)[0], discount=np.ones(12))
MONTHLY = Profile.of(np.ones(12), discount=np.ones(12))


def line(kind: Kind, category: Category, usd: object, profile: Profile) -> LineItem:
    amount = np.asarray(usd, dtype=np.float64)
    return LineItem(
        name=category,
        category=category,
        kind=kind,
        amount_usd=amount,
        profile=profile,
        formula="",
        inputs=(),
    )


class Books:
    """Accounts by alternative, in place of those that the scenario would lead to."""

    def __init__(self) -> None:
        self.of: dict[AlternativeId, tuple[LineItem, ...]] = {}
        self.worlds: list[World] = []

    def __call__(self, name: AlternativeId, world: World) -> Account:
        self.worlds.append(world)
        items = self.of.get(name, ())
        return Account(id=name, items=items, go_live_months=np.zeros(N), project=None)


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> Books:
    found = Books()
    monkeypatch.setattr(simulate, "account_of", found)
    return found


def sure(npv: Mapping[AlternativeId, object]) -> dict[AlternativeId, tuple[LineItem, ...]]:
    return {name: (line("benefit", "gain", usd, AT_ONCE),) for name, usd in npv.items()}


def run(**changes: object) -> Comparison:
    return compare(with_inputs(BASE, changes), n=N)


def test_returns_totals_and_payback(books: Books) -> None:
    """$1,000 at once, $20 a month of people and $100 saved a month, over 12 months."""
    books.of["rag"] = (
        line("cost", "project people", 1000, AT_ONCE),
        line("cost", "people handling requests", 20, MONTHLY),
        line("benefit", "avoided", np.linspace(50, 150, N), MONTHLY),
    )
    books.of["saas"] = (line("benefit", "gain", 1.0, AT_ONCE),)
    found = run().outcomes
    rag = found["rag"]
    npv = 12 * np.linspace(50, 150, N) - 1240
    assert rag.npv_usd == pytest.approx(npv)
    assert rag.tco_usd == pytest.approx(np.full(N, 1240))
    assert rag.roi == pytest.approx(npv / 1000)  # what people still do is not spent on the way
    assert np.isnan(found["saas"].roi).all()
    monthly = np.linspace(50, 150, N) - 20
    assert rag.payback_months == pytest.approx(
        np.where(npv >= 0, 1000 / monthly, np.nan), nan_ok=True
    )
    assert rag.probability_best == pytest.approx((npv > 1).mean())
    assert rag.expected_regret_usd == pytest.approx(np.maximum(1 - npv, 0).mean())


def test_every_account_is_made_in_one_world_with_the_calibration_given(books: Books) -> None:
    own = shipped_calibration()
    compare(BASE, n=N, calibration=own)
    assert {id(world) for world in books.worlds} == {id(books.worlds[0])}
    assert books.worlds[0].calibration is own


def test_small_costs_have_a_return_too(books: Books) -> None:
    books.of["rag"] = (
        line("cost", "fees", 0.25, AT_ONCE),
        line("benefit", "gain", 1.0, AT_ONCE),
    )
    assert run().outcomes["rag"].roi == pytest.approx(np.full(N, 3.0))


def test_a_pilot_that_is_not_the_best_is_no_rival_of_the_verdict(books: Books) -> None:
    books.of |= sure({"rag": 90e3, "saas": 10e3, "staged": 80e3})
    second = run().verdict
    assert (second.alternative, second.runner_up, second.gain_usd) == ("rag", "saas", 80e3)
    sometimes = np.where(np.arange(N) < N // 4, 95e3, 0.0)
    books.of |= sure({"staged": sometimes})
    assert run().verdict.probability_best == 0.75  # of all that took part, the pilot too
    books.of |= sure({"staged": 95e3})
    best = run().verdict
    assert (best.alternative, best.runner_up, best.gain_usd) == ("staged", "rag", 5e3)


@pytest.mark.parametrize("usd", [1.0, 1e-6])
def test_the_driver_is_told_by_sums_of_categories(books: Books, usd: float) -> None:
    """Two fees of $30k outweigh the people of $50k; a benefit is no cost."""
    books.of["rag"] = (line("benefit", "gain", usd * 200e3, AT_ONCE),)
    books.of["saas"] = (
        line("benefit", "gain", usd * 200e3, AT_ONCE),
        line("cost", "running people", usd * 50e3, AT_ONCE),
        line("cost", "fees", usd * np.linspace(20e3, 40e3, N), AT_ONCE),
        line("cost", "fees", usd * 2.5e3, MONTHLY),
    )
    verdict = run().verdict
    assert verdict.alternative == "rag"
    assert "mostly by spending less on fees" in verdict.sentence
    books.of["rag"] = (line("benefit", "gain", usd * 400e3, AT_ONCE),)
    assert "mostly from gain" in run().verdict.sentence


def test_knowing_the_one_input_that_decides_is_worth_it(books: Books) -> None:
    payoff = linear_in(demand_of_draws(), 300e3)
    books.of |= sure({"rag": payoff})
    found = run()
    assert found.evpi_usd == pytest.approx(np.maximum(-payoff, 0).mean(), rel=1e-6)
    assert next(iter(found.evppi_usd)) == DEMAND
    assert found.evppi_usd[DEMAND] == pytest.approx(found.evpi_usd, rel=0.05)
    assert list(found.evppi_usd.values()) == sorted(found.evppi_usd.values(), reverse=True)
    words = describe_input(Scenario, DEMAND)
    assert words != DEMAND
    assert f" if {words} is below 13,000 requests per month" in found.verdict.flip_sentences[0]


def demand_of_draws() -> FloatArray:
    return np.asarray(simulate.draw_inputs(BASE, n=N, seed=7)[DEMAND])


def linear_in(demand: FloatArray, usd: float) -> FloatArray:
    """Worth nothing at 13,000 requests, more above, a loss below."""
    return usd * (demand - 13_000) / 13_000


def test_a_value_beyond_any_number_is_refused(books: Books) -> None:
    books.of |= sure({"rag": np.inf, "saas": 1.0})
    with pytest.raises(InputError, match=r"the value of rag is beyond any number"):
        run()
    books.of |= sure({"rag": np.where(np.arange(N) == 5, np.nan, 1.0), "saas": -np.inf})
    with pytest.raises(InputError, match=r"the value of rag, saas is beyond any number"):
        run()
