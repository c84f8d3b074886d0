"""Goes through the rows of workload.yaml: each case of an operation is one call of the framework's line for it.

Each is computed on its own: what a framework lacks is absent, what ends with an error is broken, and the rest goes on.
"""

import re

# What it says of what a framework, or its version, does not have; all frameworks say it in these words.
# In two bytes a derivative says little that the value does not, and each is a program to compile.
DERIVED = ("float32", "float64")
NO_ATTRIBUTE = "has no attribute"
PART = re.compile(r"([\w-]+)(?:\[(:,)?:(\d+)\])?")
LARGE = 1 << 17  # bytes of a result, beyond which a row that says `sample` keeps some elements and a digest
ROW, FIRST, LAST = 1, 1, 18  # the row, and the slice, that are computed alone
PROGRAMS = {}  # (line, its options) -> what JAX was given to compile


def walk(task, lines, gradient=None, lacks=(), left_out=None, transpose=None, around=False):
    """Record every case of every row, and how many gave a result.

    Args:
        task: the cell's.
        lines: operation -> the framework's function for it, which gives a tensor, or a dict of several.
        gradient: (function, arguments, places, weights) -> the gradients by the arguments at those places; None: the
            framework has no derivatives.
        lacks: parts of the messages by which the framework says that it does not have something.
        left_out: operation -> why it is left out in this cell.
        transpose: how the framework transposes a matrix; None: with `.T`.
        around: whether derivatives are taken of what is compiled, and not compiled themselves: PyTorch compiles them
            along with it.
    """
    given = {name: task.tensor(name) for row in task.rows.values() for name in needed(row)}
    count = 0
    for operation, row in task.rows.items():
        for name, case in cases(operation, row):
            if operation in (left_out or {}):
                task.absent(name, left_out[operation])
            elif operation in lines:
                count += run(task, name, case, given, lines[operation], gradient, lacks, transpose, around)
            else:
                task.absent(name, "not in this framework")
    task.record({"results": count})


def run(task, name, case, given, line, gradient, lacks, transpose, around):
    """Record one case and its gradients; how many of the two gave a result."""
    arguments = [part(given, each) for each in case.get("args", ())]
    options = dict(case.get("options", {}), **({"dtype": task.dtype} if case.get("typed") else {}))
    call, whole = bound(line, options), compiled(task, line, options)
    places = case.get("gradient", ())
    weights = given[case["weights"]] if "weights" in case else None

    def value():
        if "relation" in case:
            both = RELATIONS[case["relation"]](whole, arguments, transpose or (lambda x: x.T))
            return {name: apart(*map(task.value, both))}
        return kept(task, case, named(name, whole(*arguments)))

    def slopes():
        if around:
            return sloped(name, places, gradient(whole, arguments, places, weights))
        slope = task.compile(lambda *all_of: gradient(call, all_of, places, weights))
        return sloped(name, places, slope(*arguments))

    if not attempt(task, name, value, lacks):
        return 0
    derived = places and gradient is not None and task.dtype in DERIVED
    return 1 + (attempt(task, f"{name}/gradient", slopes, lacks) if derived else 0)


def part(given, text):
    """Return an input, or what `NAME[:n]` or `NAME[:,:n]` says of it: the first elements, or columns."""
    name, columns, count = PART.fullmatch(text).groups()
    if count is None:
        return given[name]
    return given[name][:, : int(count)] if columns else given[name][: int(count)]


def kept(task, case, results):
    """Return results; of large ones, where the row says so, every so many elements and a digest of all."""
    if "sample" not in case:
        return results
    told = {}
    for name, tensor in results.items():
        value = task.value(tensor)
        if len(value.data) > LARGE:
            told.update({name: tensor[..., :: case["sample"]], f"{name}/digest": int(value.digest[:15], 16)})
        else:
            told[name] = tensor
    return told


def sliced(call, arguments, _):
    """A slice of the whole, and the slice computed alone."""
    return call(*arguments)[FIRST:LAST], call(*(each[FIRST:LAST] for each in arguments))


def row(call, arguments, _):
    """A row of the batch, and a batch of that row; only the first argument has rows."""
    return call(*arguments)[ROW : ROW + 1], call(arguments[0][ROW : ROW + 1], *arguments[1:])


def rows(call, arguments, _):
    """The same where every argument has rows."""
    return call(*arguments)[ROW : ROW + 1], call(*(each[ROW : ROW + 1] for each in arguments))


def transposed(call, arguments, transpose):
    """A product, and that of the transposed in the other order."""
    a, b = arguments
    return call(a, b), transpose(call(transpose(b), transpose(a)))


RELATIONS = {"slice": sliced, "row": row, "rows": rows, "transposed": transposed}


def apart(a, b):
    """Return in how many elements two values differ."""
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        raise ValueError(f"{a.dtype}{list(a.shape)} and {b.dtype}{list(b.shape)}")
    width = len(a.data) // a.size
    return sum(a.data[at : at + width] != b.data[at : at + width] for at in range(0, len(a.data), width))


def cases(operation, row):
    """Yield the name of each case, and what its row says with what the case changes."""
    own = {key: value for key, value in row.items() if key != "cases"}
    if not row.get("only_cases"):
        yield operation, own
    for name, change in row.get("cases", {}).items():
        yield f"{operation}/{name}", dict(own, **change)


def needed(row):
    """Return the names of the inputs that a row takes."""
    names = []
    for _, case in cases("", row):
        names += [PART.fullmatch(each).group(1) for each in case.get("args", ())]
        names += [case["weights"]] if "weights" in case else []
    return names


def compiled(task, line, options):
    """Return a line with its options, compiled.

    JAX is given one function for all cases and cells of the process: it compiles what has other shapes or dtypes, or
    64 bits switched on, and takes the program that it has for what does not depend on them.
    """
    if task.option("compile") != "jit":
        return task.compile(bound(line, options))
    key = (line, repr(sorted(options.items())))
    if key not in PROGRAMS:
        PROGRAMS[key] = task.compile(bound(line, options))
    return PROGRAMS[key]


def bound(line, options):
    """Return a line with its options; of the same arguments whatever else there is."""
    return (lambda *arguments: line(*arguments, **options)) if options else line


def named(name, result):
    """Return what a line gave, by name."""
    if isinstance(result, dict):
        return {f"{name}/{key}": value for key, value in result.items()}
    return {name: result}


def sloped(name, places, gradients):
    """Return gradients by name: of one argument `gradient`, of several `gradient-0`, `gradient-1`."""
    if len(places) == 1:
        return {f"{name}/gradient": gradients[0]}
    return {f"{name}/gradient-{place}": each for place, each in zip(places, gradients)}


def attempt(task, name, compute, lacks):
    """Attempt it; a message that says that something is not there makes it absent."""

    def lenient():
        try:
            return compute()
        except AttributeError as error:
            if str(error).startswith("module ") and NO_ATTRIBUTE in str(error):
                raise task.Unavailable(str(error)) from error
            raise
        except Exception as error:
            if any(part in f"{type(error).__name__}: {error}" for part in lacks):
                raise task.Unavailable(f"{type(error).__name__}: {error}") from error
            raise

    return task.attempt(name, lenient)
