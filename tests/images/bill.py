"""Holds a bill of materials against the schema that the format's makers ship."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import jsonschema
from referencing import Registry, Resource

_SCHEMA = "bom-1.6.SNAPSHOT.schema.json"
_PARTS = (_SCHEMA, "spdx.SNAPSHOT.schema.json", "jsf-0.82.SNAPSHOT.schema.json")


@cache
def _validator() -> Any:
    folder = files("cyclonedx.schema") / "_res"
    schemas = {name: json.loads((folder / name).read_text(encoding="utf-8")) for name in _PARTS}
    resources = [(each["$id"], Resource.from_contents(each)) for each in schemas.values()]
    return jsonschema.Draft7Validator(schemas[_SCHEMA], registry=Registry().with_resources(resources))


def problems(bill: str | bytes) -> list[str]:
    """Return what is wrong with a bill in CycloneDX 1.6 JSON."""
    return [error.message for error in _validator().iter_errors(json.loads(bill))]
