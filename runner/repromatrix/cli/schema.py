"""`repromatrix schema NAME`: the published JSON Schemas."""

import sys
from argparse import Namespace

from repromatrix import resources


def run(options: Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(resources.schema(options.name).read_text())
    return 0
