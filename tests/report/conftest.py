"""The builder of synthetic records as a fixture: in pytest's importlib mode test modules do not see each other."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def builder():
    path = Path(__file__).parents[1] / "compare" / "builder.py"
    spec = importlib.util.spec_from_file_location("synthetic_records", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
