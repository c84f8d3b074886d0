"""The documentation as a site: Sphinx reads the Markdown pages of this folder as they are (`make docs`).

Sphinx with MyST was chosen because the pages stay plain Markdown that reads well where they lie, links between them and
to headings are checked, and both are kept by many; furo because it needs no script to be read, on a phone too.
"""

import sys
from argparse import RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[1] / "runner"))

from repromatrix import __version__
from repromatrix.cli.main import COMMANDS, parser_of
from repromatrix.cli.reference import examples
from repromatrix.resources import schema, schemas

project = "repromatrix"
author = "the repromatrix authors"
copyright = author  # noqa: A001 - Sphinx's own name
version = release = __version__

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
source_suffix = {".md": "markdown"}
exclude_patterns = ["published/*"]
html_theme = "furo"
html_title = "repromatrix"
html_show_sourcelink = False
html_static_path: list[str] = []
nitpicky = True


class Commands(SphinxDirective):
    """Every command with what its `--help` prints and its options in examples, in the order of `repromatrix --help`."""

    def run(self) -> list[nodes.Node]:
        """Return a section a command."""
        return [node for name, text in COMMANDS.items() for node in self._section(name, text)]

    def _section(self, name: str, text: str) -> list[nodes.Node]:
        parser = parser_of(name)
        parser.formatter_class = lambda prog: RawDescriptionHelpFormatter(prog, width=96)
        section = nodes.section(ids=[f"command-{name}"], names=[name])
        section += nodes.title(text=name)
        section += nodes.paragraph(text=f"{text[0].upper()}{text[1:]}.")
        section += nodes.literal_block(text=parser.format_help().rstrip(), language="text")
        told = [example or option for option, example in examples(name)]
        section += nodes.paragraph(text="Each option in an example:")
        section += nodes.literal_block(text="\n".join(dict.fromkeys(told)), language="text")
        return [section]


class Schemas(SphinxDirective):
    """Every JSON Schema that `repromatrix schema` prints."""

    def run(self) -> list[nodes.Node]:
        """Return a section a schema."""
        found: list[nodes.Node] = []
        for name in schemas():
            section = nodes.section(ids=[f"schema-{name}"], names=[f"schema {name}"])
            section += nodes.title(text=name)
            section += nodes.literal_block(text=schema(name).read_text().rstrip(), language="json")
            found.append(section)
        return found


def _last_night(app: Sphinx, _name: str, _template: str, context: dict[str, Any], _tree: object) -> None:
    """Name, on the site that a night publishes (`-t pages`), what stands beside these pages there."""
    if app.tags.has("pages"):
        to = context["pathto"]
        context["theme_announcement"] = (
            f'Last night: <a href="{to("report/index.html", 1)}">the report</a>, and '
            f'<a href="{to("history/index.html", 1)}">what changed since when</a>'
        )


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the two directives of the reference, and the line about last night."""
    app.connect("html-page-context", _last_night)
    app.add_directive("repromatrix-commands", Commands)
    app.add_directive("repromatrix-schemas", Schemas)
    return {"parallel_read_safe": True}
