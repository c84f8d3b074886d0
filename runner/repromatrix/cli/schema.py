"""`repromatrix schema NAME`: the published JSON Schemas."""

import sys
from argparse import ArgumentParser, Namespace

from repromatrix import resources
from repromatrix.cli import options as shared


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("name", choices=resources.schemas(), help="the kind of file")
    shared.examples(parser, "schema record > record.schema.json")


def run(options: Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(resources.schema(options.name).read_text())
    return 0
