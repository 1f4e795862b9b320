"""The workbook: agrees with Python to the cent, follows its inputs, holds no foreign formula."""

import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from command import Tuneroi
from numpy.typing import NDArray
from office import recalculated, soffice
from scipy.stats import poisson
from xlsxwriter import Workbook

from estimator import Scenario
from estimator.alternatives import labour
from estimator.alternatives.account import LABELS, Account
from estimator.alternatives.policy import PilotPolicy
from estimator.decision.evaluate import medians, npv_usd
from estimator.decision.finance import irr, mirr, monthly_rate, payback_months, yearly_rate
from estimator.decision.payback import expected_net_cash_usd
from estimator.decision.resolved import own_cost_usd
from estimator.decision.simulate import compare
from estimator.report.workbook.assumptions import ASSUMPTIONS, COMPUTED, Liveness, liveness
from estimator.report.workbook.base_case import RATE, base_case, numbers_at, policy_of
from estimator.report.workbook.book import SUMMARY, workbook
from estimator.report.workbook.cell import Node, apply, median_count, number
from estimator.report.workbook.formula import literal, written
from estimator.report.workbook.ledger import ledger
from estimator.report.workbook.places import plan
from estimator.report.workbook.references import FIRST, input_name
from estimator.report.workbook.summary import FIRST_ROW, HEAD_ROW
from estimator.report.workbook.traced import Traced
from estimator.report.workbook.tracing import tracing
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import load_scenario
from estimator.scenario.templates import template, template_names

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.yaml"))
CENT = 0.005
Sheets = Any
Money = dict[str, NDArray[np.float64]]
ODD: dict[str, Any] = {
    "currency": "EUR",
    "team.country": "Germany",
    "team.specialists": "contract",
    "team.specialists_to_hire": 2,
    "training.acquisition": "buy",
    "value.gain_usd_per_resolved_request": {"low": 0.1, "high": 0.5},
    "saas.minimum_usd_per_month": 9_000,
    "quality.incidents_per_million_answers": 40,
    "staged.candidate": "rag",
}


def scenarios() -> dict[str, Scenario]:
    found = {f"template {name}": template(name) for name in template_names()}
    found |= {f"example {path.stem}": load_scenario(path) for path in EXAMPLES}
    base = template("support-assistant")
    found["odd"] = with_inputs(base, ODD)
    found["one month"] = with_inputs(base, {"horizon_months": 1})
    found["ten years"] = with_inputs(
        base, {"horizon_months": 120, "alternatives": ["rag", "finetune_rag", "saas"]}
    )
    return found


SCENARIOS = scenarios()
CHANGED = ("template support-assistant", "example listing-tagging", "odd")


@pytest.fixture(scope="module")
def books() -> dict[str, bytes]:
    return {name: workbook(scenario) for name, scenario in SCENARIOS.items()}


@cache
def live(name: str) -> dict[str, Liveness]:
    """What the workbook says of every input."""
    scenario = SCENARIOS[name]
    base = base_case(scenario)
    months, rate = scenario.horizon_months, scenario.discount_rate_per_year
    ledgers = [ledger(a, months=months, rate_per_year=rate) for a in base.accounts.values()]
    return liveness(base, plan({made.account.id: made.roots for made in ledgers}))


@cache
def policy(name: str) -> PilotPolicy | None:
    """What follows a pilot."""
    return policy_of(SCENARIOS[name], None)


def another_world(name: str) -> dict[str, float]:
    """Other values for every input that the workbook calls live, all at once."""
    random = np.random.default_rng(20260701)
    inputs = SCENARIOS[name].inputs()
    changed = {RATE: 0.137}
    for path in (path for path, found in live(name).items() if found.live == "yes"):
        if path in inputs:
            quantity = inputs[path]
            at = float(quantity.ppf(random.uniform(0.05, 0.95)))
            changed[path] = 0.93 * at if quantity.is_fixed else at
    return changed


def with_cells(book: bytes, values: Mapping[str, float]) -> bytes:
    """The workbook with other values typed into its assumptions, and no result kept."""
    opened = openpyxl.load_workbook(io.BytesIO(book))
    for path, value in values.items():
        place = opened.defined_names[input_name(path)].attr_text
        sheet, cell = place.replace("'", "").replace("$", "").split("!")
        opened[sheet][cell].value = value
    content = io.BytesIO()
    opened.save(content)
    return content.getvalue()


