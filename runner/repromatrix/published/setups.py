"""Where a published column was run, and which setup answers for it: the newest pinned version of its framework."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from repromatrix.compare.versions import version_key
from repromatrix.results.manifest import Column
from repromatrix.results.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Where a column was run: one environment on one device with one bundle of settings.

    Attributes:
        pinned: False: no lock fixes the environment's packages, it was taken as it was found.
    """

    environment: str
    framework: str
    version: str
    flavour: str
    device: str
    settings: str
    pinned: bool


def setup_of(record: Record) -> Setup:
    """Return where a record was run."""
    cell = record.cell
    return Setup(
        environment=cell.environment,
        framework=cell.framework,
        version=cell.version,
        flavour=cell.flavour,
        device=cell.device,
        settings=cell.settings,
        pinned=record.pinned is not False,
    )


def find(records: Iterable[Record], setup: Setup, variant: str) -> Record | None:
    """Return the record of a variant in a setup, or None."""
    return next((each for each in records if each.cell.variant == variant and setup_of(each) == setup), None)


def setups(column: Column, records: Sequence[Record]) -> list[Setup]:
    """The setups that answer for a column: the newest of its framework first, then all others that ran the variant.

    The newest is taken over the whole framework, so that a variant missing there is seen and not papered over by
    an older version. Plain settings on the CPU, as the document used them, come before any other. What is not pinned
    answers only where nothing of the framework is.
    """
    every = {setup_of(each): None for each in records if each.cell.framework == column.framework}
    # Stable sorts, the weightiest last: of equal versions the flavour `cpu` is the document's.
    ordered = sorted(every, key=lambda each: (each.flavour != "cpu", each.environment, each.device, each.settings))
    ordered.sort(key=lambda each: version_key(each.version), reverse=True)
    ordered.sort(key=lambda each: (not each.pinned, each.settings != "default", each.device != "cpu"))
    ran = [each for each in ordered if find(records, each, column.variant)]
    peers = [each for each in ordered if _rank(each) == _rank(ordered[0])]
    newest = next((each for each in peers if each in ran), peers[0]) if peers else None
    return ([newest] if newest else []) + [each for each in ran if each != newest]


def _rank(setup: Setup) -> tuple[bool, str, str, str]:
    return setup.pinned, setup.settings, setup.device, setup.version


def absence(record: Record | None, variant: str, setup: Setup) -> str:
    """Say why a variant has no trajectory in a setup."""
    if record is None:
        return f"no record of {variant} in {setup.environment}"
    return f"{record.outcome.value}: {record.reason}" if record.reason else record.outcome.value
