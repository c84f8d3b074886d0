"""Every form there is, by operation and dtype."""

from repromatrix.operations import elementary, gradients, linear
from repromatrix.operations.form import Form

_ROOMS = (linear, gradients, elementary)


def forms(primitive: str, dtype: str) -> tuple[Form, ...]:
    """Return the forms of a primitive that make sense in a dtype, the most usual first; names are unique.

    Raises:
        KeyError: no primitive of that name.
    """
    return tuple(each for room in _ROOMS for each in room.forms(primitive, dtype))