def in_python(name: str, values: Mapping[str, float] | None = None) -> dict[Any, Account]:
    """The accounts that Python builds at the medians, some inputs changed."""
    scenario, values = SCENARIOS[name], dict(values or {})
    rate = values.pop(RATE, scenario.discount_rate_per_year)
    columns = medians(scenario) | {path: np.asarray(x) for path, x in values.items()}
    other = scenario.model_copy(update={RATE: rate})
    return numbers_at(other, columns, policy=policy(name))


@pytest.fixture(scope="module")
def worlds() -> dict[str, dict[str, float]]:
    several = {f"{name}, changed": another_world(name) for name in CHANGED}
    return several | {"template support-assistant, busier": {"demand.requests_per_month": 4e7}}


@pytest.fixture(scope="module")
def computed(
    books: dict[str, bytes],
    worlds: dict[str, dict[str, float]],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Sheets]:
    """All workbooks as LibreOffice computes them, those with changed inputs among them."""
    soffice()
    changed = {
        name: with_cells(books[name.rsplit(",", 1)[0]], values) for name, values in worlds.items()
    }
    return recalculated(books | changed, tmp_path_factory.mktemp("office"))


def lines_of(sheet: Any, months: int) -> Money:
    """Money by line item and month, as a sheet shows it."""
    found = {}
    for row in sheet.iter_rows(min_row=5, max_row=60, values_only=True):
        if row[0] is None:
            break
        found[f"{row[0]} ({row[1]})"] = np.array(row[FIRST : FIRST + months], np.float64)
    return found


def largest_gap(book: Sheets, accounts: Mapping[Any, Account], months: int) -> float:
    """Largest difference between a workbook and Python in any line item of any month."""
    gaps = [0.0]
    for name, account in accounts.items():
        shown = lines_of(book[LABELS[name]], months)
        for item in account.items:
            cash = shown.pop(f"{item.name} ({item.kind}: {item.category})")
            gaps.append(float(np.abs(cash - item.cash_usd()).max()))
        assert all(not cash.any() for cash in shown.values()), shown
    return max(gaps)


def summary_of(book: Sheets) -> dict[str, dict[str, Any]]:
    """The summary by alternative and head of its column."""
    rows = list(book[SUMMARY].iter_rows(values_only=True))
    heads = rows[HEAD_ROW]
    return {
        row[0]: dict(zip(heads, row, strict=True))
        for row in rows[FIRST_ROW:]
        if row[0] in LABELS.values()
    }


def check_summary(book: Sheets, accounts: Mapping[Any, Account], scenario: Scenario) -> None:
    shown = summary_of(book)
    assert set(shown) == {LABELS[name] for name in accounts}
    for name, account in accounts.items():
        row, npv = shown[LABELS[name]], float(npv_usd(account, 1)[0])
        assert row["NPV against doing nothing, USD"] == pytest.approx(npv, abs=CENT)
        own = float(own_cost_usd(account, 1)[0])
        if own > 0:
            assert row["ROI: NPV over own costs"] == pytest.approx(npv / own, abs=1e-6)
        cash = expected_net_cash_usd(account, scenario.horizon_months)
        months = float(payback_months(np.concatenate([[0.0], cash])))
        assert row["Payback, months"] == ("never" if np.isnan(months) else pytest.approx(months))
        found = irr(cash)
        if found.kind == "one":
            rate = float(yearly_rate(found.rates_per_period[0]))
            assert row["IRR per year"] == pytest.approx(rate, rel=1e-6)
        elif found.sign_changes == 0:
            assert row["IRR per year"] == "none"
        check_mirr(row["MIRR per year"], cash, scenario.discount_rate_per_year)


