"""The explanations of `matrix`: looked for only where what they stand on changed, or something has no answer yet."""

from argparse import Namespace
from dataclasses import replace

from repromatrix import resources
from repromatrix.cli.story import Story
from repromatrix.results.manifest import Manifest
from repromatrix.results.stamps import Stamps
from repromatrix.results.store import Store

_STEP = "explanations"


def explained(options: Namespace, story: Story, stamps: Stamps) -> bool:
    """Explain why cells differ, and return True; False: that is done, and nothing is left to try.

    Raises:
        ResultsError: what was tried before cannot be read.
    """
    question = _question(options, stamps)
    said = stamps.read(_STEP, options.results, question) if question else None
    if said is not None:
        for line in said.get("lines", ()):
            story.say(line)
        return False
    from repromatrix.cli.explain import everything

    run = _run(options)
    parts = "experiments" if options.no_operations else "experiments, then operations on the same inputs"
    story.say(f"{'next':<10} why cells differ: {parts}; the report is there already, and is written again after them")
    found = everything(options, story)
    question = _question(options, stamps)
    if question and found.settled and _run(options) == run:  # nobody ran meanwhile
        stamps.keep(_STEP, options.results, question, {"lines": found.said})
    return True


def _run(options: Namespace) -> Manifest:
    """Return what the latest run was asked for, whatever files were added to its folder since."""
    return replace(Store(options.results).read_manifest(), files=())


def _question(options: Namespace, stamps: Stamps) -> str | None:
    """Return the digest over all that explanations stand on; None where it cannot be read.

    The keys of the latest run, in its manifest, hold what the environments and this machine are.
    """
    try:
        results = Store(options.results).sha256()
        matrix = resources.file_sha256(options.matrix)
    except OSError:
        return None
    return stamps.question(_STEP, results, matrix, options.no_operations)
