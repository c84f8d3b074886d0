"""How weights may be stored."""


def check_square(task):
    """Rows that are used as columns, untransposed, must be as many."""
    shapes = [given.shape for given in task.cell.inputs.values() if len(given.shape) > 1]
    if task.option("layout") == "in_out_untransposed" and any(rows != columns for rows, columns in shapes):
        raise task.Unavailable("layout=in_out_untransposed needs square weights")


def turned(task):
    """Whether weights are stored with a column per unit."""
    return task.option("layout") != "out_in"
