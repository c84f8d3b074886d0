"""The text of a written page, as a reader has it."""

import html
import re
from html.parser import HTMLParser


class _Text(HTMLParser):
    """The text of a page, without that of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its signature
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def of_html(page: str) -> str:
    """Return the text of an HTML page, its white space single."""
    parser = _Text()
    parser.feed(page)
    return " ".join("".join(parser.parts).split())


def of_markdown(page: str) -> str:
    """Return the text of a Markdown page, its white space single."""
    return " ".join(html.unescape(re.sub(r"\\(.)", r"\1", page)).split())