def check_mirr(shown: object, cash: NDArray[np.float64], rate_per_year: float) -> None:
    rate = float(monthly_rate(rate_per_year))
    wanted = float(yearly_rate(mirr(cash, rate, rate))) if cash.size > 1 else np.nan
    assert shown == ("none" if np.isnan(wanted) else pytest.approx(wanted, rel=1e-6))


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENARIOS)
def test_libreoffice_agrees_with_python_to_the_cent(computed: dict[str, Sheets], name: str) -> None:
    scenario = SCENARIOS[name]
    accounts = in_python(name)
    assert largest_gap(computed[name], accounts, scenario.horizon_months) < CENT
    check_summary(computed[name], accounts, scenario)


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGED)
def test_every_live_input_moves_the_workbook_as_it_moves_python(
    computed: dict[str, Sheets], worlds: dict[str, dict[str, float]], name: str
) -> None:
    scenario, world = SCENARIOS[name], worlds[f"{name}, changed"]
    assert len(world) > 200
    accounts = in_python(name, world)
    book = computed[f"{name}, changed"]
    assert largest_gap(book, accounts, scenario.horizon_months) < CENT
    check_summary(book, accounts, scenario.model_copy(update={RATE: world[RATE]}))


@pytest.mark.slow
def test_one_changed_cell_moves_replicas_and_incidents_too(
    computed: dict[str, Sheets], worlds: dict[str, dict[str, float]]
) -> None:
    name = "template support-assistant"
    now, busier = (computed[n] for n in (name, f"{name}, busier"))
    rows = [lines_of(book[LABELS["self_hosted_finetune"]], 36) for book in (now, busier)]
    gpus = "GPUs that serve (cost: GPUs for serving)"
    assert rows[1][gpus][-1] > 2 * rows[0][gpus][-1]
    incidents = "Public or regulated incidents (cost: errors)"
    assert rows[1][incidents][-1] > 100 * rows[0][incidents][-1]
    accounts = in_python(name, worlds[f"{name}, busier"])
    assert largest_gap(busier, accounts, 36) < CENT


@pytest.mark.slow
def test_values_kept_beside_the_formulas_are_those_of_libreoffice(
    books: dict[str, bytes], computed: dict[str, Sheets]
) -> None:
    kept = openpyxl.load_workbook(io.BytesIO(books["odd"]), data_only=True, read_only=True)
    for sheet in kept:
        pairs = zip(sheet.iter_rows(), computed["odd"][sheet.title].iter_rows(), strict=False)
        for row, again in pairs:
            for cell, other in zip(row, again, strict=False):
                close = isinstance(cell.value, int | float)
                wanted = (
                    pytest.approx(float(cell.value), rel=1e-7, abs=1e-6) if close else cell.value
                )
                assert other.value == wanted, (sheet.title, cell.coordinate)


def test_other_currencies_have_their_rate_in_a_cell(books: dict[str, bytes]) -> None:
    book = openpyxl.load_workbook(io.BytesIO(books["odd"]), data_only=True)
    rate = next(row[2].value for row in book[ASSUMPTIONS].iter_rows() if row[3].value == "EUR/USD")
    assert 0.5 < rate < 2
    for row in summary_of(book).values():
        in_dollars = row["NPV against doing nothing, USD"]
        assert row["NPV against doing nothing, EUR"] == pytest.approx(in_dollars * rate)


@pytest.mark.parametrize("name", CHANGED)
def test_what_is_said_of_each_input_is_so(name: str) -> None:
    scenario = SCENARIOS[name]
    found = live(name)
    share = np.mean([known.live == "yes" for known in found.values()])
    assert share > 0.8
    unused = [path for path, known in found.items() if known.live == "not used"]
    inputs = scenario.inputs()
    other = {path: 0.9 * float(inputs[path].ppf(0.3)) for path in unused}
    before, after = in_python(name), in_python(name, other)
    for way, account in before.items():
        assert npv_usd(after[way], 1) == npv_usd(account, 1), way
    for path, known in found.items():
        assert bool(known.fixed) == (known.live in ("partly", "no")), path


def test_the_inputs_that_finance_asks_for_are_live() -> None:
    found = live("template support-assistant")
    for path in (
        RATE,
        "demand.requests_per_month",
        "demand.growth_per_year",
        "demand.seasonal_swing_share",
        "demand.in_scope_share",
        "value.human_cost_usd_per_request",
        "value.error_cost_usd",
        "value.incident_cost_usd",
        "quality.error_rate.rag",
        "quality.incidents_per_million_answers",
        "saas.price_usd_per_unit",
        "api.input_usd_per_mtok",
        "team.wages_usd_per_year.ml_engineer",
        "team.load_factor",
        "managed.hosting_usd_per_hour",
        "serving.gpu_usd_per_hour",
        "training.gpu_usd_per_hour",
        "project.overrun_factor",
        "project.effort_days.rag.ingest",
    ):
        assert found[path].live == "yes", path


