"""Operations of a step on given inputs: each one alone, or all of a step from the tensors of a trace.

What an operation is in a framework lives in its module: the very functions that its training step calls, or the
framework's own derivatives of them, so nothing is computed in another way here. docs/operations.md has the contract.
"""

import re

# The inputs of each operation and their sizes, a letter each; equal letters, equal sizes. `t` is that of the target.
OPERATIONS = {
    "product": {"W": "oi", "v": "i"},
    "bias": {"p": "o", "b": "o"},
    "sigmoid": {"z": "o"},
    "loss": {"o": "t", "t": "t"},
    "error": {"o": "t", "t": "t"},
    "sigmoid_gradient": {"z": "o", "a": "o", "e": "o"},
    "outer": {"d": "o", "v": "i"},
    "back": {"W": "oi", "d": "o"},
    "update": {"W": "oi", "g": "oi"},
}
STEP = "step"
# What a sample of `step` holds: the weights before the step, and those tensors of a trace that there are.
BEFORE = {"hidden_weights": "hi", "output_weights": "th"}
GIVEN = {
    "hidden_pre": "h",
    "hidden": "h",
    "output_pre": "t",
    "output": "t",
    "grad_output_weights": "th",
    "grad_hidden_weights": "hi",
    "new_output_weights": "th",
}
NUMBER = re.compile(r"[+-]?(0x[01](\.[0-9a-f]*)?p[+-]?\d+|inf)|nan", re.IGNORECASE)


def parse_sample(where, document, needed, known, sizes):
    """The numbers of a sample; `sizes` are those known already, and learns the others."""
    if not isinstance(document, dict):
        raise ValueError(f"{where} is no object of lists")  # noqa: TRY004 (input, which the caller tells as such)
    lacking = [name for name in needed if not isinstance(document.get(name), list)]
    if lacking:
        raise ValueError(f"{where} has no list {lacking[0]!r}")
    unknown = sorted(set(document) - set(known))
    if unknown:
        raise ValueError(f"{where} has the unknown {unknown[0]!r}, expected {', '.join(known)}")
    return {
        name: parse_tensor(f"{where}.{name}", document[name], letters, sizes)
        for name, letters in known.items()
        if name in document
    }


def parse_tensor(where, entry, letters, sizes):
    """A list of numbers, or rows of them; weights may also be laid flat, as in a trace, where their shape is known."""
    rows = bool(entry) and isinstance(entry[0], list)
    if len(letters) == 1 or not rows:
        if rows:
            raise ValueError(f"{where} has rows, expected a list of numbers")
        numbers = [number(where, text) for text in entry]
        if len(letters) == 1:
            return sized(where, numbers, letters, sizes)
        if any(letter not in sizes for letter in letters):
            raise ValueError(f"{where} is a list of numbers, expected rows of them")
        height, width = (sizes[letter] for letter in letters)
        if len(numbers) != height * width:
            raise ValueError(f"{where} has {len(numbers)} numbers, expected {height * width}")
        return [numbers[start : start + width] for start in range(0, len(numbers), width)]
    if not all(isinstance(row, list) for row in entry):
        raise ValueError(f"{where} mixes rows and numbers")
    found = [sized(where, [number(where, text) for text in row], letters[1], sizes) for row in entry]
    return sized(where, found, letters[0], sizes)


def sized(where, values, letter, sizes):
    """The values, if there are as many as there must be."""
    if not values:
        raise ValueError(f"{where} is empty")
    due = sizes.setdefault(letter, len(values))
    if len(values) != due:
        raise ValueError(f"{where}: {len(values)} entries where {due} are due")
    return values


def number(where, text):
    """An exact number. Decimal text is refused: `float.fromhex` would take it for hexadecimal."""
    if not isinstance(text, str) or not NUMBER.fullmatch(text):
        raise ValueError(f"{where} is not hexadecimal text: {str(text)[:80]!r}")
    return float.fromhex(text)


MATRICES = ("outer", "update")  # the operations that give weights
# What `step` gives, in the order in which it is computed.
PLACES = (
    "hidden_product",
    "hidden_pre",
    "hidden",
    "output_product",
    "output_pre",
    "output",
    "loss",
    "output_error",
    "output_delta",
    "grad_output_weights",
    "hidden_error",
    "hidden_delta",
    "grad_hidden_weights",
    "output_weights",
    "hidden_weights",
)


