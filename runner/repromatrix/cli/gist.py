"""What the command line says of a report, and what can be demanded of it. Needs neither the view nor the pages."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from repromatrix.cli.story import Story
from repromatrix.errors import ExitCode, UsageError
from repromatrix.results.accepted import Accepted, read

ACCEPTED = "accepted.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gist:
    """What is said of a report.

    Attributes:
        missing: cells of the run without a record.
        lines: how the published tables fared, and what changed since the accepted run.
        reproduced: whether pinned environments reproduce whole published tables.
        compared: whether the accepted run has cells of this one; also where there is no accepted run.
        kept: whether no bits and no outcomes changed since the accepted run, and no cell of it is gone.
    """

    missing: tuple[str, ...]
    lines: tuple[str, ...]
    reproduced: bool
    compared: bool
    kept: bool

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Return what `document` gave.

        Raises:
            KeyError: it gave something else.
            TypeError: likewise.
        """
        lists = {name: tuple(document[name]) for name in ("missing", "lines")}
        return cls(**{**document, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A report on disk: its files, its gist, and whether it was written just now."""

    files: tuple[Path, ...]
    gist: Gist
    new: bool = True


def tell(written: Written, story: Story, before: Gist | None = None) -> None:
    """Say what a report holds; what was said `before`, of the one that it replaces, is not said again."""
    gist, files = written.gist, ", ".join(str(path) for path in written.files)
    missing = [cell_id for cell_id in gist.missing if before is None or cell_id not in before.missing]
    lines = [line for line in gist.lines if before is None or line not in before.lines]
    for cell_id in missing:
        story.say(f"{'missing':<10} {cell_id}")
    story.say(f"{'wrote' if written.new else 'unchanged':<10} {files}")
    for line in lines:
        story.say(line)


def print_json(written: Written) -> None:
    """Print what was written, and what is missing in it."""
    print(json.dumps({"files": [str(path) for path in written.files], "missing": list(written.gist.missing)}))


def demanded(options: Namespace, gist: Gist) -> ExitCode:
    """Return 1 if a demand is not met.

    `--require-published`: pinned environments reproduce the whole published tables. `--require-accepted`: every cell of
    the accepted run is there, and no bits and no outcomes changed.

    Raises:
        UsageError: `--require-accepted`, and the accepted run has no cell of this one.
    """
    if options.require_accepted and not gist.compared:
        raise UsageError(
            "--require-accepted, and no cell of this run is in the accepted one: nothing was compared",
            where=str(options.accepted or ACCEPTED),
            hint="run the same profile, or accept this run: repromatrix accept",
        )
    unmet = (options.require_published and not gist.reproduced) or (options.require_accepted and not gist.kept)
    return ExitCode.DIFFERENCE if unmet else ExitCode.OK


def accepted_run(path: Path | None, *, required: bool = False) -> Accepted | None:
    """Return the accepted run: that file, or accepted.json of the current folder if it is there, else None.

    Raises:
        UsageError: a file that was named or is `required` is not there, or one cannot be read.
    """
    if path is None and not Path(ACCEPTED).is_file():
        if required:
            raise UsageError(
                "--require-accepted, and there is no accepted run",
                where=ACCEPTED,
                hint="accept one: repromatrix accept",
            )
        return None
    return read(path or Path(ACCEPTED))
