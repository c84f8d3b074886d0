"""Evidence -> the `View`: every section of the report, frozen, sorted and rounded.

The templates only lay it out. The same records give the same view; nothing here reads a clock, a host or a path.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from repromatrix.operations.judgement import Memo
from repromatrix.report.evidence import Evidence
from repromatrix.report.run import run_of
from repromatrix.report.section import Headline, Section
from repromatrix.report.sections import sections
from repromatrix.report.sentence import Sentence

_S = TypeVar("_S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The whole report; `sections` by name, in the order of the page."""

    profile: str
    sections: Mapping[str, Section]

    @property
    def sentences(self) -> tuple[Sentence, ...]:
        """Everything that the report says."""
        return tuple(each for section in self.sections.values() for each in section.sentences)

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """The ways to the sections: anchor and word."""
        return tuple(link for section in self.sections.values() for link in section.links)

    def section(self, kind: type[_S]) -> _S:
        """Return the section of a type."""
        return next(each for each in self.sections.values() if isinstance(each, kind))

    def headlines(self, group: str) -> tuple[Headline, ...]:
        """Return the lines of the first screen under one heading."""
        every = (line for section in self.sections.values() for line in section.headlines)
        return tuple(line for line in every if line.group == group)

    def of_kind(self, kind: str) -> tuple[Sentence, ...]:
        """Return the sentences of a kind, in order."""
        return tuple(each for each in self.sentences if each.kind == kind)


def build(evidence: Evidence, memo: Memo | None = None) -> View:
    """Compute the report; `memo`: judgements of operations that were made before.

    Raises:
        ResultsError: a published table in the manifest cannot be read, or replays do not belong together.
    """
    run = run_of(evidence, {} if memo is None else memo)
    made = {name: module.build(run) for name, module in sections().items()}
    return View(profile=evidence.manifest.profile, sections=made)
