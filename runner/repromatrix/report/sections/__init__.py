"""The sections of the report, in their order. A module here is a section; nothing lists them."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import cast

from repromatrix.report.section import Module


@cache
def sections() -> dict[str, Module]:
    """Return the sections by name, in the order of the page."""
    names = [found.name for found in iter_modules(__path__)]
    found = {name: cast(Module, import_module(f"{__name__}.{name}")) for name in names}
    return dict(sorted(found.items(), key=lambda item: item[1].PLACE))
