"""The view -> report.json's content (schemas/report.json, format 1): exact values, hexadecimal text for floats."""

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from repromatrix import __version__
from repromatrix.published.figures import Check, ColumnCheck
from repromatrix.published.predictions import Passes, PredictionCheck
from repromatrix.published.setups import Setup
from repromatrix.report import statements
from repromatrix.report.changes import Changes
from repromatrix.report.claims.base import of_kind
from repromatrix.report.claims.statements import PublishedVerdict
from repromatrix.report.explanations import PairRow
from repromatrix.report.rows import EnvironmentRow
from repromatrix.report.view import PublishedView, View
from repromatrix.results.accepted import bits
from repromatrix.results.record import Record

FORMAT = 1


def document(view: View) -> dict[str, Any]:
    """Return the report as JSON values."""
    names = {cell: each.name for each in view.classes for cell in each.cells}
    tables = [_published(each) for each in view.published]
    return {
        "format": FORMAT,
        "release": __version__,
        "profile": view.profile,
        "summary": _plain(view.summary) | {"outcomes": dict(view.summary.outcomes)},
        "cells": [_cell(each, names.get(each.cell.id)) for each in view.records],
        "missing": list(view.missing),
        "left_out": [{"id": each.id, "reason": each.reason} for each in view.left_out],
        "environments": [_environment(each) for each in view.environments],
        "published": tables[0] if tables else None,
        "other_published": tables[1:],
        "classes": [_plain(each) | {"same_state": each.same_state} for each in view.classes],
        "pairs": [
            _plain(each.difference.flat()) | {"older": each.older, "newer": each.newer} for each in view.version_pairs
        ],
        "lines": [_plain(each) | {"gaps": each.gaps} for each in view.lines],
        "same_states": _plain(view.same_states),
        "floors": _plain(view.floors),
        "claims": [each.document() for each in view.claims],
        "changes": _changes(view.changes) if view.changes else None,
        "tolerances": {dtype: _plain(each) for dtype, each in view.tolerances},
        "divergences": [_plain(each) | {"same": each.same} for each in view.divergences],
        "explanations": [_explanation(each) for each in view.explanations.pairs],
    }


def _explanation(row: PairRow) -> dict[str, Any]:
    """Return a pair in brief; its explanation is the claims about its factors and conditions."""
    return {
        **{name: getattr(row, name) for name in ("difference", "cause", "attributed", "share")},
        "a": row.a_cell,
        "b": row.b_cell,
        "names": list(row.names),
    }


def _changes(found: Changes) -> dict[str, Any]:
    counts = {name: getattr(found, name) for name in ("new", "gone", "outcomes", "bits", "identities")}
    return counts | {"accepted": found.accepted, "lines": list(found.lines), "digest": found.digest}


def _cell(record: Record, class_name: str | None) -> dict[str, Any]:
    cell, provenance = record.cell, record.provenance
    first, *others = record.trajectories or (None,)
    return {
        **{name: getattr(cell, name) for name in ("id", "workload", "framework", "version", "flavour", "python")},
        **{name: getattr(cell, name) for name in ("environment", "variant", "dtype", "device", "settings", "steps")},
        "options": dict(cell.options),
        "factors": dict(record.factors),
        "engine": provenance.engine if provenance else None,
        "pinned": record.pinned,
        "cpu_class": provenance.cpu_class if provenance else None,
        "key": record.key,
        "outcome": record.outcome.value,
        "reason": record.reason,
        "log": record.log,
        "repeats": record.repeats,
        "deterministic": record.deterministic,
        "class": class_name,
        "losses": list(first.losses) if first else [],
        "predictions": _plain(first.predictions) if first else [],
        "metrics": {each.name: list(each.texts) for each in first.metrics} if first else {},
        "bits": bits(record),
        "other_losses": [list(each.losses) for each in others if each],
    }


def _environment(row: EnvironmentRow) -> dict[str, Any]:
    cell, provenance = row.record.cell, row.record.provenance
    return {
        **{name: getattr(cell, name) for name in ("environment", "framework", "version", "flavour", "python")},
        "settings": list(row.settings),
        "cells": row.cells,
        "pinned": row.record.pinned,
        "provenance": _plain(provenance) if provenance else None,
        "fingerprint": row.record.fingerprint,
    }