def formulas(book: bytes) -> Iterator[tuple[str, str]]:
    """Sheet and text of every formula of a workbook."""
    for sheet in openpyxl.load_workbook(io.BytesIO(book)):
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    yield sheet.title, cell.value


OLD_FUNCTIONS = re.compile(
    "ABS|AND|COS|EXP|IF|IFERROR|INDEX|INT|IRR|LN|MATCH|MAX|MIN|MIRR|NA|NPV|OR|POISSON|ROUND|SIGN|"
    "SQRT|SUM|SUMPRODUCT"
)


@pytest.mark.parametrize("name", ["odd", "ten years"])
def test_formulas_are_short_and_use_old_functions_and_known_names(
    books: dict[str, bytes], name: str
) -> None:
    book = books[name]
    names = set(openpyxl.load_workbook(io.BytesIO(book)).defined_names)
    assert all(re.fullmatch(r"[a-z]\w*[._][\w.]+", n) for n in names)
    for sheet, formula in formulas(book):
        assert len(formula) < 2_000, (sheet, formula)
        bare = re.sub(r"'[^']*'!|\"[^\"]*\"", "", formula)
        assert all(OLD_FUNCTIONS.fullmatch(f) for f in re.findall(r"([A-Z]+)\(", bare)), formula
        assert set(re.findall(r"[a-z][\w.]*", bare)) <= names, formula


def test_nothing_points_outside_and_sheets_are_valid(books: dict[str, bytes]) -> None:
    for content in books.values():
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            assert not [n for n in parts.namelist() if "external" in n.lower() or "vba" in n]
            for part in (n for n in parts.namelist() if n.endswith(".rels")):
                assert b'TargetMode="External"' not in parts.read(part)
        titles = openpyxl.load_workbook(io.BytesIO(content), read_only=True).sheetnames
        assert titles[:3] == [SUMMARY, ASSUMPTIONS, COMPUTED]
        assert len({t.lower() for t in titles}) == len(titles)
        assert all(len(t) <= 31 and not set(t) & set("[]:*?/\\'") for t in titles)


@pytest.mark.parametrize("firsts", [("=", "+", "-", "@"), ("\t=", "{=", "'=", "\n@")])
def test_text_of_the_user_stays_text(firsts: tuple[str, ...]) -> None:
    evil = [f'{first}HYPERLINK("http://evil.example","x")&cmd|\'/c\'!A0\x07' for first in firsts]
    given = {
        "name": evil[0],
        "description": f"{evil[1]}{'x' * 40_000}",
        "alternatives": ["prompting"],
        "demand": {"requests_per_month": {"low": 1, "high": 2, "source": evil[2], "note": evil[3]}},
    }
    book = workbook(Scenario.model_validate(given))
    assert not [f for _, f in formulas(book) if "HYPERLINK" in f or "cmd" in f]
    opened = openpyxl.load_workbook(io.BytesIO(book))
    cells = [c for sheet in opened for row in sheet.iter_rows() for c in row]
    found = [c for c in cells if isinstance(c.value, str) and "evil.example" in c.value]
    assert len(found) >= 4
    assert {c.data_type for c in found} == {"s"}
    assert not [c for c in cells if c.hyperlink]


def test_equal_inputs_give_equal_bytes(books: dict[str, bytes]) -> None:
    assert workbook(SCENARIOS["one month"]) == books["one month"]


def test_another_thread_computes_on_while_one_traces() -> None:
    scenario = SCENARIOS["template support-assistant"]
    planned = policy("template support-assistant")

    def worth() -> list[float]:
        accounts = numbers_at(scenario, medians(scenario), policy=planned)
        return [float(npv_usd(account, 1)[0]) for account in accounts.values()]

    before = worth()
    with ThreadPoolExecutor(1) as thread, tracing():
        assert vars(labour)["np"] is not np
        assert thread.submit(worth).result() == before
    assert vars(labour)["np"] is np
    assert worth() == before


@pytest.mark.parametrize("use", [float, bool, np.sort, np.sin, np.add.reduce, np.asarray])
def test_a_formula_is_never_lost_in_silence(use: Callable[[Any], object]) -> None:
    x = Traced.of(Node("input", (), 2.0, name="a.b"))[None]
    with pytest.raises((TypeError, ValueError)):
        use(np.asarray(x, np.float64) if use is np.asarray else x)


