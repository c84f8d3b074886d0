"""What others wrote is printed so that a person sees it, and a terminal obeys none of it."""

import pytest

from repromatrix.cli.printable import printable
from repromatrix.cli.story import Story


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("ctl\x1b[31m.csv", r"ctl\x1b[31m.csv"),
        ("a\rb\x07\x9bc\x7f", r"a\rb\x07\x9bc\x7f"),
        ("\u202egnp.exe\u2028\ud800", r"\u202egnp.exe\u2028\ud800"),
        ("Größe ≤ 1\u00a0ULP, 数\tx\ny", "Größe ≤ 1\u00a0ULP, 数\tx\ny"),
    ],
)
def test_what_steers_is_shown_by_its_escape_and_letters_stay(text, seen):
    assert printable(text) == seen


def test_an_end_of_line_is_shown_where_it_could_pretend_to_be_the_next_line():
    assert printable("x\ny", lines=False) == r"x\ny"


def test_the_story_of_a_run_steers_no_terminal(capsys):
    Story(quiet=False, verbose=False).say("failed     a\x1b[2Jb")
    assert capsys.readouterr().err == "failed     a\\x1b[2Jb\n"
