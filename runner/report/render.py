"""The view -> index.html, report.md and report.json. The only module that knows Jinja2; no logic of its own."""

import base64
import hashlib
import json
import re
from pathlib import Path

import jinja2
from markupsafe import Markup

from runner import resources
from runner.report.document import document
from runner.report.view import View

MARKDOWN_BYTES = 60_000
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]()#|~!<>&])")


def write(view: View, output: Path) -> tuple[Path, ...]:
    """Write the report's three files into `output`, each atomically, and return their paths."""
    contents = {"index.html": html(view), "report.md": markdown(view), "report.json": json_text(view)}
    for name, text in contents.items():
        resources.write_atomically(output / name, text.encode())
    return tuple(output / name for name in contents)


def html(view: View) -> str:
    """Return the page: one file that asks for nothing, its style and script allowed by their digests alone."""
    folder = resources.folder("templates")
    style, script = (folder / "report.css").read_text("utf-8"), (folder / "report.js").read_text("utf-8")
    policy = f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'"
    # The digests stand over exactly these texts, so no template engine may touch them.
    return (
        _environment(folder)
        .get_template("index.html")
        .render(view=view, policy=policy, style=Markup(style), script=Markup(script))  # noqa: S704 - our own files
    )


def markdown(view: View) -> str:
    """Return the summary for a pull request or a job: under 60 kB, a cut is announced."""
    environment = _environment(resources.folder("templates"))
    environment.finalize = _markdown_text  # Markdown has its own escapes
    text = environment.get_template("report.md").render(view=view)
    if len(text.encode()) <= MARKDOWN_BYTES:
        return text
    notice = "\n\n**Cut here: the whole report is in index.html and report.json.**\n"
    kept = text.encode()[: MARKDOWN_BYTES - len(notice.encode())].decode(errors="ignore")
    return kept[: kept.rfind("\n")] + notice


def json_text(view: View) -> str:
    """Return the report for programs, canonical."""
    return json.dumps(document(view), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _environment(folder: Path) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(("html",)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _markdown_text(value: object) -> object:
    """Return what a template prints as one line of Markdown that shows exactly that text."""
    if not isinstance(value, str):
        return value
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(value.split()))


def _source(text: str) -> str:
    """Return a Content-Security-Policy source that allows one inline text by its digest."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