def random_node(random: np.random.Generator, depth: int) -> Node:
    """An expression of numbers that stand in cells."""
    if depth == 0:
        value = float(random.choice([-2.5, -1.0, 0.0, 0.5, 3.0, 7.25]))
        if random.random() < 0.3:
            return number(value)
        return Node("input", (), value, name=f"cell.v{int(value * 100 + 1000)}")
    two = ["add", "subtract", "multiply", "divide", "maximum", "minimum", "less", "floor_divide"]
    one = ["negative", "floor", "ceil", "absolute", "exp"]
    op = str(random.choice([*two, *one, "where", "sum", "power"]))
    if op == "power":
        base = apply("absolute", [random_node(random, depth - 1)])
        return apply(op, [apply("add", [base, number(1)]), random_node(random, 0)])
    arity = 3 if op in ("where", "sum") else 1 if op in one else 2
    return apply(op, [random_node(random, depth - 1) for _ in range(arity)])


@pytest.mark.slow
def test_libreoffice_reads_every_operator_as_numpy_does(tmp_path: Path) -> None:
    soffice()
    random = np.random.default_rng(5)
    nodes = [random_node(random, 3) for _ in range(1500)]
    nodes = [n for n in nodes if np.isfinite(n.value) and abs(n.value) < 1e12 and not n.is_leaf]
    nodes += [
        apply("median_count", [Node("input", (), x, name=f"cell.m{i}")])
        for i, x in enumerate(np.linspace(0, 40, 400))
    ]
    assert len(nodes) > 1000
    content = io.BytesIO()
    with Workbook(content) as book:
        sheet, inputs = book.add_worksheet("Out"), book.add_worksheet("In")
        leaves = {leaf.name: leaf.value for node in nodes for leaf in inputs_of(node)}
        for row, (name, value) in enumerate(leaves.items()):
            inputs.write_number(row, 0, value)
            book.define_name(name, f"=In!$A${row + 1}")
        for row, node in enumerate(nodes):
            text = written(node, lambda n: n.name if n.op == "input" else None)
            sheet.write_formula(row, 0, f"={text}")
    (result,) = recalculated({"all": content.getvalue()}, tmp_path).values()
    shown = [row[0] for row in result["Out"].iter_rows(values_only=True)]
    for node, value in zip(nodes, shown, strict=True):
        if not isinstance(value, str):  # a step on the way has no answer, such as 1/0
            assert value == pytest.approx(node.value, rel=1e-9, abs=1e-9)
    assert sum(isinstance(value, str) for value in shown) < len(shown) / 10


def inputs_of(node: Node) -> Iterator[Node]:
    if node.op == "input":
        yield node
    for arg in node.args:
        yield from inputs_of(arg)


@pytest.mark.parametrize("expected", [0.0, 0.3, 0.69, 0.7, 1.0, 1.67, 1.68, 5.2, 44.0])
def test_the_median_of_a_poisson_is_that_of_scipy(expected: float) -> None:
    assert median_count(expected) == poisson.median(expected)


def test_numbers_are_written_as_a_formula_reads_them() -> None:
    assert literal(3.0) == "3"
    assert literal(-0.5) == "(-0.5)"
    assert literal(1e-9) == "1E-09"
    assert literal(np.inf) == literal(np.nan) == "NA()"
    assert float(literal(0.1 + 0.2)) == 0.1 + 0.2


def test_the_command_writes_the_workbook_of_what_it_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tuneroi, made = Tuneroi(monkeypatch, capsys), tmp_path / "out.xlsx"
    options = ("--draws", "256", "--alternatives", "prompting", "--set", "horizon_months=12")
    ran = tuneroi("compare", EXAMPLES[0], *options, "--xlsx", made)
    assert ran.status == 0, ran.err
    changed = {"alternatives": ["prompting"], "horizon_months": 12}
    scenario = with_inputs(load_scenario(EXAMPLES[0]), changed)
    assert made.read_bytes() == workbook(scenario, comparison=compare(scenario, n=256))
    nowhere = tmp_path / "missing" / "out.xlsx"
    assert "out.xlsx" in tuneroi("compare", EXAMPLES[0], *options, "--xlsx", nowhere).refusal
