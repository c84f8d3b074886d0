"""Where the product's own files lie, and the one way to write a file.

In a checkout `images/` and `templates/` stand beside the package; in an installed wheel they are
package data. Nothing here knows what the files mean.
"""

import os
import tempfile
from hashlib import sha256
from pathlib import Path

from repromatrix.errors import RepromatrixError

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """Return the product's folder `name` (`images` or `templates`), from the checkout or from the wheel."""
    packaged = _PACKAGE / "_data" / name
    found = packaged if packaged.is_dir() else _PACKAGE.parents[1] / name
    if not found.is_dir():
        raise RepromatrixError(
            f"the folder {name}/ of repromatrix is missing",
            where=str(found),
            hint="install it again: pip install --force-reinstall repromatrix",
        )
    return found


def schema(name: str) -> Path:
    """Return the path of the JSON Schema `name` (`matrix`, `record`, `report`, `comparison` or `accepted`)."""
    return _PACKAGE / "schemas" / f"{name}.json"


def cache() -> Path:
    """Return the folder for wheels, environments and build logs: REPROMATRIX_CACHE or the user's cache folder."""
    own = os.environ.get("REPROMATRIX_CACHE")
    if own:
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "repromatrix"


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` so that a reader, or a kill at any moment, sees the old file or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's content, lower-case hexadecimal."""
    digest = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
