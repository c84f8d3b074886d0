"""Holds plain data against matrix.json and turns the first failure into a message with line and suggestion."""

import difflib
import json
import math
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from repromatrix import resources
from repromatrix.errors import MatrixError
from repromatrix.matrix.document import Document, NodePath
from repromatrix.matrix.model import NOT_FINITE
from repromatrix.matrix.passed import unless_passed

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_TYPES = {"object": "a mapping", "array": "a list", "string": "text", "integer": "a whole number", "number": "a number"}
_FINITE_DECIMAL = "finite-decimal"  # the schema's word for text that `finite_decimal` lets pass
_ELEMENT = "finite-decimal-or-not"  # the same, and what is not finite by its name
_EXPONENT = re.compile(r"[0-9]+[eE][-+]?[0-9]+")  # no number in YAML 1.1, for want of a point
_LACKING = ("required", "oneOf")  # what a misspelt key explains
_NOT_ZERO = re.compile(r"[^eE]*[1-9]")
_GIVEN = {"dict": "a mapping", "list": "a list", "NoneType": "nothing"}


def check(document: Document, name: str, schema: str = "matrix") -> None:
    """Check `document` against a published schema.

    Raises:
        MatrixError: for the failure that stands first in the file, before all another format.
    """
    for _, error in failures(document, name, schema):
        raise error


def failures(document: Document, name: str, schema: str) -> list[tuple[int, MatrixError]]:
    """Return every failure of a document by its line; of another format only that."""
    errors = unless_passed(lambda: _errors(document.data, schema), schema, document.data)
    misspelt = {tuple(error.absolute_path) for error in errors if error.validator == "additionalProperties"}
    told = [e for e in errors if e.validator not in _LACKING or tuple(e.absolute_path) not in misspelt]
    told = [e for e in errors if tuple(e.absolute_path) == ("format",)] or told  # another format explains all else
    innermost = [inner for error in told for inner in _innermost(error)]
    patterns = {tuple(error.absolute_path) for error in innermost if error.validator == "pattern"}
    told = [e for e in innermost if e.validator != "format" or tuple(e.absolute_path) not in patterns]
    explained = [pair for error in told for pair in _explain(error, document, name)]
    once = {(line, error.what): (line, error) for line, error in explained}  # all keys that lack are told by each
    return sorted(once.values(), key=lambda pair: pair[0])


def _errors(data: Any, schema: str) -> "Iterator[ValidationError]":
    rules = json.loads(resources.schema(schema).read_text())
    yield from _validator()(rules).iter_errors(data)


def _innermost(error: "ValidationError") -> "Iterator[ValidationError]":
    """Yield what is wrong in that one of several forms which was meant: the first of the right kind, else the first."""
    forms: dict[Any, list[ValidationError]] = {}
    for inner in error.context or ():
        forms.setdefault(inner.schema_path[0], []).append(inner)
    if not forms or _alternatives(error):
        if not _alternatives(error) or isinstance(error.instance, dict):  # what is no mapping is told as that
            yield error
        return
    meant = (form for form in forms.values() if not any(e.validator == "type" and not e.path for e in form))
    for inner in next(meant, next(iter(forms.values()))):
        yield from _innermost(inner)


def _alternatives(error: "ValidationError") -> list[list[str]]:
    """Return the keys of a mapping that has to have the one or the other of them; empty for any other error."""
    rules: Any = error.validator_value if error.validator == "oneOf" else ()
    return [rule["required"] for rule in rules if set(rule) == {"required"}]


