"""The critical path: textbook networks, networkx, and what must hold of any network."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, qmc

from estimator.errors import CatalogError, InputError
from estimator.project.schedule import schedule
from estimator.quantity import FloatArray


@dataclass(frozen=True)
class Node:
    id: str
    after: tuple[str, ...] = ()


# Hillier and Lieberman, "Introduction to Operations Research", Reliable Construction Co.:
# optimistic, most likely and pessimistic weeks, and the immediate predecessors.
RELIABLE = {
    "A": (1, 2, 3, ""),
    "B": (2, 3.5, 8, "A"),
    "C": (6, 9, 18, "B"),
    "D": (4, 5.5, 10, "C"),
    "E": (1, 4.5, 5, "C"),
    "F": (4, 4, 10, "E"),
    "G": (5, 6.5, 11, "D"),
    "H": (5, 8, 17, "EG"),
    "I": (3, 7.5, 9, "C"),
    "J": (3, 9, 9, "FI"),
    "K": (4, 4, 4, "J"),
    "L": (1, 5.5, 7, "J"),
    "M": (1, 2, 3, "H"),
    "N": (5, 5.5, 9, "KL"),
}
HOUSE = [Node(name, tuple(row[3])) for name, row in RELIABLE.items()]
MEANS = np.array([[(o + 4 * m + p) / 6] for o, m, p, _ in RELIABLE.values()])
DEVIATIONS = np.array([[(p - o) / 6] for o, m, p, _ in RELIABLE.values()])


def normal_draws(k: int, n: int) -> FloatArray:
    points = qmc.Sobol(k, rng=np.random.default_rng(3)).random(n)
    return np.asarray(norm.ppf(np.clip(points, 1e-9, 1 - 1e-9)).T)


def test_reliable_construction_has_the_published_path_mean_and_deviation() -> None:
    plan = schedule(HOUSE, MEANS)
    critical = plan.critical[:, 0]
    assert plan.total_days[0] == pytest.approx(44)
    assert [a.id for a, c in zip(HOUSE, critical, strict=True) if c] == list("ABCEFJLN")
    assert np.sqrt((DEVIATIONS[critical] ** 2).sum()) == pytest.approx(3)
    # the book's slacks: D, G, H, M 4; I 2; K 1
    slack = dict(zip(RELIABLE, plan.float_days[:, 0], strict=True))
    assert [slack[a] for a in "DGHMIK"] == pytest.approx([4, 4, 4, 4, 2, 1])


def test_reliable_construction_deadline_of_47_weeks() -> None:
    draws = MEANS + DEVIATIONS * normal_draws(14, 2**14)
    path = [i for i, a in enumerate(HOUSE) if a.id in "ABCEFJLN"]
    chain = [Node(HOUSE[i].id, (HOUSE[path[k - 1]].id,) if k else ()) for k, i in enumerate(path)]
    alone = schedule(chain, draws[path]).total_days
    assert (alone <= 47).mean() == pytest.approx(0.8413, abs=2e-3)
    assert alone.std() == pytest.approx(3, rel=5e-3)
    whole = schedule(HOUSE, draws)
    assert (whole.total_days <= 47).mean() < 0.83  # merge bias: other paths overtake
    assert whole.criticality[0] == pytest.approx(1.0)
    assert 0 < whole.criticality[list(RELIABLE).index("K")] < 0.5


def test_three_parallel_activities_finish_later_than_each() -> None:
    tasks = [Node("x"), Node("y"), Node("z")]
    total = schedule(tasks, 10 + 2 * normal_draws(3, 2**16)).total_days
    assert total.mean() == pytest.approx(11.6926, abs=2e-3)  # max of three N(10, 2)


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Node], FloatArray]:
    k = draw(st.integers(1, 7))
    nodes = [
        Node(f"a{i}", tuple(f"a{j}" for j in range(i) if draw(st.booleans()))) for i in range(k)
    ]
    days = draw(
        st.lists(st.lists(st.floats(0, 50), min_size=3, max_size=3), min_size=k, max_size=k)
    )
    order = draw(st.permutations(range(k)))
    return [nodes[i] for i in order], np.array(days)[list(order)]


@given(networks())
def test_longest_path_of_networkx(network: tuple[list[Node], FloatArray]) -> None:
    nx = pytest.importorskip("networkx")
    nodes, days = network
    graph = nx.DiGraph()
    for node, length in zip(nodes, days[:, 0], strict=True):
        graph.add_edge("start", node.id, weight=0.0)
        graph.add_edge(node.id, "end", weight=length)
        for before in node.after:
            graph.add_edge(before, node.id, weight=days[[n.id for n in nodes].index(before), 0])
    length = nx.dag_longest_path_length(graph)
    assert schedule(nodes, days).total_days[0] == pytest.approx(length)


@given(networks())
def test_dates_hold_together(network: tuple[list[Node], FloatArray]) -> None:
    nodes, days = network
    plan = schedule(nodes, days)
    row = {node.id: i for i, node in enumerate(nodes)}
    for i, node in enumerate(nodes):
        for before in node.after:
            assert (plan.start_days[i] >= plan.finish_days[row[before]]).all()
    assert (plan.float_days >= -1e-9).all()
    assert plan.critical.any(axis=0).all()
    slipped = schedule(
        nodes, days + np.maximum(plan.float_days, 0) * (np.arange(len(nodes)) == 0)[:, None]
    )
    np.testing.assert_allclose(slipped.total_days, plan.total_days)


@given(networks(), st.data())
def test_longer_later_and_freer_earlier(
    network: tuple[list[Node], FloatArray], data: st.DataObject
) -> None:
    nodes, days = network
    i = data.draw(st.integers(0, len(nodes) - 1))
    base = schedule(nodes, days)
    longer = days.copy()
    longer[i] += data.draw(st.floats(0, 20))
    assert (schedule(nodes, longer).finish_days >= base.finish_days).all()
    freed = list(nodes)
    freed[i] = replace(nodes[i], after=nodes[i].after[1:])
    assert (schedule(freed, days).finish_days <= base.finish_days).all()
    hired = np.zeros((len(nodes), 1))
    hired[i] = data.draw(st.floats(0, 40))
    assert (schedule(nodes, days, hired).finish_days >= base.finish_days).all()


@settings(max_examples=20)
@given(networks())
def test_order_of_the_list_does_not_matter(network: tuple[list[Node], FloatArray]) -> None:
    nodes, days = network
    back = schedule(nodes[::-1], days[::-1])
    np.testing.assert_array_equal(back.start_days[::-1], schedule(nodes, days).start_days)


def test_broken_networks_are_refused() -> None:
    with pytest.raises(InputError, match=r"wait for each other: .* > "):
        schedule([Node("a", ("b",)), Node("b", ("a",))], np.ones((2, 1)))
    with pytest.raises(CatalogError, match="predecessor of b 'x'"):
        schedule([Node("a"), Node("b", ("x",))], np.ones((2, 1)))
    with pytest.raises(InputError, match="distinct ids"):
        schedule([Node("a"), Node("a")], np.ones((2, 1)))
