"""Makes the virtual environment of this checkout; whoever comes while it is being made waits, and makes nothing twice.

    python3 scripts/setup.py VENV STAMP [EXTRA]

STAMP is touched when all is installed; one that is younger than pyproject.toml says that nothing is to be done.
"""  # noqa: INP001 - a script

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - whatever Python make was given
    sys.exit("repromatrix needs Python 3.11 or newer: make matrix PYTHON=python3.11")

import fcntl
import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]


def main(venv: Path, stamp: Path, extra: str = "") -> int:
    """Make the environment unless it is there; return what the command that failed returned."""
    handle = os.open(CHECKOUT, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # of the folder, so that nothing is left; the kernel lets go when we end
        return _made(venv, stamp, extra)
    finally:
        os.close(handle)


def _made(venv: Path, stamp: Path, extra: str) -> int:
    if _is_younger(stamp, CHECKOUT / "pyproject.toml"):
        stamp.touch()  # or make asks again and again where what it stands on is younger
        return 0
    print(f"setting up {venv} (once)", flush=True)  # noqa: T201 - a script
    target = f"{CHECKOUT}[{extra}]" if extra else str(CHECKOUT)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    venv_made = [] if extra else [[sys.executable, "-m", "venv", str(venv)]]
    for command in (*venv_made, [*pip, "--editable", target]):
        code = subprocess.run(command, check=False).returncode
        if code != 0:
            return code
    stamp.touch()
    return 0


def _is_younger(path: Path, than: Path) -> bool:
    return path.is_file() and path.stat().st_mtime_ns >= than.stat().st_mtime_ns


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