@cache
def _validator() -> Any:
    """Return the class that checks; what passed before does without jsonschema, which takes a while to load."""
    import jsonschema  # noqa: PLC0415
    from jsonschema.exceptions import ValidationError  # noqa: PLC0415

    plain: Any = jsonschema.Draft202012Validator

    def pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        """Check as JSON Schema means it: Python's `$` would let a line break at the end pass."""
        if isinstance(instance, str) and (instance.endswith("\n") or not re.search(pattern, instance)):
            yield ValidationError(f"{instance!r} does not match {pattern!r}")

    def finite(validator: Any, kind: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
        """Check the type; YAML's .nan and .inf are no numbers here, as they are none in JSON."""
        if isinstance(instance, float) and not math.isfinite(instance):
            yield ValidationError(f"{instance!r} is not a {kind}")
        else:
            yield from plain.VALIDATORS["type"](validator, kind, instance, schema)

    def form(_: Any, name: str, instance: Any, __: Any) -> Iterator[ValidationError]:
        """Check what no pattern can say of decimal text."""
        if not isinstance(instance, str) or (name == _ELEMENT and instance in NOT_FINITE):
            return
        if name in (_FINITE_DECIMAL, _ELEMENT) and not finite_decimal(instance):
            yield ValidationError(f"{instance!r} is out of the range of float64")

    return jsonschema.validators.extend(  # type: ignore[no-untyped-call]
        plain, {"pattern": pattern, "type": finite, "format": form}
    )


def finite_decimal(text: str) -> bool:
    """Whether a text is a number that float64 makes neither infinity nor, unless it is zero, zero."""
    try:
        value = float(text)
    except ValueError:
        return False
    return math.isfinite(value) and (value != 0 or not _NOT_ZERO.match(text))


def _explain(error: "ValidationError", document: Document, name: str) -> Iterator[tuple[int, MatrixError]]:
    path = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        known = sorted(error.schema.get("properties", {})) if isinstance(error.schema, dict) else []
        for unknown in _unknown_keys(error):
            line = document.line((*path, unknown))
            what = f"unknown key {unknown!r} in {_place(path)}"
            yield line, MatrixError(what, where=f"{name}:{line}", hint=suggest(unknown, known))
        return
    line = document.line(path)
    if "propertyNames" in error.schema_path:  # the failing instance is a key of the mapping at `path`
        line = document.line((*path, str(error.instance)))
    what, hint = _text(error, path, document)
    yield line, MatrixError(what, where=f"{name}:{line}", hint=hint)


def _place(path: NodePath) -> str:
    return ".".join(str(part) for part in path) or "the file"


def _text(error: "ValidationError", path: NodePath, document: Document) -> tuple[str, str]:
    place = _place(path)
    value: Any = error.instance
    rule: Any = error.validator_value
    match error.validator:
        case "required":
            missing = sorted(set(rule) - set(value))
            return f"{place} lacks {', '.join(map(repr, missing))}", f"add {missing[0]}: ..."
        case "type":
            written = document.written.get(path)
            hint = f'write it in quotes: "{written}"' if rule == "string" and written else "see docs/matrix.md"
            if rule == "number" and isinstance(value, str) and _EXPONENT.fullmatch(value):
                hint = f"YAML reads it as text: write {float(value):.1e}, with a point"
            given = written or _GIVEN.get(type(value).__name__) or repr(value)[:80]
            return f"{place} must be {_TYPES.get(str(rule), rule)}, not {given}", hint
        case "oneOf" if needed := _alternatives(error):
            words = ", or ".join(" and ".join(map(repr, names)) for names in needed)
            return f"{place} has {', '.join(map(repr, value)) or 'nothing'}, expected {words}", "the one or the other"
        case "enum":
            return _not_of(place, value, [str(each) for each in rule], document.written.get(path))
        case "const":
            return (
                f"{place} must be {rule!r}, not {value!r}",
                f"this release reads format {rule}; update repromatrix for another",
            )
        case _:
            wanted = error.schema.get("description", "") if isinstance(error.schema, dict) else ""
            return f"{place}: {error.message[:200]}", wanted or "see docs/matrix.md"


def _not_of(place: str, value: Any, known: list[str], written: str | None) -> tuple[str, str]:
    if written in known:  # YAML reads a bare on or off as true or false
        return (
            f"{place} must be text, not {value!r}, which a bare {written} is in YAML",
            f'write it in quotes: "{written}"',
        )
    return f"{place} cannot be {value!r}", suggest(str(value), known)


def _unknown_keys(error: "ValidationError") -> list[str]:
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
