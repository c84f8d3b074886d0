"""Releases in order, a value for each -> where it changed, with as few questions as halving needs."""

from math import ceil, log2

import pytest

from repromatrix.explain.bisect import Change, EndError, Search, Tried


def search(values: str) -> tuple[Search, list[str]]:
    """Return a search over releases named 0, 1, ...; a letter is a value, a dot a release that cannot be tried."""
    asked: list[str] = []

    def ask(version: str) -> Tried:
        asked.append(version)
        value = values[int(version)]
        return Tried(version=version, value=None if value == "." else value, reason="no wheel" if value == "." else "")

    return Search(versions=[str(place) for place in range(len(values))], ask=ask), asked


@pytest.mark.parametrize("count", [2, 3, 4, 5, 9, 33, 100])
def test_one_change_is_found_with_halving_and_no_more(count: int) -> None:
    for place in range(1, count):
        looking, asked = search("A" * place + "B" * (count - place))
        assert looking.first() == Change(last=str(place - 1), first=str(place))
        assert len(asked) == len(set(asked)) <= ceil(log2(max(count - 1, 1))) + 2


def test_the_same_value_at_both_ends_is_no_change() -> None:
    looking, asked = search("ABBA")
    assert looking.first() is None
    assert asked == ["0", "3"]


def test_what_cannot_be_tried_is_skipped_and_its_neighbours_are_asked() -> None:
    looking, _ = search("AA.BB")
    assert looking.first() == Change(last="1", first="3", between=("2",))
    assert search("A...B")[0].first() == Change(last="0", first="4", between=("1", "2", "3"))
    assert search("A.AAB")[0].first() == Change(last="3", first="4")


@pytest.mark.parametrize("values", [".AB", "AB."])
def test_an_end_without_a_value_is_told_and_not_guessed(values: str) -> None:
    with pytest.raises(EndError, match="has no value: no wheel"):
        search(values)[0].first()


def test_all_sees_what_comes_and_goes() -> None:
    looking, asked = search("AABBA.C")
    assert [(each.last, each.first, each.between) for each in looking.every()] == [
        ("1", "2", ()),
        ("3", "4", ()),
        ("4", "6", ("5",)),
    ]
    assert len(asked) == len("AABBA.C")
    assert looking.labels() == {"0": "A", "1": "A", "2": "B", "3": "B", "4": "A", "6": "C"}


def test_a_further_change_that_was_seen_on_the_way_is_told() -> None:
    looking, _ = search("AABBBBCCC")
    assert looking.first() == Change(last="1", first="2")
    assert looking.others(Change(last="1", first="2")) == (Change(last="4", first="8", between=("5", "6", "7")),)
    looking, _ = search("AABBBBBBB")
    assert looking.others(looking.first()) == ()


def test_no_release_is_asked_twice() -> None:
    looking, asked = search("AABBB")
    looking.first()
    looking.every()
    assert sorted(asked) == ["0", "1", "2", "3", "4"]