def _published(view: PublishedView) -> dict[str, Any]:
    check = view.check
    return {
        "workload": check.workload,
        "source": check.table.source,
        "losses": _losses(view),
        "predictions": {
            "total": view.predictions_total,
            "reproduced": view.predictions_reproduced,
            "mismatches": [_prediction(each) for each in check.predictions if each.newest and each.reproduced is False],
            "not_computed": _predictions_not_computed(check),
            "rows": [_prediction(each) for each in check.predictions],
        },
        "contradictions": _plain(check.contradictions),
        "claims": [statements.document(each) for each in of_kind(view.claims, PublishedVerdict)],
        "comparison": {
            name: _plain(getattr(view.comparison, name))
            for name in ("closest", "cross_method", "larger", "exact", "same_digits")
        },
    }


def _losses(view: PublishedView) -> dict[str, Any]:
    check = view.check
    return {
        "total": view.total,
        "reproduced": view.reproduced,
        "not_pinned": view.not_pinned,
        "mismatches": [each for column in check.newest for each in _mismatches(column)],
        "not_computed": _not_computed(check),
        "by_environment": _by_environment(check),
        "columns": [
            {
                "column": each.title,
                **_setup(each.setup),
                "newest": each.newest,
                "cell": each.cell,
                "dtype": each.dtype,
                "reason": each.reason,
                "losses": _plain(each.losses),
            }
            for each in check.columns
        ],
    }


def _mismatches(column: ColumnCheck) -> list[dict[str, Any]]:
    return [
        {
            "column": column.title,
            "iteration": each.iteration,
            "published": each.published,
            "computed": each.computed,
            "hex": each.hex,
            **_setup(column.setup),
        }
        for each in column.losses
        if each.agrees is False
    ]


def _not_computed(check: Check) -> list[dict[str, Any]]:
    absent = [(each.title, each.reason, [loss for loss in each.losses if loss.agrees is None]) for each in check.newest]
    return [
        *({"column": title, "losses": len(losses), "reason": reason} for title, reason, losses in absent if losses),
        *(
            {"column": each.title, "losses": len(check.table.losses[each.title]), "reason": each.reason}
            for each in check.not_run
        ),
    ]


def _predictions_not_computed(check: Check) -> list[dict[str, Any]]:
    absent = [each for each in check.predictions if each.newest and each.reproduced is None]
    printed = {each.column for each in check.table.predictions if each.prediction is not None}
    return [
        *({"column": each.printed.column, "reason": each.by.reason} for each in absent),
        *({"column": each.title, "reason": each.reason} for each in check.not_run if each.title in printed),
    ]


def _by_environment(check: Check) -> list[dict[str, Any]]:
    setups: dict[Setup, list[ColumnCheck]] = {}
    for each in check.columns:
        setups.setdefault(each.setup, []).append(each)
    return [
        {
            **_setup(setup),
            "newest": any(each.newest for each in columns),
            "columns": [each.title for each in columns],
            "total": sum(len(each.losses) for each in columns),
            "reproduced": sum(each.reproduced for each in columns),
            "mismatches": [each for column in columns for each in _mismatches(column)],
        }
        for setup, columns in setups.items()
    ]


def _prediction(check: PredictionCheck) -> dict[str, Any]:
    agreeing = check.by.agreeing
    return {
        "column": check.printed.column,
        **_setup(check.setup),
        "newest": check.newest,
        "published": list(check.printed.prediction or ()),
        "target": list(check.printed.target),
        "error": list(check.printed.error or ()),
        "reproduced": check.reproduced,
        "which": agreeing.convention.value if agreeing else None,
        "own": _passes(check.own),
        "by": _passes(check.by),
    }


def _passes(passes: Passes) -> dict[str, Any]:
    return {
        **{name: getattr(passes, name) for name in ("variant", "cell", "dtype", "reason")},
        "forwards": [
            {"which": each.convention.value, **{n: list(getattr(each, n)) for n in ("texts", "hex", "errors")}}
            | {"agrees": each.agrees}
            for each in passes.forwards
        ],
    }


def _setup(setup: Setup) -> dict[str, str | bool]:
    return {name: getattr(setup, name) for name in Setup.__dataclass_fields__}


def _plain(value: Any) -> Any:
    """Return frozen values as JSON values; a float that JSON lacks becomes text."""
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
