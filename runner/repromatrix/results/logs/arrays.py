"""NumPy's `.npy` and `.npz`: numbers with their dtype; never a pickle."""

import io
import warnings
import zipfile
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from repromatrix.errors import UsageError
from repromatrix.results.logs import columns, figures, files, words
from repromatrix.results.logs.columns import Asked, Column, Log

_MAGIC = b"\x93NUMPY"
_DTYPES = {"float64": "float64", "float32": "float32", "float16": "float16"}
_HINT = "save it as an array of numbers: numpy.save(path, array, allow_pickle=False)"
_WIDEST = 2**53
_MOST_HEADER = 65536


def is_npy(data: bytes) -> bool:
    """Whether it is an array of NumPy's."""
    return data.startswith(_MAGIC)


def is_zip(data: bytes) -> bool:
    """Whether it is a zip archive, as `.npz` is."""
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def npy(data: bytes, where: str, asked: Asked) -> Log:
    """Return the numbers of an array.

    Raises:
        UsageError: it is damaged, or holds objects.
    """
    return of_arrays({"loss": array(data, where)}, "an array of NumPy's", asked)


def npz(data: bytes, where: str, asked: Asked) -> Log:
    """Return the numbers of every array of an archive.

    Raises:
        UsageError: it is damaged, holds objects or no array, or is too large when it is unpacked.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".npy")]
            if not members:
                pickled = any(each.filename.endswith(".pkl") for each in archive.infolist())
                what = (
                    "a pickle in a zip archive, which could run code: not read"
                    if pickled
                    else "a zip archive without arrays"
                )
                raise UsageError(what, where=where, hint="save the losses as text, .npy or .safetensors")
            if sum(each.file_size for each in members) > files.MOST_BYTES:
                hint = "keep the step and the loss"
                raise UsageError(f"larger than {files.MOST_BYTES >> 20} MiB when unpacked", where=where, hint=hint)
            for each in members:
                with archive.open(each) as member:
                    content = member.read(files.MOST_BYTES + 1)
                name = each.filename.removesuffix(".npy")
                found[name] = array(content, f"{where}::{name}")
    except (
        zipfile.BadZipFile,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OverflowError,
    ) as error:
        raise UsageError(f"a damaged zip archive ({error})", where=where, hint="copy or save it again") from error
    except zipfile.zlib.error as error:  # type: ignore[attr-defined]
        raise UsageError(f"a damaged zip archive ({error})", where=where, hint="copy or save it again") from error
    return of_arrays(found, "arrays of NumPy's", asked)


def array(data: bytes, where: str) -> npt.NDArray[Any]:
    """Return an array; its header is held against its size before any memory is taken.

    Raises:
        UsageError: it is damaged, or holds objects.
    """
    return _array(data, where)[0]


def _array(data: bytes, where: str) -> tuple[npt.NDArray[Any], int]:
    """Return an array and where its numbers begin."""
    file = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2 wrote
            shape, by_columns, dtype = header(file, max_header_size=_MOST_HEADER)
        count = 1
        for size in shape:
            count *= size
    except Exception as error:  # NumPy lets what its parser of Python text meets come through
        raise UsageError(f"a damaged array ({type(error).__name__})", where=where, hint="save it again") from error
    if dtype.hasobject:
        raise UsageError("an array of Python objects, which could run code: not read", where=where, hint=_HINT)
    if dtype.itemsize == 0 or any(size < 0 for size in shape) or count * dtype.itemsize != len(data) - file.tell():
        raise UsageError("a damaged array: its header states another size", where=where, hint="save it again")
    flat = np.frombuffer(data, dtype=dtype, count=count, offset=file.tell())
    return flat.reshape(shape, order="F" if by_columns else "C"), file.tell()


def replaced(data: bytes, moved: Mapping[str, Mapping[int, str]], where: str) -> bytes:
    """Return the content of an `.npy` with numbers replaced, all else as it was.

    Args:
        data: the content.
        moved: the field, or any name where there are none -> place in it, laid flat -> the new number.
        where: its path in messages.

    Raises:
        UsageError: a number that is no value of its dtype.
    """
    found, start = _array(data, where)
    changed = found.copy(order="K")
    for name, places in moved.items():
        own = changed[name] if changed.dtype.names else changed
        for place, text in places.items():
            number = figures.value(text)
            own.flat[place] = number
            if float(own.flat[place]) != number:
                raise UsageError(f"{number!r} is no {own.dtype}", where=where, hint="save the golden in a wider dtype")
    order: Literal["F", "C"] = "C" if found.flags.c_contiguous else "F"
    return data[:start] + changed.tobytes(order=order)


def replaced_in_zip(data: bytes, moved: Mapping[str, Mapping[int, str]], where: str) -> bytes:
    """Return the content of an `.npz` with numbers replaced: packed anew, its other members as they were.

    Raises:
        UsageError: a number that is no value of its dtype.
    """
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(made, "w") as anew:
        single = sum(each.filename.endswith(".npy") for each in archive.infolist()) == 1
        for each in archive.infolist():
            content, name = archive.read(each), each.filename.removesuffix(".npy")
            own = {
                column.removeprefix(f"{name}/"): places
                for column, places in moved.items()
                if single or column == name or column.startswith(f"{name}/")
            }
            is_array = each.filename.endswith(".npy")
            anew.writestr(each, replaced(content, own, where) if own and is_array else content, each.compress_type)
    return made.getvalue()


def of_arrays(found: Mapping[str, npt.NDArray[Any]], form: str, asked: Asked) -> Log:
    """Return arrays as columns: fields by their names, a step beside numbers of its length, all else laid flat."""
    every: dict[str, npt.NDArray[Any]] = {}
    for name, each in found.items():
        if each.dtype.names:
            every.update({field if len(found) == 1 else f"{name}/{field}": each[field] for field in each.dtype.names})
        else:
            every[name] = each
    left_out = []
    kept: dict[str, Column] = {}
    for name, each in every.items():
        column = _column(name, each)
        if isinstance(column, str):
            left_out.append(f"{name} ({column})")
        else:
            kept[name] = column
    if not asked.by_place:
        kept = _with_steps(kept, asked)
    return Log(form=form, columns=tuple(kept.values()), left_out=tuple(left_out))


def _column(name: str, found: npt.NDArray[Any]) -> Column | str:
    """Return an array as a column, or why it is none."""
    if not found.size:
        return "empty"
    if found.dtype.kind in "iu" and max(abs(int(found.max())), abs(int(found.min()))) > _WIDEST:
        return "whole numbers beyond float64"
    if found.dtype.kind not in "fiu" or found.dtype.itemsize > 8:  # noqa: PLR2004
        return f"dtype {found.dtype}"
    return columns.exact(name, found, _DTYPES.get(found.dtype.newbyteorder("=").name))


def _with_steps(kept: dict[str, Column], asked: Asked) -> dict[str, Column]:
    ranked = sorted(
        (rank, name) for name in kept if (rank := words.counter(name)) is not None and name not in asked.columns
    )
    steps = next((kept[name] for _, name in ranked if len(kept) > 1), None)
    if steps is None or steps.dtype is not None or not columns.rises(steps.values):
        return kept
    others = {name: each for name, each in kept.items() if name not in {name for _, name in ranked}}
    return {name: columns.with_steps(each, steps) for name, each in others.items()} or kept
