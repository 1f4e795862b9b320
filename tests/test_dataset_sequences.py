"""Padding, packing and truncation against brute force and textbook bounds."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.dataset.sequences import (
    LengthDistribution,
    expected_longest,
    fit_sequences,
    pack,
    padded_tokens,
)
from estimator.errors import InputError

lengths_lists = st.lists(st.integers(1, 60), min_size=1, max_size=80)


def best_fit_decreasing(lengths: list[int], capacity: int) -> int:
    """The textbook algorithm, one item and one bin at a time."""
    bins: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [room for room in bins if room >= length]
        if fitting:
            bins.remove(min(fitting))
            bins.append(min(fitting) - length)
        else:
            bins.append(capacity - length)
    return len(bins)


def fewest_bins(lengths: list[int], capacity: int) -> int:
    """The optimum, by trying every assignment of items to bins."""
    best = len(lengths)

    def place(item: int, rooms: list[int]) -> None:
        nonlocal best
        if len(rooms) >= best:
            return
        if item == len(lengths):
            best = len(rooms)
            return
        for index, room in enumerate(rooms):
            if room >= lengths[item]:
                rest = [*rooms[:index], room - lengths[item], *rooms[index + 1 :]]
                place(item + 1, rest)
        place(item + 1, [*rooms, capacity - lengths[item]])

    place(0, [])
    return best


@given(lengths_lists, st.integers(60, 150))
def test_packing_is_best_fit_decreasing(lengths: list[int], capacity: int) -> None:
    assert pack(LengthDistribution.of(lengths), capacity) == best_fit_decreasing(lengths, capacity)


@given(st.lists(st.integers(1, 20), min_size=1, max_size=7), st.integers(20, 40))
def test_packing_keeps_within_its_proven_distance_of_the_best(
    lengths: list[int], capacity: int
) -> None:
    packed, best = pack(LengthDistribution.of(lengths), capacity), fewest_bins(lengths, capacity)
    assert best <= packed <= math.floor(11 / 9 * best + 6 / 9)  # Dosa 2007, shared by best fit


def test_packing_of_many_examples_needs_no_time_per_example() -> None:
    million = LengthDistribution.of([300, 700], [10_000_000, 10_000_000])
    assert pack(million, 1000) == 10_000_000


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 7))
def test_padding_is_the_mean_over_all_orders(lengths: list[int], micro_batch: int) -> None:
    totals = [
        sum(
            max(order[start : start + micro_batch]) * len(order[start : start + micro_batch])
            for start in range(0, len(order), micro_batch)
        )
        for order in itertools.permutations(lengths)
    ]
    expected = sum(totals) / len(totals)
    assert padded_tokens(LengthDistribution.of(lengths), micro_batch) == pytest.approx(expected)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=7), st.integers(1, 7))
def test_the_expected_longest_is_the_mean_over_all_draws(lengths: list[int], draws: int) -> None:
    drawn = list(itertools.combinations(lengths, min(draws, len(lengths))))
    expected = sum(map(max, drawn)) / len(drawn)
    assert expected_longest(LengthDistribution.of(lengths), draws) == pytest.approx(expected)


@given(lengths_lists, st.integers(1, 80), st.integers(1, 100))
def test_efficiencies_are_shares_and_parts_sum(
    lengths: list[int], sequence_length: int, micro_batch: int
) -> None:
    fit = fit_sequences(
        LengthDistribution.of(lengths),
        sequence_length=sequence_length,
        micro_batch_size=micro_batch,
    )
    assert fit.kept_tokens + fit.truncated_tokens == sum(lengths)
    assert fit.truncated_examples == sum(length > sequence_length for length in lengths)
    assert 0 < fit.packing_efficiency <= 1
    assert 0 < fit.padding_to_max_efficiency <= fit.padding_efficiency + 1e-12 <= 1 + 2e-12
    assert fit.padding_to_max_efficiency <= fit.packing_efficiency + 1e-12


@given(lengths_lists, st.integers(1, 80), st.integers(1, 80))
def test_more_truncation_never_keeps_more_tokens(lengths: list[int], one: int, two: int) -> None:
    kept = [
        fit_sequences(
            LengthDistribution.of(lengths), sequence_length=cut, micro_batch_size=2
        ).kept_tokens
        for cut in sorted((one, two))
    ]
    assert kept[0] <= kept[1]


@given(lengths_lists, st.integers(1, 99))
def test_statistics_are_those_of_numpy(lengths: list[int], percent: int) -> None:
    distribution = LengthDistribution.of(lengths)
    assert distribution.mean == pytest.approx(np.mean(lengths))
    assert distribution.longest == max(lengths)
    assert distribution.total == sum(lengths)
    expected = np.percentile(lengths, percent, method="inverted_cdf")
    assert distribution.quantile(percent / 100) == pytest.approx(expected)


def test_equal_distributions_are_equal_and_hash_alike() -> None:
    one, two = LengthDistribution.of([3, 1, 3]), LengthDistribution.of([1, 3], [1, 2])
    assert one == two
    assert hash(one) == hash(two)
    assert one != LengthDistribution.of([1, 3])
    assert one != Path()


@pytest.mark.parametrize("name", ["sequence_length", "micro_batch_size"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = {"sequence_length": 10, "micro_batch_size": 2} | {name: 0}
    with pytest.raises(InputError, match=f"{name} is 0"):
        fit_sequences(LengthDistribution.of([5]), **sizes)
