"""Holds plain data against matrix.json and turns the first failure into a message with line and suggestion."""

import difflib
import json
from collections.abc import Iterable
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError

from runner import resources
from runner.errors import MatrixError
from runner.matrix.document import Document

_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "number": "a number"}


def check(document: Document, name: str) -> None:
    """Check `document` against the published schema.

    Raises:
        MatrixError: for the failure that stands first in the file.
    """
    rules = json.loads(resources.schema("matrix").read_text())
    validator = jsonschema.Draft202012Validator(rules)
    errors = list(validator.iter_errors(document.data))
    if errors:
        raise min((_explain(error, document, name) for error in errors), key=lambda pair: pair[0])[1]


def _explain(error: ValidationError, document: Document, name: str) -> tuple[int, MatrixError]:
    path = tuple(error.absolute_path)
    line = document.line(path)
    what, hint = _text(error, path)
    if error.validator == "additionalProperties":
        unknown = _unknown_keys(error)
        line = min(document.line((*path, key)) for key in unknown)
    return line, MatrixError(what, where=f"{name}:{line}", hint=hint)


def _text(error: ValidationError, path: tuple[str | int, ...]) -> tuple[str, str]:
    place = ".".join(str(part) for part in path) or "the file"
    value: Any = error.instance
    rule: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            unknown = _unknown_keys(error)[0]
            known = sorted(error.schema.get("properties", {})) if isinstance(error.schema, dict) else []
            return f"unknown key {unknown!r} in {place}", suggest(unknown, known)
        case "required":
            missing = sorted(set(rule) - set(value))
            return f"{place} lacks {', '.join(map(repr, missing))}", f"add {missing[0]}: ..."
        case "type":
            given = type(value).__name__
            quoted = f'; write "{value}" in quotes' if rule == "string" and not isinstance(value, dict | list) else ""
            return (
                f"{place} must be {_TYPES.get(str(rule), rule)}, not {value!r} ({given})",
                f"see docs/matrix.md{quoted}",
            )
        case "enum":
            return f"{place} cannot be {value!r}", suggest(str(value), [str(each) for each in rule])
        case "const":
            return (
                f"{place} must be {rule!r}, not {value!r}",
                f"this release reads format {rule}; update repromatrix for another",
            )
        case _:
            wanted = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
            return f"{place}: {error.message[:200]}", wanted or "see docs/matrix.md"


def _unknown_keys(error: ValidationError) -> list[str]:
    known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
    given: Any = error.instance
    return [key for key in given if key not in known] or ["?"]


def suggest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ..." for the nearest known word, or the list of them."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"expected one of: {', '.join(known)}" if known else "see docs/matrix.md"
