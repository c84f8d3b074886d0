"""The view -> index.html, report.md and report.json; likewise the page of a history. Alone knows Jinja2; no logic."""

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from repromatrix import harmless, resources
from repromatrix.report import history as nights
from repromatrix.report import page
from repromatrix.report.document import document
from repromatrix.report.view import View

MARKDOWN_BYTES = 60_000
TEMPLATES = (resources.folder("templates"),)
# In this order they are one script: each may use what stands before it.
_SCRIPT = (
    "numbers", "records", "copying", "published", "details", "selection", "cells", "filters", "experiments",
    "operations", "picture", "lines", "heat", "traced", "gallery", "main",
)  # fmt: skip


def write(view: View, output: Path, more: Mapping[Path, str] | None = None) -> tuple[Path, ...]:
    """Write the report's three files into `output`, with `more`: all or none; return their paths."""
    texts = {output / name: text for name, text in contents(view).items()} | dict(more or {})
    resources.write_together({path: text.encode() for path, text in texts.items()})
    return tuple(texts)


def contents(view: View) -> dict[str, str]:
    """Return the report's three files by name; the same view, the same texts."""
    return {"index.html": html(view), "report.md": markdown(view), "report.json": json_text(view)}


def html(view: View) -> str:
    """Return the page: one file that asks for nothing, its style and script allowed by their digests alone."""
    folder = TEMPLATES[0]
    own = "".join(_read(folder, f"script/{name}.js") for name in _SCRIPT)
    scripts = [_read(folder, "vendor/d3.min.js"), _read(folder, "vendor/plot.umd.min.js"), own]
    data = Markup(page.embedded(view))  # noqa: S704 - JSON without any `<`
    return _page("index.html", scripts, [_read(folder, "vendor/plot-style.css")], view=view, data=data)


def history(view: nights.Page) -> str:
    """Return the page of a history, by the same rules."""
    return _page("history.html", [_read(TEMPLATES[0], "script/history.js")], view=view, head=nights.PAGE_HEAD)


def _page(template: str, scripts: Sequence[str], inserted: Sequence[str] = (), **words: object) -> str:
    """Return a page with our style.

    `inserted`: styles that a script puts in.
    """
    style = _read(TEMPLATES[0], "report.css")
    policy = (
        f"default-src 'none'; style-src {' '.join(map(_source, [style, *inserted]))}; "
        f"script-src {' '.join(map(_source, scripts))}; base-uri 'none'; form-action 'none'"
    )
    # The digests stand over exactly these texts, so no template engine may touch them.
    return (
        _environment(TEMPLATES, _html_text)
        .get_template(template)
        .render(
            policy=policy,
            style=Markup(style),  # noqa: S704 - our own files
            scripts=[Markup(each) for each in scripts],  # noqa: S704
            **words,
        )
    )


def markdown(view: View) -> str:
    """Return the summary for a pull request or a job: under 60 kB, a cut is announced."""
    environment = _environment(TEMPLATES, _markdown_text)  # Markdown has its own escapes
    text = re.sub(r"\n{3,}", "\n\n", environment.get_template("report.md").render(view=view))
    if len(text.encode()) <= MARKDOWN_BYTES:
        return text
    notice = "\n\n**Cut here: the whole report is in index.html and report.json.**\n"
    kept = text.encode()[: MARKDOWN_BYTES - len(notice.encode())].decode(errors="ignore")
    return kept[: kept.rfind("\n")] + notice


def json_text(view: View) -> str:
    """Return the report for programs, canonical."""
    return harmless.in_json(document(view), sort_keys=True, indent=1) + "\n"


def _read(folder: Path, name: str) -> str:
    return (folder / name).read_text("utf-8")


@cache
def _environment(folders: tuple[Path, ...], finalize: Callable[[object], object]) -> jinja2.Environment:
    return jinja2.Environment(
        finalize=finalize,
        loader=jinja2.FileSystemLoader(folders),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(("html",)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markdown_text(value: object) -> object:
    """Return what a template prints as one line of Markdown."""
    return harmless.markdown(value) if isinstance(value, str) else value


def _html_text(value: object) -> object:
    """Return what a template prints, markup of its own apart, as text that is still to be escaped."""
    return harmless.shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _source(text: str) -> str:
    """Return a Content-Security-Policy source that allows one inline text by its digest."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
