"""Every form there is, by operation and dtype: a plug-in, which an operation may do without."""

from repromatrix.operations import elementary, gradients, linear
from repromatrix.operations.form import Form

_ROOMS = (linear.FORMS, gradients.FORMS, elementary.FORMS)


def forms(operation: str, dtype: str) -> tuple[Form, ...]:
    """Return the forms of an operation that make sense in a dtype, the most usual first; names are unique."""
    return tuple(form for room in _ROOMS if operation in room for form in room[operation](dtype))
