"""Damages of files: of their bytes, and of single values of a JSON document."""

import json
import random
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

PIECES = (
    b"\n", b"\r", b"\r\n", b",", b";", b"\t", b" ", b"|", b'"', b"'", b"[", b"]", b"{", b"}", b":", b"=", b"#", b"\\",
    b"nan", b"-inf", b"null", b"None", b"1e999", b"0x1.8p-1", b"-", b"1,234", b"0,5", b"step", b"loss", b"epoch 3/5\n",
    b"[[[[[[[[", b"\xff\xfe", b"\x00", b"\x1b[1m", b"\x08", b"2026-01-01 10:00:00,123 ", b"9" * 40, b"(1, 2)",
    b"tensor(0.5)", b"\xe2\x96\x88", b"\x1f\x8b", b"PK\x03\x04", b"\x93NUMPY", b"__class__", b"1_000", b"\xd9\xa1",
)  # fmt: skip
VALUES = (None, True, -1, 0, 2**70, 1.5, "", "x", "float7", "nan", "0x1.8p+0", "../x", [], [[]], ["x"], {}, {"x": 1})


def damaged(chance: random.Random, every: Sequence[bytes]) -> bytes:
    """Return a file with one to four damages."""
    data = bytearray(chance.choice(every))
    for _ in range(chance.randint(1, 4)):
        at, end = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
        match chance.randint(0, 6):
            case 0 if data:
                data[at % len(data)] ^= 1 << chance.randint(0, 7)
            case 1:
                del data[at : min(end, at + 30)]
            case 2:
                data[at:at] = chance.choice(PIECES)
            case 3:
                data[at:at] = data[at : min(end, at + 200)] * chance.randint(1, 3)
            case 4:
                other = chance.choice(every)
                data[at:end] = other[: chance.randint(0, len(other))]
            case 5:
                del data[at:]
            case _:
                data[at : at + 1] = chance.choice(PIECES)
    return bytes(data)


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value of a document."""
    yield at
    if isinstance(document, dict | list):
        for name, part in document.items() if isinstance(document, dict) else enumerate(document):
            yield from places(part, (*at, name))


def changed(document: Any, way: tuple[Any, ...], chance: random.Random) -> Any:
    """Return a document with one value another, gone or twice; `document` is changed."""
    if not way:
        return deepcopy(chance.choice(VALUES))
    inner = document
    for step in way[:-1]:
        inner = inner[step]
    how = chance.randrange(4)
    if how == 0:
        del inner[way[-1]]
    elif how == 1 and isinstance(inner, list):
        inner.append(deepcopy(inner[way[-1]]))
    else:
        inner[way[-1]] = deepcopy(chance.choice(VALUES))
    return document


def misshapen(chance: random.Random, every: Sequence[bytes]) -> bytes:
    """Return a JSON document with one to three values changed."""
    document = json.loads(chance.choice(every))
    for _ in range(chance.randint(1, 3)):
        document = changed(document, chance.choice(list(places(document))), chance)
    return json.dumps(document).encode()
