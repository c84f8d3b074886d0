"""Texts of files that others wrote -> texts that a terminal may be given."""

import unicodedata


def printable(text: str, *, lines: bool = True) -> str:
    """Return a text that cannot steer a terminal: what is no character to be seen is shown by its escape.

    Args:
        text: may hold names and sentences of files that others wrote.
        lines: whether ends of lines stay; not where a text could pretend to be the next line.
    """
    kept = "\n\t" if lines else "\t"
    hidden = ("C", "Zl", "Zp")
    return "".join(
        each.encode("unicode_escape").decode()
        if each not in kept and unicodedata.category(each).startswith(hidden)
        else each
        for each in text
    )
