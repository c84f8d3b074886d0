"""The JSON Schemas of records and traces, made from the types that read and write them."""

from typing import Any

import msgspec

from repromatrix.results import record, trace

_TITLES = {
    "record": "What one cell gave: outcome, values in columns, fingerprint, provenance.",
    "trace": "Every value of a traced cell, step by step.",
}


def made() -> dict[str, dict[str, Any]]:
    """Return name -> JSON Schema of the formats whose types say all of it."""
    types = {"record": record.Document, "trace": trace.Document}
    return {name: _schema(name, kind) for name, kind in types.items()}


def _schema(name: str, kind: type[Any]) -> dict[str, Any]:
    written = msgspec.json.schema(kind)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:repromatrix:{name}:{record.FORMAT if name == 'record' else trace.FORMAT}",
        "title": f"repromatrix {name}",
        "description": _TITLES[name],
    }
    return head | written
