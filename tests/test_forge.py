"""One issue and one comment, edited in place; nobody else's text, and nothing where the token may not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from repromatrix.cli.main import run
from repromatrix.errors import EnvironmentFailedError
from repromatrix.forge import Forge, joined
from tests.forge import BOT, Fake, github


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    with github() as found:
        for name, value in found.variables.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.md"
    path.write_text("**exp** moved\n")
    return path


def writes(fake: Fake) -> list[str]:
    return [each for each in fake.calls if not each.startswith("GET")]


def test_an_issue_is_opened_then_edited_in_place_then_closed(
    fake: Fake, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    issue = ["post", "issue", "--marker", "watch", str(text)]
    assert run([*issue, "--title", "exp moved"]) == 0
    assert run([*issue, "--title", "exp moved"]) == 0
    text.write_text("**exp** and **log** moved\n")
    assert run([*issue, "--title", "two moved"]) == 0
    assert run([*issue, "--over"]) == 0
    assert run([*issue, "--over"]) == 0
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["opened", "unchanged", "updated", "closed", "nothing"]
    assert writes(fake) == ["POST /issues", "PATCH /issues/1", "PATCH /issues/1"]
    (only,) = fake.issues
    assert (only["title"], only["state"]) == ("two moved", "closed")
    assert only["body"] == "**exp** and **log** moved\n\n<!-- repromatrix: watch -->"
    assert fake.tokens == {"Bearer secret"}


def test_a_pull_request_is_opened_once_edited_in_place_and_closed(
    fake: Fake, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pull = ["post", "pull", "--marker", "pins", str(text)]
    for title in ("one", "one", "two"):
        assert run([*pull, "--title", title, "--head", "repromatrix-pins", "--base", "trunk"]) == 0
    assert run([*pull, "--over"]) == 0
    assert run([*pull, "--over"]) == 0
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["opened", "unchanged", "updated", "closed", "nothing"]
    (only,) = fake.pulls
    assert {key: only[key] for key in ("title", "head", "base", "state")} == {
        "title": "two", "head": "repromatrix-pins", "base": "trunk", "state": "closed",
    }  # fmt: skip
    assert fake.issues == []


def test_what_comes_back_after_it_was_closed_is_a_new_issue(fake: Fake, text: Path) -> None:
    issue = ["post", "issue", "--marker", "watch", str(text)]
    for more in (["--title", "one"], ["--over"], ["--title", "two"]):
        assert run([*issue, *more]) == 0
    assert [(each["title"], each["state"]) for each in fake.issues] == [("one", "closed"), ("two", "open")]


def test_a_comment_is_found_behind_a_hundred_others_and_nobody_elses_is_touched(fake: Fake, text: Path) -> None:
    comment = ["post", "comment", "--on", "7", "--marker", "impact", str(text)]
    fake.add(7, "mine!\n\n<!-- repromatrix: impact -->", "mallory")
    for number in range(150):
        fake.add(7, f"talk {number}", "somebody")
    assert run(comment) == 0
    text.write_text("nothing moved\n")
    assert run(comment) == 0
    assert writes(fake) == ["POST /issues/7/comments", "PATCH /issues/comments/1151"]
    assert fake.comments[7][0]["body"].startswith("mine!")
    assert [each["body"] for each in fake.comments[7] if each["user"]["login"] == BOT] == [
        "nothing moved\n\n<!-- repromatrix: impact -->"
    ]


def test_two_markers_are_two_texts(fake: Fake, text: Path) -> None:
    for name in ("impact", "impact.numpy", "impact"):
        assert run(["post", "comment", "--on", "7", "--marker", name, str(text)]) == 0
    assert len(fake.comments[7]) == 2


def test_a_token_that_may_not_write_is_an_error_unless_that_is_expected(
    fake: Fake, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.may_write = False
    comment = ["post", "comment", "--on", "7", "--marker", "impact", str(text)]
    assert run(comment) == 4
    assert "403" in capsys.readouterr().err
    assert run([*comment, "--if-allowed"]) == 0
    assert "not posted" in capsys.readouterr().err
    assert fake.comments == {}


def test_a_text_that_is_too_long_is_cut_at_a_line_and_keeps_its_marker(fake: Fake, text: Path) -> None:
    text.write_text("a line of it\n" * 10_000)
    assert run(["post", "comment", "--on", "7", "--marker", "impact", str(text)]) == 0
    body = fake.comments[7][0]["body"]
    assert len(body) < 65_536
    assert body.endswith("<!-- repromatrix: impact -->")
    assert "**Cut**" in body
    assert set(body.splitlines()[:-4]) == {"a line of it"}


@pytest.mark.parametrize(
    ("whole", "kept", "end"),
    [
        ("x" * 70_000, "x" * 60_000, "x\n"),
        ("````text\n```\n" + "a line\n" * 20_000, "````text\n```\na line\n", "````\n"),
        ("```text\nit\n```\n" + "a line\n" * 20_000, "```text\nit\n```\na line\n", "a line\n"),
    ],
)
def test_what_is_cut_keeps_its_only_line_and_ends_its_block_of_code(
    fake: Fake, text: Path, whole: str, kept: str, end: str
) -> None:
    text.write_text(whole)
    run(["post", "comment", "--on", "7", "--marker", "impact", str(text)])
    body = fake.comments[7][0]["body"]
    assert body.startswith(kept)
    assert body.partition("\n**Cut**")[0].endswith(end)


def test_a_silent_api_is_a_named_error(text: Path) -> None:
    with pytest.raises(EnvironmentFailedError, match="does not answer"):
        Forge("owner/name", "secret", api="http://127.0.0.1:9").comment("impact", 7, text.read_text())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["comment"], "--on"),
        (["issue"], "--title"),
        (["pull", "--title", "x"], "--head"),
        (["issue", "--title", "x", "--head", "y"], "--head"),
        (["issue", "--title", "x", "--on", "3"], "--on"),
        (["comment", "--on", "3", "--over"], "--over"),
        (["comment", "--on", "3", "--marker", "-->"], "marker"),
    ],
)
def test_what_is_missing_or_too_much_is_said(
    arguments: list[str], told: str, fake: Fake, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = arguments if "--marker" in arguments else [*arguments, "--marker", "x"]
    assert run(["post", *[each if each != "-->" else "x -->" for each in given], str(text)]) == 2
    assert told in capsys.readouterr().err
    assert fake.calls == []


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "GITHUB_REPOSITORY"])
def test_a_missing_variable_is_named(
    name: str, fake: Fake, text: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(name)
    assert run(["post", "issue", "--marker", "x", "--title", "t", str(text)]) == 2
    assert name in capsys.readouterr().err
    assert fake.calls == []


def test_no_line_of_a_text_ends_its_block_of_code(tmp_path: Path) -> None:
    path = tmp_path / "merge.txt"
    path.write_text("broken\n```\n@octocat ````\nlast line without an end")
    whole = joined([path])
    assert whole.startswith("`````text\n")
    assert whole.endswith("without an end\n`````\n\n")


@pytest.mark.parametrize("answer", [b"null", b'{"message": "moved"}', b'"text"', b"5", b""])
def test_an_api_that_answers_something_else_is_a_named_error(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    found = requests.Response()
    found.status_code, found._content = 200, answer
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: found)
    with pytest.raises(EnvironmentFailedError, match="GitHub's API answers with no list"):
        Forge("a/b", "token").comment("here", 1, "text")


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("answer", [b"null", b"[]", b""])
def test_a_text_that_is_taken_without_an_answer_is_a_named_error(
    text: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    real = requests.Session.request

    def request(self: requests.Session, method: str, *given: object, **named: object) -> requests.Response:
        found = real(self, method, *given, **named)  # type: ignore[arg-type]
        if method != "GET":
            found._content = answer
        return found

    monkeypatch.setattr(requests.Session, "request", request)
    assert run(["post", "comment", "--on", "7", "--marker", "here", str(text)]) == EnvironmentFailedError("").exit_code


def test_a_comment_of_an_account_that_is_gone_is_nobodys(fake: Fake, text: Path) -> None:
    fake.add(7, "gone", "ghost")
    fake.comments[7][0]["user"] = None
    assert run(["post", "comment", "--on", "7", "--marker", "here", str(text)]) == 0
