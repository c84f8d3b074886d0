"""Goes through the rows of workload.yaml: each case of an operation is one call of the framework's line for it.

Each is computed on its own: what a framework lacks is absent, what ends with an error is broken, and the rest goes on.
"""

# What it says of what a framework, or its version, does not have; all frameworks say it in these words.
# In two bytes a derivative says little that the value does not, and each is a program to compile.
DERIVED = ("float32", "float64")
NO_ATTRIBUTE = "has no attribute"


def walk(task, lines, gradient=None, lacks=(), left_out=None):
    """Record every case of every row, and how many gave a result.

    Args:
        task: the cell's.
        lines: operation -> the framework's function for it, which gives a tensor, or a dict of several.
        gradient: (function, arguments, places, weights) -> the gradients by the arguments at those places; None: the
            framework has no derivatives.
        lacks: parts of the messages by which the framework says that it does not have something.
        left_out: operation -> why it is left out in this cell.
    """
    given = {name: task.tensor(name) for row in task.rows.values() for name in needed(row)}
    count = 0
    for operation, row in task.rows.items():
        for name, case in cases(operation, row):
            if operation in (left_out or {}):
                task.absent(name, left_out[operation])
            elif operation in lines:
                count += run(task, name, case, given, lines[operation], gradient, lacks)
            else:
                task.absent(name, "not in this framework")
    task.record({"results": count})


def run(task, name, case, given, line, gradient, lacks):
    """Record one case and its gradients; how many of the two gave a result."""
    arguments = [given[each] for each in case.get("args", ())]
    call = bound(line, dict(case.get("options", {}), **({"dtype": task.dtype} if case.get("typed") else {})))
    places = case.get("gradient", ())
    weights = given[case["weights"]] if "weights" in case else None

    def value():
        return named(name, task.compile(call)(*arguments))

    def slopes():
        slope = task.compile(lambda *all_of: gradient(call, all_of, places, weights))
        return sloped(name, places, slope(*arguments))

    if not attempt(task, name, value, lacks):
        return 0
    derived = places and gradient is not None and task.dtype in DERIVED
    return 1 + (attempt(task, f"{name}/gradient", slopes, lacks) if derived else 0)


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
        names += case.get("args", [])
        names += [case["weights"]] if "weights" in case else []
    return names


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
