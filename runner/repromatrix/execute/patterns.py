"""The matches of a regular expression in a text, found by a process of its own.

Some expressions try more ways than a life has seconds, and while one does, the process it is in answers nothing, not
even Ctrl-C.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping

SECONDS = 20  # of CPU time
_PATIENCE = 20  # times as long by the clock, on a machine that does much else
_MOST = 1_000_000
_TOO_MANY = 3
_FIND = f"""
import json, re, sys
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]),) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except ImportError:  # there the clock ends it
    pass
pattern, text = json.load(sys.stdin)
found = []
for match in re.finditer(pattern, text, re.MULTILINE):
    if len(found) == {_MOST}:
        sys.exit({_TOO_MANY})
    found.append({{name: (match[name], match.start(name)) for name in match.re.groupindex if match[name] is not None}})
json.dump(found, sys.stdout)
"""
Match = Mapping[str, tuple[str, int]]


class EndlessError(Exception):
    """A pattern came to no end, or has too many matches; in words."""


def matches(pattern: str, text: str) -> list[Match]:
    """Return of each match its named groups that took part: what they matched and where that begins.

    Raises:
        EndlessError: it comes to no end, or has too many.
    """
    re.compile(pattern)  # what is no regular expression is told here, not by the process
    command = [sys.executable, "-I", "-S", "-c", _FIND, str(SECONDS)]
    given = json.dumps([pattern, text]).encode()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=_PATIENCE * SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise EndlessError(f"comes to no end in {_PATIENCE * SECONDS} s") from error
    if done.returncode == _TOO_MANY:
        raise EndlessError(f"has more than {_MOST:,} matches")
    if done.returncode:
        raise EndlessError(f"comes to no end in {SECONDS} s of CPU time")
    found: list[Match] = json.loads(done.stdout)
    return found
