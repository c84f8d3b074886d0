"""`repromatrix schema NAME`: the published JSON Schemas."""

from argparse import ArgumentParser, Namespace

from repromatrix import resources
from repromatrix.cli import options as shared
from repromatrix.cli import out


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("name", choices=resources.schemas(), help="the kind of file")
    shared.examples(parser, "schema record > record.schema.json")


def run(options: Namespace) -> int:
    """Print the schema."""
    out.presented(resources.schema(options.name).read_text())
    return 0
