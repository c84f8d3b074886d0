"""What is wrong with a workload's modules, told from their source, before anything runs.

It looks for what the contract (docs/workloads.md) asks: a function `train(task)`, and that the names it asks the task
for are those of workload.yaml. What only a run can tell, a run tells.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from threading import Lock

from repromatrix.matrix.check import suggest

# CPython 3.11 counts the depth of a tree in one place for all threads (gh-106905), and fails where two grow at once.
PARSING = Lock()
Problem = tuple[str, int, str, str]  # file, line, what, the next step


def problems(
    files: Mapping[str, str], frameworks: Sequence[str], names: Mapping[str, Sequence[str]]
) -> Iterator[Problem]:
    """Yield all that is wrong with the modules of a workload.

    Args:
        files: file name -> source text.
        frameworks: after which modules are named.
        names: what workload.yaml has under `inputs`, `numbers` and `factors`, and `batch`, if it has one.
    """
    if not any(f"{name}.py" in files for name in frameworks):
        known = ", ".join(f"{name}.py" for name in frameworks)
        yield "workload.yaml", 1, "there is no module for any framework beside it", f"write one of {known}"
    for name, text in files.items():
        try:
            with PARSING:
                tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            yield name, line, f"not Python: {getattr(error, 'msg', error)}", "mend it there"
            continue
        if name.removesuffix(".py") in frameworks:
            yield from _entry(name, tree)
        yield from _names(name, tree, names)


def defines(text: str, name: str) -> bool:
    """Whether the source of a module makes a name: a function, an import, an assignment."""
    with PARSING:
        tree = ast.parse(text)
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return name in functions.union(*map(_bound, tree.body))


def _entry(name: str, tree: ast.Module) -> Iterator[Problem]:
    """Yield that a framework's module has no `train(task)`."""
    made = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train"]
    if not made and "train" not in {name for node in tree.body for name in _bound(node)}:
        yield name, 1, "it has no function train(task)", "write one: see docs/workloads.md"
    for node in made:
        count = len(node.args.args) + len(node.args.posonlyargs)
        if count != 1 and not node.args.vararg:
            yield name, node.lineno, f"train takes {count} arguments, expected one: train(task)", "take the task only"


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that an import or an assignment makes."""
    if isinstance(node, ast.ImportFrom):
        yield from (each.asname or each.name for each in node.names)
    elif isinstance(node, ast.Assign):
        yield from (each.id for each in node.targets if isinstance(each, ast.Name))


def _names(name: str, tree: ast.Module, names: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Yield the texts given to methods of `task` that workload.yaml does not have."""
    parts = {"tensor": "inputs", "batches": "inputs", "number": "numbers", "option": "factors"}
    known = {method: (part, names[part]) for method, part in parts.items()}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_task(node.func.value)):
            continue
        if node.func.attr == "batches" and not names["batch"]:
            yield name, node.lineno, "task.batches(), and workload.yaml has no `batch`", "add batch: ROWS"
        if node.func.attr not in known:
            continue
        part, there = known[node.func.attr]
        for argument in node.args:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and argument.value not in there:
                what = f"task.{node.func.attr}({argument.value!r}): workload.yaml has no such name in {part}"
                yield name, node.lineno, what, suggest(argument.value, there)


def _is_task(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "task") or (
        isinstance(node, ast.Attribute) and node.attr == "task"
    )
