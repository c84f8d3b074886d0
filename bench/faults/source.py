"""A workload's module as source text -> the same text with hooks and wrong code in it. Pure, standard library only.

Every product of an operator, every call and every value that is changed in place goes through a hook, which gives it
on as it is unless it is told otherwise. Beside an expression stands what somebody might have written in its place by
mistake, and runs where the hooks say so. Names of the workload's own values do not occur here.
"""

import ast
import re
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass

HOOKS = "_hooks"
MODULE = "faulthooks"  # what the text imports them from
# Calls that are no computation, or that look at their frame.
PLAIN = frozenset(
    (
        "super",
        "len",
        "zip",
        "dict",
        "list",
        "range",
        "enumerate",
        "isinstance",
        "getattr",
        "partial",
        "option",
        "number",
    )
)
OPERATIONS = re.compile(r".*(Operations|Derivatives)$|operations$")  # replays by the product: no part of the training
SWAPPED = {"mean": "sum", "sum": "mean", "reduce_mean": "reduce_sum", "reduce_sum": "reduce_mean"}
STEM = re.compile(r"^(new_|next_|last_)|[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """Wrong code that the text holds beside the right one.

    Attributes:
        number: by which it is turned on.
        kind: what somebody got wrong.
        line: of the module.
        wrong: what stands there in its place.
    """

    number: int
    kind: str
    line: int
    wrong: str


def instrumented(text: str) -> tuple[str, tuple[Mutation, ...]]:
    """Return the module with its hooks, and what wrong code it holds."""
    writer = _Writer()
    tree = writer.visit(ast.parse(text))
    place = 1 if ast.get_docstring(tree) is not None else 0
    tree.body.insert(place, ast.parse(f"from {MODULE} import hooks as {HOOKS}").body[0])
    return ast.unparse(ast.fix_missing_locations(tree)), tuple(writer.mutations)


class _Writer(ast.NodeTransformer):
    def __init__(self) -> None:
        self.mutations: list[Mutation] = []
        self.sites = 0
        self.names: list[frozenset[str]] = []  # of the functions around

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node if OPERATIONS.match(node.name) else self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if OPERATIONS.match(node.name):
            return node
        own = {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        self.names.append(frozenset(own | {each.arg for each in node.args.args}))
        node.body = self._body(node.body)
        self.names.pop()
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return self.generic_visit(node) if self.names else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        return self._site(node) if self.names else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if not self.names or _called(node) in PLAIN:
            return self.generic_visit(node) if self.names else node
        return self._site(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        return self._compound(node, node.iter, "iter")

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._compound(node, node.test, "test")

    def visit_With(self, node: ast.With) -> ast.AST:
        for item in node.items:
            item.context_expr = self.visit(item.context_expr)
        node.body = self._body(node.body)
        return node

    def _compound(self, node: ast.For | ast.If, head: ast.expr, name: str) -> ast.AST:
        setattr(node, name, self.visit(head))
        node.body, node.orelse = self._body(node.body), self._body(node.orelse)
        return node

    def _body(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        return [each for statement in statements for each in self._statement(statement)]

    def _statement(self, node: ast.stmt) -> Iterator[ast.stmt]:
        """Yield a statement with its hooks; one that changes something in place may be left out, or run twice."""
        in_place = isinstance(node, ast.AugAssign)
        if not (in_place or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _mutates(node.value))):
            yield self.visit(node)
            return
        raw = deepcopy(node)
        left_out = self._mutation("left out", raw, "nothing") if self.names else None
        twice = self._mutation("done twice", raw, f"{ast.unparse(raw)}, twice") if self.names else None
        if left_out is None or twice is None:
            yield node
            return
        yield ast.If(test=ast.UnaryOp(op=ast.Not(), operand=left_out), body=[self.visit(node)], orelse=[])
        yield ast.If(test=twice, body=[raw], orelse=[])
        if isinstance(raw, ast.AugAssign) and isinstance(raw.target, ast.Name):
            value = ast.Name(id=raw.target.id, ctx=ast.Load())
            yield ast.Assign(targets=[ast.Name(id=raw.target.id, ctx=ast.Store())], value=self._hook(value))

    def _site(self, node: ast.expr) -> ast.expr:
        """Return an expression with a hook around it, and the wrong ones beside it."""
        raw = deepcopy(node)
        self.generic_visit(node)
        right = self._call_hook(node) if isinstance(node, ast.Call) else self._hook(node)
        for kind, wrong in _wrong(raw, self.names[-1]):
            test = self._mutation(kind, raw, ast.unparse(wrong))
            right = ast.IfExp(test=test, body=wrong, orelse=right)
        return right

    def _hook(self, node: ast.expr) -> ast.Call:
        self.sites += 1
        return _of_hooks("value", [ast.Constant(self.sites), node])

    def _call_hook(self, node: ast.Call) -> ast.Call:
        self.sites += 1
        found = _of_hooks("call", [ast.Constant(self.sites), node.func, *node.args])
        found.keywords = node.keywords
        return found

    def _mutation(self, kind: str, raw: ast.AST, wrong: str) -> ast.Call:
        number = len(self.mutations)
        line = getattr(raw, "lineno", 0)
        self.mutations.append(Mutation(number=number, kind=kind, line=line, wrong=wrong))
        return _of_hooks("wrong", [ast.Constant(number)])


def _of_hooks(name: str, arguments: list[ast.expr]) -> ast.Call:
    function = ast.Attribute(value=ast.Name(id=HOOKS, ctx=ast.Load()), attr=name, ctx=ast.Load())
    return ast.Call(func=function, args=arguments, keywords=[])


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def _mutates(node: ast.Call) -> bool:
    """Whether a call that stands alone changes something: an update, an assignment, a step of an optimizer."""
    return bool(re.search(r"update|assign|step|apply", _called(node)))


def _wrong(node: ast.expr, names: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    """Yield what somebody may write in the place of an expression, with what was got wrong."""
    for rule in RULES:
        yield from rule(node, names)


def _operator(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    swapped = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
    if isinstance(node, ast.BinOp) and type(node.op) in swapped:
        yield "operator", ast.BinOp(left=node.left, op=swapped[type(node.op)](), right=node.right)


def _amount(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.BinOp):
        amount = ast.Attribute(value=ast.Name(id=HOOKS, ctx=ast.Load()), attr="amount", ctx=ast.Load())
        yield "epsilon", ast.BinOp(left=node, op=ast.Add(), right=amount)
        if isinstance(node.op, ast.Mult):
            yield (
                "scaled",
                ast.BinOp(left=ast.BinOp(left=amount, op=ast.Mult(), right=node.left), op=node.op, right=node.right),
            )


def _constant(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if not isinstance(node, ast.BinOp):
        return
    for side in ("left", "right"):
        constant = getattr(node, side)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, int | float):
            wrong = deepcopy(node)
            setattr(wrong, side, ast.Constant(constant.value + 1))
            yield "constant", wrong


def _reduction(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SWAPPED:
        wrong = deepcopy(node)
        assert isinstance(wrong.func, ast.Attribute)
        wrong.func.attr = SWAPPED[node.func.attr]
        yield "mean or sum", wrong


def _axis(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if not isinstance(node, ast.Call):
        return
    for place, keyword in enumerate(node.keywords):
        if keyword.arg in ("axis", "dim") and isinstance(keyword.value, ast.Constant):
            wrong = deepcopy(node)
            wrong.keywords[place].value = ast.Constant(1 - keyword.value.value if keyword.value.value in (0, 1) else 0)
            yield "axis", wrong


def _transposed(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for side in ("left", "right"):
            operand, wrong = getattr(node, side), deepcopy(node)
            turned = operand.value if isinstance(operand, ast.Attribute) and operand.attr == "T" else None
            setattr(wrong, side, turned or ast.Attribute(value=operand, attr="T", ctx=ast.Load()))
            yield "transposed", wrong


def _arguments(node: ast.expr, _: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    if not isinstance(node, ast.Call) or not node.args:
        return
    first, *others = node.args
    if others:
        yield "arguments", ast.Call(func=node.func, args=[others[0], first, *others[1:]], keywords=node.keywords)
    if isinstance(first, ast.Name):
        yield "left out", deepcopy(first)
        yield "done twice", ast.Call(func=node.func, args=[node, *others], keywords=node.keywords)


def _name(node: ast.expr, names: frozenset[str]) -> Iterator[tuple[str, ast.expr]]:
    """Another name of the same stem: `W1` for `W2`, `W2` for `new_W2`."""
    for place, child in enumerate(ast.iter_child_nodes(node)):
        if not isinstance(child, ast.Name):
            continue
        for other in sorted(names):
            if other != child.id and STEM.sub("", other) == STEM.sub("", child.id):
                wrong = deepcopy(node)
                named = list(ast.iter_child_nodes(wrong))[place]
                assert isinstance(named, ast.Name)
                named.id = other
                yield "another name", wrong


RULES: tuple[Callable[[ast.expr, frozenset[str]], Iterator[tuple[str, ast.expr]]], ...] = (
    _operator,
    _amount,
    _constant,
    _reduction,
    _axis,
    _transposed,
    _arguments,
    _name,
)
