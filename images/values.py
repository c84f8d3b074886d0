"""Values as they leave a measured environment: dtype, shape and exact bits.

Standard library only, Python 3.9 or newer. What a value is made from (a NumPy array, a tensor) is the business of the
framework's adapter; NumPy's arrays are taken here, since nearly every framework gives them.
"""

from __future__ import annotations

import binascii
import importlib
import struct
import sys
from math import prod
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Tuple, Type, Union

if TYPE_CHECKING:
    from dataclasses import dataclass as fields
else:

    def fields(kind: Type[Any]) -> Type[Any]:
        """A class that is made with the fields that it names: of a dataclass no more, which takes 8 ms for all here."""
        names = tuple(kind.__annotations__)

        def take_all(self: Any, *values: Any, **named: Any) -> None:
            vars(self).update(zip(names, values), **named)

        kind.__init__ = take_all
        return kind


INLINE = 16  # values of at most so many elements are told in full, larger ones by the digest of their bits

NAMES: Dict[Any, str] = {}  # of NumPy's dtypes: to make one anew takes longer than to hash 1 KiB
WHOLE = "biu"  # kinds of dtypes, as NumPy calls them, in which nothing is NaN
SOME = b"\1"  # in the bytes of a mask: `any` takes as long as all else that is done with a small array

# How the struct module spells each dtype; bfloat16 is the upper half of a float32.
CODES: Dict[str, str] = {
    "float64": "d",
    "float32": "f",
    "float16": "e",
    "bfloat16": "H",
    "int64": "q",
    "int32": "i",
    "int16": "h",
    "int8": "b",
    "uint64": "Q",
    "uint32": "I",
    "uint16": "H",
    "uint8": "B",
    "bool": "?",
}


class Digests:
    """SHA-256. OpenSSL's is five times as fast as Python's own, and takes 4 ms to load: too long for a few digests."""

    FEW = 1 << 20  # bytes

    def __init__(self) -> None:
        self.taken = 0
        self.sha256 = self.loaded(OWN)

    def of(self, data: bytes) -> str:
        if self.taken <= self.FEW:
            self.taken += len(data)
            if self.taken > self.FEW or "hashlib" in sys.modules:
                self.taken, self.sha256 = self.FEW + 1, self.loaded("hashlib")
        digest: str = self.sha256(data).hexdigest()
        return digest

    def loaded(self, module: str) -> Callable[[bytes], Any]:
        try:
            sha256: Callable[[bytes], Any] = importlib.import_module(module).sha256
        except ImportError:  # a Python that is built without its own
            sha256 = importlib.import_module("hashlib").sha256
        return sha256


OWN = "_sha2" if sys.version_info >= (3, 12) else "_sha256"
DIGESTS = Digests()


@fields
class Value:
    """`data` is the little-endian bits of the elements, row by row; every NaN is the dtype's one quiet NaN."""

    dtype: str
    shape: Tuple[int, ...]
    data: bytes

    @property
    def size(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def digest(self) -> str:
        """SHA-256 of the bits."""
        return DIGESTS.of(self.data)

    def told(self) -> Union[List[str], str]:
        """The elements as exact text where they are few, else the digest."""
        return texts(self.dtype, self.data) if self.size <= INLINE and self.dtype in CODES else self.digest

    def base64(self) -> str:
        """The bits as text."""
        return binascii.b2a_base64(self.data, newline=False).decode("ascii")


def texts(dtype: str, data: bytes) -> List[str]:
    """Elements as text: floats in C99 hexadecimal (`nan`, `inf`, `-inf`), integers and booleans in decimal."""
    return [number.hex() if isinstance(number, float) else str(int(number)) for number in numbers(dtype, data)]


def numbers(dtype: str, data: bytes) -> List[Any]:
    """Elements as Python numbers."""
    if dtype == "bfloat16":
        data, dtype = b"".join(b"\0\0" + data[place : place + 2] for place in range(0, len(data), 2)), "float32"
    code = CODES[dtype]
    return list(struct.unpack(f"<{len(data) // struct.calcsize(code)}{code}", data))


def of_array(array: Any) -> Value:
    """The value of a NumPy array or scalar, bfloat16 of ml_dtypes included."""
    dtype, shape = array.dtype, array.shape
    name = NAMES.get(dtype) or NAMES.setdefault(dtype, dtype.name)
    if dtype.hasobject:
        raise TypeError(f"an array of {dtype} holds no numbers")
    if dtype.kind == "c":
        parts = array.reshape(-1).copy().view(f"{dtype.byteorder}f{dtype.itemsize // 2}")
        return Value(name, shape, of_array(parts).data)
    data = array.tobytes()
    if dtype.kind not in WHOLE:
        mask = array != array  # noqa: PLR0124 - NaN, without asking for NumPy
        if SOME in mask.tobytes():  # one NaN for all: which one comes out is chance, torch alone has two
            array = array.reshape(-1).copy()
            array[mask.reshape(-1)] = float("nan")
            data = array.tobytes()
    big = dtype.byteorder == ">" or (dtype.byteorder == "=" and sys.byteorder == "big")
    return Value(name, shape, array.byteswap().tobytes() if big else data)


def of_number(number: Union[bool, float]) -> Value:
    """The value of a Python number: a float64, an int64 or a bool, whatever it was computed from."""
    if isinstance(number, bool):
        return Value("bool", (), struct.pack("<?", number))
    if isinstance(number, int):
        return Value("int64", (), struct.pack("<q", number))
    one_nan = float("nan") if number != number else number  # noqa: PLR0124 - every NaN is one
    return Value("float64", (), struct.pack("<d", one_nan))
