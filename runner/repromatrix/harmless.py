"""Foreign text -> text that is harmless in the place where it is printed; the only module that knows how.

Foreign is all that a person of this project did not write: reasons, names and fingerprints of a results folder, titles
of a document, a loss log's columns. What cannot be seen, or steers what shows it, is shown by its escape everywhere.
JSON alone holds a text as it is, in its own escapes.
"""

import json
import re
from typing import Any

# Control and format characters, ends of lines that are none of ours, halves of surrogate pairs, private use, and what
# is no character at all. Named by range, for the tables of Python's releases differ, and reports must not.
_STEERS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\uf8ff\ufdd0-\ufdef\ufeff\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
# What a CI obeys in its log: GitHub at the start of a line, the older form, Azure's and TeamCity's wherever it stands.
_AT_START = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)
_ANYWHERE = re.compile(r"#(?=#(?:\[|vso\[|teamcity\[))", re.IGNORECASE)
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#|~!<>&])")
# What sites make of bare text: names of people and groups, addresses, numbers of issues. A sign of no width ends it.
_NAMES_ALL = re.compile(r"(?<![^\W_])@(?=\\?\w)|@(?=[\w.-]+\.\w)|\\[#!](?=\d)|\b(?:GH|gh)-(?=\d)")
_ADDRESS = re.compile(r"\w:(?=//)|\bwww(?=\.)|\b(?:mailto|xmpp):(?=\w)", re.IGNORECASE)
_NOTHING = "&#8203;"


def shown(text: str) -> str:
    """Return a text, of one or several lines, in which whatever cannot be seen is shown by its escape; for HTML."""
    return _STEERS.sub(_escape, text)


def lines(text: str) -> str:
    """Return a text whose ends of lines are our own, for a terminal or the log of a CI: it obeys none of it."""
    return _ANYWHERE.sub(_escape, _AT_START.sub(r"\1\\x3a", shown(text)))


def line(text: str) -> str:
    """Return a text for one line of a terminal or of the log of a CI: none of it can pretend to be the next line."""
    return lines(text.replace("\n", "\\n"))


def markdown(text: str) -> str:
    """Return a text as one line of Markdown that shows it, names nobody and links to nothing."""
    escaped = _MARKDOWN.sub(r"\\\1", shown(" ".join(text.split())))
    return _ADDRESS.sub(_ended, _NAMES_ALL.sub(_ended, escaped))


def xml(text: str) -> str:
    """Return a text that XML 1.0 can hold, harmless in a CI's log too; its own signs are still to be escaped."""
    return lines(text)


def in_json(value: Any, **form: Any) -> str:
    """Return JSON whose text is itself harmless, for what steers stands there in JSON's own escapes.

    Args:
        value: JSON values.
        form: of the text, as `json.dumps` takes it.
    """
    return json_text(json.dumps(value, ensure_ascii=False, allow_nan=False, **form))


def json_text(text: str) -> str:
    """Return JSON with the same values in which what steers, a CI's log too, stands in JSON's own escapes."""
    return _ANYWHERE.sub(r"\\u0023", _STEERS.sub(lambda found: json.dumps(found.group())[1:-1], text))


def values(value: Any) -> Any:
    """Return JSON values with each text in them as HTML may show it."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {shown(name): values(part) for name, part in value.items()}
    return [values(part) for part in value] if isinstance(value, list | tuple) else value


def steers(text: str) -> bool:
    """Whether something in a text is not what can be seen."""
    return _STEERS.search(text) is not None


def _escape(found: re.Match[str]) -> str:
    text = found.group()
    return f"\\x{ord(text):02x}" if text == "#" else text.encode("unicode_escape").decode()


def _ended(found: re.Match[str]) -> str:
    return found.group() + _NOTHING
