"""The JSON Schemas of records, traces and experiments, made from the types that read and write them.

To write them anew: `python -m repromatrix.results.schemas`.
"""

import inspect
from typing import Any

import msgspec

from repromatrix import resources
from repromatrix.results import accepted, experiments, operations, record, replay, replays, trace
from repromatrix.results import document as documents

_TITLES = {
    "accepted": "What cells are expected to give, by CPU class, and who accepted it when and why.",
    "record": "What one cell gave: outcome, values in columns, fingerprint, provenance.",
    "experiments": "What was run to explain pairs of cells, and why the rest could not be.",
    "operations": "Which cells ran the workload `operations`, with its table and inputs.",
    "trace": "Every value of a traced cell, step by step.",
    "replays": "Whose operations were replayed, and which traces and replays tell of them.",
    "replay": "What an operation of a cell gave on inputs of its own, or a whole step on a trace.",
}


# Numbers only of a cell that ran well, and a reason only of any other.
_RAN = {
    "if": {"properties": {"outcome": {"const": "ok"}}},
    "then": {"properties": {"trajectories": {"minItems": 1}, "reason": {"type": "null"}}},
    "else": {"properties": {"trajectories": {"maxItems": 0}, "reason": {"type": "string"}}},
}


def made() -> dict[str, dict[str, Any]]:
    """Return name -> JSON Schema of the formats whose types say all of it."""
    return {
        "accepted": schema("accepted", _TITLES["accepted"], accepted.Document, accepted.FORMAT),
        "record": schema("record", _TITLES["record"], record.Document, record.FORMAT) | _RAN,
        "experiments": schema("experiments", _TITLES["experiments"], experiments.Document, experiments.FORMAT),
        "operations": schema("operations", _TITLES["operations"], operations.Listing, operations.FORMAT),
        "trace": schema("trace", _TITLES["trace"], trace.Document, trace.FORMAT),
        "replays": schema("replays", _TITLES["replays"], replays.Document, replays.FORMAT),
        "replay": schema("replay", _TITLES["replay"], replay.Document, replay.FORMAT),
    }


def written(found: dict[str, Any]) -> bytes:
    """Return a schema as the bytes of its file."""
    return documents.write(found)


def schema(name: str, title: str, kind: type[Any], number: int) -> dict[str, Any]:
    """Return the JSON Schema of a format from the type of its document."""
    (found,), definitions = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for each in definitions.values():
        _as_written(each)
    definitions[kind.__name__]["properties"]["format"] = {"const": number}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:repromatrix:{name}:{number}",
        "title": f"repromatrix {name}",
        "description": title,
        "$defs": definitions,
        **found,
    }


def _as_written(definition: dict[str, Any]) -> None:
    """Make a definition say what a file has: no unknown field, and every one that is not left out at its default."""
    definition["description"] = inspect.cleandoc(definition["description"])
    if "properties" in definition and "additionalProperties" not in definition:  # of a dataclass: all are written
        definition["additionalProperties"] = False
        definition["required"] = list(definition["properties"])


def main() -> None:
    """Write the files of the package."""
    for name, found in made().items():
        resources.write_atomically(resources.schema(name), written(found))


if __name__ == "__main__":
    main()
