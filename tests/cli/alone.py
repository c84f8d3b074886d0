"""`python -m tests.cli.alone COMMAND ...`: the command as a process of its own, on the engine in memory.

It works in the current folder, which the fixture `command` has filled. In numpy 2.0 every loss is another one, and no
operation can be replayed.
"""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from repromatrix import resources
from repromatrix.__main__ import main
from repromatrix.engines import choose as choosing
from repromatrix.engines.base import Base, Exit
from repromatrix.engines.choose import Choice
from repromatrix.execute import host
from repromatrix.images import interpreters, pins, sources, wheels
from repromatrix.images.pins import State, Verified
from tests import fakes as say

real = resources.folder
engine = say.FakeEngine()


def answer(cells: list[say.Asked], _number: int) -> say.Answer:
    return say.everything_ok(cells, 0.75 if "numpy-2.0" in cells[0]["id"] else 0.5)


def no_operation(_asked: Sequence[say.Asked]) -> say.Answer:
    return [say.fingerprint()], Exit(signal="SIGSEGV")


def offline(entry: pins.BaseEntry) -> Verified:
    return Verified(entry=entry, state=State.UNKNOWN, tag_digest=None, reason="there is no network in this test")


engine.answer, engine.operate = answer, no_operation
resources.folder = lambda name: Path("images").absolute() if name == "images" else real(name)
choosing.choose = lambda _: Choice(engine=engine, reason="a test wants it")
interpreters.find = lambda python: Base(kind="interpreter", reference="python", digest=f"{python}.0")
wheels.fetch = lambda *_: ()
host.cpu_class = lambda: "x86-64-v3-01234567"
host.nvidia_devices = tuple
sources.index_answers = lambda: ""
pins.verify = offline
shutil.disk_usage = lambda _: SimpleNamespace(free=2**40)

if __name__ == "__main__":
    sys.exit(main())
