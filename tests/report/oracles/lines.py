"""Records -> the labels of every way to write the job along the versions, by another way than the report's own."""

from collections.abc import Iterable, Sequence

from repromatrix.report.verify.due import Due
from repromatrix.report.verify.versions import newest_last, ways
from repromatrix.results.manifest import Manifest
from repromatrix.results.record import Record
from tests.report.oracles.kinds import VersionLine


def lines(records: Sequence[Record], manifest: Manifest) -> Iterable[Due]:
    """Return the labels of every way to write the job along the versions."""
    for way, found in ways(records).items():
        workload, framework, flavour, python, variant, device, settings = way
        members = {each.cell.version: each for each in found}
        known = {v for f, fl, p, v in manifest.versions if (f, fl, p) == (framework, flavour, python)}
        versions = sorted({*members, *known}, key=newest_last)
        if len(versions) < 2:
            continue
        letters: dict[tuple[tuple[str, ...], ...], str] = {}
        yield VersionLine(
            cells=tuple(members[each].cell.id for each in versions if each in members),
            workload=workload,
            framework=framework,
            flavour=flavour,
            python=python,
            variant=variant,
            device=device,
            settings=settings,
            stops=tuple(_stop(each, members.get(each), letters) for each in versions),
        )


def _stop(
    version: str, record: Record | None, letters: dict[tuple[tuple[str, ...], ...], str]
) -> tuple[str, str | None, str | None]:
    if record is None:
        return version, None, "not run"
    if not record.trajectories:
        return version, None, f"{record.outcome.value}: {record.reason}" if record.reason else record.outcome.value
    if len(record.trajectories) > 1:
        return version, None, "its repeats differ"
    losses = record.trajectories[0].judged
    if losses not in letters:
        turn, letter = divmod(len(letters), 26)
        letters[losses] = f"{chr(ord('A') + letter)}{turn or ''}"
    return version, letters[losses], None