class Operations:
    """The operations of one variant, on the framework's own tensors in the shapes that a step has.

    `x`, `t`, `b1`, `b2` are the constants of the step: input, target and the biases of both layers. `derivative_takes`
    tells from what the activation's derivative is computed: from its output `a`, or at its input `z`. An operation that
    the variant cannot do alone raises Unavailable. None changes what it is given.
    """

    x = t = b1 = b2 = None
    derivative_takes = "a"

    def __init__(self, task):
        self.task, self.turned = task, task.option("layout") != "out_in"

    def vector(self, values):
        """The tensor of a layer's values."""
        raise NotImplementedError

    def matrix(self, rows):
        """The tensor of a layer's weights, given as they are stored."""
        raise NotImplementedError

    def product(self, W, v):
        """W v."""
        raise NotImplementedError

    def bias(self, p, b):
        """P + b."""
        raise NotImplementedError

    def sigmoid(self, z):
        """The activation."""
        raise NotImplementedError

    def loss(self, o, t):
        """The loss: one number."""
        raise NotImplementedError

    def error(self, o, t):
        """The loss's gradient at o."""
        raise NotImplementedError

    def sigmoid_gradient(self, z, a, e):
        """What goes back through the activation: from `a` by hand or where the framework's own kernel takes that.

        Else it is the framework's own derivative at `z`, for which it computes what it needs again.
        """
        raise NotImplementedError

    def outer(self, d, v):
        """The gradient of the weights."""
        raise NotImplementedError

    def back(self, W, d):
        """What goes back through the product."""
        raise NotImplementedError

    def update(self, W, g):
        """The weights after the update."""
        raise NotImplementedError

    def tensor(self, values):
        """The tensor of a sample's entry."""
        if isinstance(values[0], list):
            return self.matrix(transposed(values) if self.turned else values)
        return self.vector(values)

    def flat(self, value, *, weights):
        """The exact numbers of a tensor, row by row, weights as `W[out][in]`."""
        rows = listed(value)
        found = leaves(transposed(rows) if weights and self.turned else rows)
        return hexadecimal(found if isinstance(rows, list) else [rows])


def takes(name, own):
    """The inputs of an operation that its output depends on: of `z` and `a` only one."""
    ignored = {"a": "z", "z": "a"}[own.derivative_takes]
    return [each for each in OPERATIONS[name] if name != "sigmoid_gradient" or each != ignored]


def run(task, name, samples, own):
    """What the line of an operation tells: its output for each sample, in order."""
    read = parse(task, name, samples)
    if name == STEP:
        return {"options": task.cell.options, "outputs": [step(own, sample) for sample in read]}
    function, inputs = getattr(own, name), OPERATIONS[name]
    # All inputs first and all texts last: what lies between is the framework alone.
    prepared = [[own.tensor(sample[each]) for each in inputs] for sample in read]
    outputs = [function(*given) for given in prepared]
    told = [own.flat(output, weights=name in MATRICES) for output in outputs]
    return {"takes": takes(name, own), "options": task.cell.options, "outputs": told}


def parse(task, name, samples):
    """The samples as numbers, each checked against the shapes that there must be."""
    if name not in (*OPERATIONS, STEP):
        raise ValueError(f"no operation {name!r} here, only {', '.join((*OPERATIONS, STEP))}")
    if not samples:
        raise ValueError("no samples")
    shape = {each: given.shape for each, given in task.cell.inputs.items()}
    sizes = {"t": shape["target"][0]}
    if name == STEP:
        sizes.update(i=shape["input"][0], h=shape["hidden_weights"][0])
    needed, known = (BEFORE, {**BEFORE, **GIVEN}) if name == STEP else (OPERATIONS[name], OPERATIONS[name])
    return [parse_sample(f"samples[{i}]", sample, needed, known, dict(sizes)) for i, sample in enumerate(samples)]


def check_square(task):
    """Rows that are used as columns, untransposed, must be as many."""
    shapes = [given.shape for given in task.cell.inputs.values() if len(given.shape) > 1]
    if task.option("layout") == "in_out_untransposed" and any(rows != columns for rows, columns in shapes):
        raise task.Unavailable("layout=in_out_untransposed needs square weights")


def transposed(rows):
    """Rows as columns."""
    return [list(column) for column in zip(*rows)]


def hexadecimal(values):
    """C99 hexadecimal text; NaN and infinity come out as `nan`, `inf`, `-inf`."""
    return [float(value).hex() for value in values]


def listed(value):
    """Numbers in lists, from whatever array or tensor a framework has."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return value.numpy().tolist() if hasattr(value, "numpy") else value


def leaves(value):
    """The numbers of nested lists, in order."""
    return [leaf for each in value for leaf in leaves(each)] if isinstance(value, list) else [value]


def step(own, sample):
    """Every place of a step, computed from the given tensors where there are, else from the step's own."""

    def given(name, found):
        return own.tensor(sample[name]) if name in sample else found

    W1, W2 = (own.tensor(sample[name]) for name in BEFORE)
    p1 = own.product(W1, own.x)
    z1 = own.bias(p1, own.b1)
    seen_z1 = given("hidden_pre", z1)
    h = own.sigmoid(seen_z1)
    seen_h = given("hidden", h)
    p2 = own.product(W2, seen_h)
    z2 = own.bias(p2, own.b2)
    seen_z2 = given("output_pre", z2)
    o = own.sigmoid(seen_z2)
    seen_o = given("output", o)
    loss, e2 = own.loss(seen_o, own.t), own.error(seen_o, own.t)
    d2 = own.sigmoid_gradient(seen_z2, seen_o, e2)
    g2 = own.outer(d2, seen_h)
    new_W2 = own.update(W2, given("grad_output_weights", g2))
    sequential = own.task.option("update") == "sequential"
    e1 = own.back(given("new_output_weights", new_W2) if sequential else W2, d2)
    d1 = own.sigmoid_gradient(seen_z1, seen_h, e1)
    g1 = own.outer(d1, own.x)
    new_W1 = own.update(W1, given("grad_hidden_weights", g1))
    values = (p1, z1, h, p2, z2, o, loss, e2, d2, g2, e1, d1, g1, new_W2, new_W1)
    return {place: own.flat(value, weights=place.endswith("weights")) for place, value in zip(PLACES, values)}
