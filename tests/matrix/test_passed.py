"""What passed its checks is not checked again; what did not is, and so is what changed."""

from pathlib import Path

import pytest

from repromatrix.errors import MatrixError, UsageError
from repromatrix.matrix import check, passed
from repromatrix.matrix.document import parse


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPROMATRIX_CACHE", str(tmp_path))
    return tmp_path


def checked(found: list[str], *given: object) -> tuple[list[str], bool]:
    made = []

    def look() -> list[str]:
        made.append(True)
        return found

    return passed.unless_passed(look, *given), bool(made)


def test_what_passed_is_checked_once() -> None:
    assert checked([], "rule", {"a": 1}) == ([], True)
    assert checked(["never asked"], "rule", {"a": 1}) == ([], False)


@pytest.mark.parametrize("other", [("rule", {"a": True}), ("rule", {"a": "1"}), ("another rule", {"a": 1})])
def test_what_is_not_the_same_is_checked(other: tuple[object, ...]) -> None:
    checked([], "rule", {"a": 1})
    assert checked([], *other) == ([], True)


def test_what_did_not_pass_is_checked_and_told_every_time() -> None:
    for _ in range(2):
        assert checked(["wrong"], "rule") == (["wrong"], True)


def test_another_code_checks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    checked([], "rule")
    monkeypatch.setattr(passed, "_code", lambda: "0" * 16)
    assert checked([], "rule") == ([], True)


def test_without_a_cache_it_is_checked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("REPROMATRIX_CACHE", str(file))
    for _ in range(2):
        assert checked([], "rule") == ([], True)


def test_what_cleans_keeps_nothing_and_what_comes_after_it_does(cache: Path) -> None:
    with passed.nothing_kept():
        assert checked([], "rule") == ([], True)
    assert list(cache.iterdir()) == []
    assert checked([], "rule") == ([], True)
    assert checked([], "rule") == ([], False)


def test_an_account_without_a_home_checks_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise UsageError("this account has no home folder")

    monkeypatch.setattr(passed.resources, "cache", nowhere)
    for _ in range(2):
        assert checked([], "rule") == ([], True)


def test_a_mistake_in_a_file_that_passed_is_told() -> None:
    right = (Path(__file__).parents[2] / "matrix.yaml").read_text()
    assert checks(right) == checks(right) == ""
    assert "unknown key" in checks(right + "more: 1\n")


def checks(text: str) -> str:
    try:
        check.check(parse(text, "matrix.yaml"), "matrix.yaml")
    except MatrixError as error:
        return str(error)
    return ""
