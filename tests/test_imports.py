"""docs/architecture.md says who may import whom and who owns what comes from outside; this holds the code to it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
RUNNER = CHECKOUT / "runner" / "repromatrix"
EVERYBODY_MAY = {"errors", "floats", "listener", "harmless", "tables"}
PRODUCE = {"matrix", "plan", "images", "engines", "execute"}
CONSUME = {"compare", "explain/judge", "published", "report"}


def _table(heading: str) -> dict[str, tuple[str, ...]]:
    """Return the table of docs/architecture.md whose first column has that heading: row -> its cells."""
    text = (CHECKOUT / "docs" / "architecture.md").read_text()
    body = text.split(f"| {heading} |", 1)[1].split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]
    return {row[0].strip("`"): tuple(row[1:]) for row in rows}


def _allowed() -> dict[str, set[str]]:
    rows = {name.removesuffix("/*"): cells[-1] for name, cells in _table("module").items()}
    lists = {name: set(re.findall(r"[\w/]+", text)) for name, text in rows.items()}
    return {name: set(rows) if each == {"all"} else each | EVERYBODY_MAY for name, each in lists.items()}


ALLOWED = _allowed()
OWNERS = {name: re.findall(r"`([\w/*]+)`", cells[0]) for name, cells in _table("outside thing").items()}
FILES = sorted(RUNNER.rglob("*.py"))


def _module(path: Path) -> str:
    """Return `images/lock` for runner/repromatrix/images/lock.py, `images` for its __init__."""
    return path.relative_to(RUNNER).with_suffix("").as_posix().removesuffix("/__init__")


MODULES = {_module(path): path for path in FILES}


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported, wherever the statement stands; names of packages come with what is taken."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "no relative imports"
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _own(tree: ast.AST) -> set[str]:
    """Return the modules of repromatrix that are imported, as `images/lock`."""
    found = set()
    for name in _imports(tree):
        parts = name.split(".")[1:] if name.startswith("repromatrix.") else []
        while parts and "/".join(parts) not in MODULES:
            parts.pop()
        if parts:
            found.add("/".join(parts))
    return found


def _room(module: str) -> str:
    """Return the row that a module belongs to: that of its folder, or of the folder above it."""
    inner = "/".join(module.split("/")[:2])
    return inner if inner in ALLOWED else module.split("/", maxsplit=1)[0]


def _wrong(module: str, source: str) -> list[str]:
    """Return what a module of that name may not import of repromatrix."""
    room = _room(module)
    allowed = ALLOWED[room] | {room}
    return sorted(each for each in _own(ast.parse(source)) if _room(each) not in allowed)


def _foreign(module: str, source: str) -> list[str]:
    """Return what a module of that name uses without being its owner."""
    tree = ast.parse(source)
    used = {name.split(".")[0] for name in _imports(tree)} & set(OWNERS)
    places = {"records", "manifest.json"}
    if any(isinstance(node, ast.BinOp) and getattr(node.right, "value", None) in places for node in ast.walk(tree)):
        used.add("files of a results folder")
    if "repromatrix.results.record.decode" in _imports(tree):
        used.add("files of a results folder")
    return sorted(each for each in used if not _owns(module, each))


def _owns(module: str, thing: str) -> bool:
    return any(module == owner or (owner.endswith("/*") and module.startswith(owner[:-1])) for owner in OWNERS[thing])


ROOMS = [module for module in MODULES if module not in ("__main__", "__init__", ".")]


def test_every_room_of_the_code_has_a_row_and_every_row_a_room() -> None:
    assert {_room(module) for module in ROOMS} == set(ALLOWED)


def test_every_owner_exists() -> None:
    for owner in (each for owners in OWNERS.values() for each in owners):
        assert owner.removesuffix("/*") in MODULES


@pytest.mark.parametrize("module", ROOMS)
def test_imports_run_in_one_direction(module: str) -> None:
    assert _wrong(module, MODULES[module].read_text()) == []


@pytest.mark.parametrize("module", ROOMS)
def test_what_comes_from_outside_has_no_second_owner(module: str) -> None:
    assert _foreign(module, MODULES[module].read_text()) == []


def _reach(room: str) -> set[str]:
    found, todo = set(), [room]
    while todo:
        new = ALLOWED[todo.pop()] - found
        found |= new
        todo += new
    return found


@pytest.mark.parametrize("room", sorted(set(ALLOWED) - {"cli"}))
def test_the_table_allows_no_circle(room: str) -> None:
    assert room not in _reach(room) - (EVERYBODY_MAY if room in EVERYBODY_MAY else set())


def test_produce_and_consume_do_not_know_each_other() -> None:
    for room in CONSUME:
        assert not _reach(room) & PRODUCE
    for room in PRODUCE:
        assert not _reach(room) & CONSUME


@pytest.mark.parametrize("command", ["cli/report", "cli/verify"])
def test_a_command_that_only_reads_results_loads_nothing_that_produces(command: str) -> None:
    found, todo = set(), [command]
    while todo:
        new = _own(ast.parse(MODULES[todo.pop()].read_text())) - found
        found |= new
        todo += new
    assert "results/store" in found
    assert not {each for each in found if each.split("/")[0] in PRODUCE}


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {module: _own(ast.parse(path.read_text())) - {module} for module, path in MODULES.items()}
    state: dict[str, str] = {}

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert state.get(module) != "open", f"a circle: {' -> '.join((*way, module))}"
        if module not in state:
            state[module] = "open"
            for each in sorted(graph.get(module, ())):
                visit(each, (*way, module))
            state[module] = "done"

    for module in graph:
        visit(module, ())


# The test itself would notice.

WRONG = [
    ("compare/new", "from repromatrix.plan import Cell", ["plan"]),
    ("compare/new", "def f():\n    from repromatrix.engines import docker", ["engines/docker"]),
    ("results/new", "import repromatrix.matrix.load", ["matrix/load"]),
    ("engines/new", "from repromatrix.plan import Cell", ["plan"]),
    ("errors", "from repromatrix import resources", ["resources"]),
    ("images/new", "from repromatrix.images.lock import Lock", []),
    ("cli/new", "from repromatrix.execute.run import Execution", []),
]
FOREIGN = [
    ("compare/new", "import subprocess", ["subprocess"]),
    ("execute/run", "from subprocess import run", ["subprocess"]),
    ("execute/host", "import subprocess", []),
    ("images/new", "import subprocess", []),
    ("images/new", "def f():\n    import docker.errors", ["docker"]),
    ("report/view", "import jinja2", ["jinja2"]),
    ("plan", "import yaml", ["yaml"]),
    ("cli/new", "path = folder / 'manifest.json'", ["files of a results folder"]),
    ("report/new", "from repromatrix.results.record import decode", ["files of a results folder"]),
]


@pytest.mark.parametrize(("module", "source", "expected"), WRONG)
def test_a_wrong_direction_is_noticed(module: str, source: str, expected: list[str]) -> None:
    assert _wrong(module, source) == expected


@pytest.mark.parametrize(("module", "source", "expected"), FOREIGN)
def test_a_second_owner_is_noticed(module: str, source: str, expected: list[str]) -> None:
    assert _foreign(module, source) == expected
