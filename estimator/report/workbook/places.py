"""Which numbers get a cell of their own, and where.

A number that is used more than once, or whose formula grows long, has a cell; the others are
written out where they are used. Numbers that were computed together share a row.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from estimator.report.workbook.cell import Batch, Node
from estimator.scenario import AlternativeId

SHARED = "Workings"
WORTH_A_CELL = 3  # operands from which something used twice has a cell of its own
LONGEST = 14  # operands that one formula may hold
MANY_TERMS = 24  # a sum of so many, such as over all months, adds up a row
Key = tuple[object, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Row:
    """One row of workings: the nodes of a batch."""

    batch: Batch
    sheet: str
    """An alternative, or `SHARED`."""
    nodes: tuple[Node, ...]

    @property
    def is_single(self) -> bool:
        """Whether the row holds one number only."""
        return len(self.nodes) == 1 and self.nodes[0].place == 0


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The rows of workings, and which node stands for a given one."""

    rows: tuple[Row, ...]
    standing_for: Mapping[int, Node]
    """By serial number: equal formulas are computed once."""
    reached: frozenset[int]
    """Serial numbers of the leaves and nodes that formulas use."""

    def of(self, node: Node) -> Node:
        """The node that computes the same."""
        return self.standing_for.get(node.serial, node)


def plan(roots: Mapping[AlternativeId, Iterable[Node]]) -> Plan:
    """Cells for everything behind the `roots` of each alternative."""
    wanted = {name: tuple(nodes) for name, nodes in roots.items()}
    nodes = _behind([node for group in wanted.values() for node in group])
    same = _standing_for(nodes)
    args = {n.serial: [same[a.serial] for a in n.args] for n in same.values()}
    users = _users(wanted, same, args)
    uses: dict[int, int] = defaultdict(int)
    for serial in args:
        for arg in {a.serial for a in args[serial]}:
            uses[arg] += 1
    for group in wanted.values():
        for node in group:
            uses[same[node.serial].serial] += 1
    rows = tuple(_rows(same, args, uses, users))
    return Plan(rows, same, frozenset(args))


def _behind(roots: Iterable[Node]) -> list[Node]:
    """Everything that roots depend on, arguments first."""
    found: dict[int, Node] = {}
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node.serial not in found:
            found[node.serial] = node
            waiting += node.args
    return [found[serial] for serial in sorted(found)]


def _standing_for(nodes: Iterable[Node]) -> dict[int, Node]:
    """The first of all nodes that compute the same, for each."""
    first: dict[Key, Node] = {}
    same: dict[int, Node] = {}
    for node in nodes:
        args = tuple(same[arg.serial].serial for arg in node.args)
        key = (node.op, args) if args else (node.op, node.name, node.value, node.place)
        same[node.serial] = first.setdefault(key, node)
    return same


def _users(
    wanted: Mapping[AlternativeId, Iterable[Node]],
    same: Mapping[int, Node],
    args: Mapping[int, list[Node]],
) -> dict[int, set[str]]:
    """The alternatives that use each node."""
    users: dict[int, set[str]] = defaultdict(set)
    for name, roots in wanted.items():
        waiting = [same[node.serial] for node in roots]
        while waiting:
            node = waiting.pop()
            if name not in users[node.serial]:
                users[node.serial].add(name)
                waiting += args[node.serial]
    return users


def _rows(
    same: Mapping[int, Node],
    args: Mapping[int, list[Node]],
    uses: Mapping[int, int],
    users: Mapping[int, set[str]],
) -> Iterable[Row]:
    members: dict[Batch, list[Node]] = defaultdict(list)
    size: dict[int, int] = {}
    for node in {n.serial: n for n in same.values()}.values():
        if node.batch is not None and not node.is_leaf:
            members[node.batch].append(node)
    placed: set[int] = set()
    sums = (n for n in same.values() if n.op == "sum" and len(n.args) >= MANY_TERMS)
    added_up = {arg.batch for n in sums for arg in args[n.serial]}

    def operands(node: Node) -> int:
        """Operands of a node's formula, with those of what is written out inside it."""
        if node.serial not in size:
            size[node.serial] = sum(
                1 if a.is_leaf or a.serial in placed else operands(a) for a in args[node.serial]
            )
        return size[node.serial]

    for batch in sorted(members, key=lambda b: b.serial):
        nodes = members[batch]
        longest = max(map(operands, nodes))
        shared = max(uses[node.serial] for node in nodes) > 1
        if longest > LONGEST or (shared and longest >= WORTH_A_CELL) or batch in added_up:
            placed.update(node.serial for node in nodes)
            of = set().union(*(users[node.serial] for node in nodes))
            of -= {"staged"} if len(of) > 1 else set()  # it follows another, whose own they are
            sheet = next(iter(of)) if len(of) == 1 else SHARED
            yield Row(batch=batch, sheet=sheet, nodes=tuple(nodes))
