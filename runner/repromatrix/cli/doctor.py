"""`repromatrix doctor`: what works on this machine, what does not, what to type."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from repromatrix.cli import options as shared
from repromatrix.cli import out
from repromatrix.cli.select import registry_of
from repromatrix.errors import ExitCode

if TYPE_CHECKING:
    from repromatrix.execute.machine import Finding


def arguments(parser: ArgumentParser) -> None:
    """Say what the command takes."""
    shared.matrix(parser)
    shared.json_output(parser)


def run(options: Namespace) -> int:
    """Look at everything; exit 4 if something is missing that no run can do without."""
    from repromatrix.execute.machine import look

    findings = tuple(look(options.matrix, shared=registry_of(options) is not None))
    if options.json:
        out.document([asdict(finding) for finding in findings], indent=1)
    else:
        for finding in findings:
            _tell(finding)
    broken = any(finding.needed and not finding.ok for finding in findings)
    return int(ExitCode.ENVIRONMENT if broken else ExitCode.OK)


def _tell(finding: "Finding") -> None:
    mark = "ok" if finding.ok else "NO" if finding.needed else "--"
    out.say(f"{mark:<3} {finding.name:<14} {finding.found}")
    if finding.hint and not finding.ok:
        out.say(f"{'':<19}next: {finding.hint}")
