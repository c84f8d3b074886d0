"""What is not the same in two environments beside the version that was asked for, as their fingerprints name it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from repromatrix.explain.impact.rows import Companion
from repromatrix.results.record import Record

# The distributions that are the framework itself: their versions move by themselves.
_OWN = {
    "numpy": ("numpy",),
    "torch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax", "jaxlib"),
    "keras": ("keras",),
}
# Told first: packages that compute, or that decide how something is computed.
_COMPUTE = re.compile(
    r"numpy|scipy|ml-dtypes|(tf-)?keras.*|jax.*|tensorflow.*|torch.*|triton|nvidia-.*|mkl.*|intel-.*|opt-einsum"
)
# Tools of an environment, which compute nothing.
_TOOLS = frozenset({"pip", "setuptools", "wheel"})


def companions(a: Record, b: Record) -> tuple[Companion, ...]:
    """Return what moved with the version, what computes first."""
    return tuple(sorted(_moved(a, b), key=lambda each: each.kind == "package" and not _COMPUTE.fullmatch(each.name)))


def computing(found: Iterable[Companion]) -> tuple[Companion, ...]:
    """Return the packages that both sides have and that compute, or decide how something is computed."""
    there = (each for each in found if each.kind == "package" and each.a and each.b)
    return tuple(each for each in there if _COMPUTE.fullmatch(each.name))


def _moved(a: Record, b: Record) -> Iterator[Companion]:
    own = {*_OWN.get(a.cell.framework, (a.cell.framework,)), *_TOOLS}
    left, right = (_texts(each.fingerprint.get("packages")) for each in (a, b))
    yield from _differing("package", _without(left, own), _without(right, own))
    left, right = (_texts(each.fingerprint.get("kernels")) for each in (a, b))
    yield from _differing("kernel", _told(left), _told(right))
    for name in ("python", "libc"):
        yield from _differing(name, *({name: str(each.fingerprint.get(name, ""))} for each in (a, b)))
    yield from _differing("flavour", {"flavour": a.cell.flavour}, {"flavour": b.cell.flavour})
    if a.pinned != b.pinned:
        sides = ["made from its lock" if each.pinned else "as it is, not pinned" for each in (a, b)]
        yield Companion(name="environment", kind="base", a=sides[0], b=sides[1])
    elif a.provenance and b.provenance and a.cell.python == b.cell.python:
        yield from _differing("base", {"base": a.provenance.base_digest}, {"base": b.provenance.base_digest})


def _differing(kind: str, a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Companion]:
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            yield Companion(name=name, kind=kind, a=a.get(name), b=b.get(name))


def _texts(found: Any) -> dict[str, str]:
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, Mapping) else {}


def _without(packages: Mapping[str, str], names: set[str]) -> dict[str, str]:
    return {name: version for name, version in packages.items() if name not in names}


def _told(kernels: Mapping[str, str]) -> dict[str, str]:
    """Return the kernels that were really taken: what was only declared, or could not be found out, tells nothing."""
    return {name: value for name, value in kernels.items() if not name.endswith(("_requested", "probe_error"))}
