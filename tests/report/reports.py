"""Views of records: what a test has at hand -> the report of it."""

from repromatrix.report.evidence import Evidence
from repromatrix.report.view import View
from repromatrix.report.view import build as build_of


def build(manifest, records, missing=(), accepted=None, **more) -> View:
    """Return the report of these records; `more`: fields of `Evidence`."""
    evidence = Evidence(
        manifest=manifest,
        records=tuple(records),
        missing=tuple(missing),
        accepted=accepted,
        **{name: value for name, value in more.items() if value is not None},
    )
    return build_of(evidence)
