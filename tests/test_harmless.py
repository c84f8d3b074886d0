"""What others wrote is printed so that a person sees it, and nothing obeys any of it."""

import html
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as some

from repromatrix import harmless
from tests import hostile


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ctl\x1b[31m.csv", r"ctl\x1b[31m.csv"),
        ("a\rb\x07\x9bc\x7f", r"a\rb\x07\x9bc\x7f"),
        ("\u202egnp.exe\u2028\ud800", r"\u202egnp.exe\u2028\ud800"),
        ("Größe ≤ 1\u00a0ULP, 数\tx\ny", "Größe ≤ 1\u00a0ULP, 数\tx\ny"),
    ],
)
def test_what_steers_is_shown_by_its_escape_and_letters_stay(text: str, seen: str) -> None:
    assert harmless.shown(text) == harmless.lines(text) == seen


def test_an_end_of_line_is_shown_where_it_could_pretend_to_be_the_next_line() -> None:
    assert harmless.line("x\ny") == r"x\ny"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("::error::x", r"\x3a:error::x"),
        ("a::b\n \t::c", "a::b\n \t\\x3a:c"),
        ("##[error]x", r"\x23#[error]x"),
        ("# 1 ## 2 std::x", "# 1 ## 2 std::x"),
    ],
)
def test_what_a_ci_obeys_in_its_log_is_shown_by_its_escape(text: str, seen: str) -> None:
    assert harmless.lines(text) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("@octocat", "@&#8203;octocat"),
        ("mazur/torch-2.13.0-cpu/auto@cuda0", "mazur/torch-2.13.0-cpu/auto@cuda0"),
        ("a@b.example", "a@&#8203;b.example"),
        ("#12 a/b#3 !4 GH-5", r"\#&#8203;12 a/b\#&#8203;3 \!&#8203;4 GH-&#8203;5"),
        ("https://a www.b", "https:&#8203;// a www&#8203;.b".replace("// a", "//a")),
        ("a\n b|c <d> &#8203;", r"a b\|c \<d\> \&\#&#8203;8203;"),
    ],
)
def test_markdown_names_nobody_and_links_to_nothing(text: str, seen: str) -> None:
    assert harmless.markdown(text) == seen


@pytest.mark.parametrize("text", hostile.CORPUS.values(), ids=hostile.CORPUS)
def test_every_hostile_text_is_still_everywhere(text: str) -> None:
    hostile.assert_still(harmless.shown(text))
    hostile.assert_still(harmless.xml(text))
    hostile.assert_still_in_a_log(harmless.xml(text))
    hostile.assert_still_in_a_log(harmless.in_json([text]))
    hostile.assert_still_in_a_log(harmless.lines(text))
    hostile.assert_still_in_a_log(harmless.line(text))
    assert "\n" not in harmless.line(text)
    hostile.assert_still_in_markdown(harmless.markdown(text))


@given(some.text())
def test_json_keeps_every_text_and_is_still_itself(text: str) -> None:
    written = harmless.in_json({text: [text, 1, None]}, sort_keys=True)
    assert json.loads(written) == {text: [text, 1, None]}
    hostile.assert_still(written)


@given(some.text(some.characters(categories=("L", "N", "Zs"))))
def test_letters_and_numbers_stay_as_they_are(text: str) -> None:
    assert harmless.lines(text) == harmless.xml(text) == text
    assert html.unescape(harmless.markdown(text)).replace("\u200b", "") == " ".join(text.split())


def test_every_control_and_format_character_that_this_python_knows_is_one() -> None:
    known = [
        chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
    ]
    assert [text for text in known if not harmless.steers(text)] == ["\t", "\n"]
