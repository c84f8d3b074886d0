"""A headless Chromium that is told what to do through its DevTools pipe; standard library only.

The protocol goes over two inherited pipes (`--remote-debugging-pipe`): JSON messages that end in a NUL byte. So there
is no port, no driver program and no dependency. Used by the tests of the page and by bench/report.py.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
_READY = """new Promise((done) => {
  const ready = () => document.documentElement.classList.contains("scripted");
  const wait = () => (ready() ? setTimeout(done, 100) : setTimeout(wait, 20));
  wait();
})"""
_FILL = """((where, value, kind) => {
  const field = document.querySelector(where);
  field.value = value;
  field.dispatchEvent(new Event(kind, { bubbles: true }));
})"""
PATIENCE = 60.0  # seconds for one command or one page; a defect, and not a slow machine, takes longer
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def find() -> str | None:
    """Return the path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """One tab.

    Attributes:
        complaints: console errors and warnings, uncaught exceptions, violations of the Content-Security-Policy.
        requests: addresses that the page asked for, its own included.
    """

    def __init__(self, command: int, answer: int) -> None:
        self._command, self._answer = command, answer
        self._number, self._unread = 0, b""
        self._session: str | None = None
        self._events: list[str] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and return its result; what happens meanwhile is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        until = time.monotonic() + PATIENCE
        self._send(json.dumps(message).encode() + b"\0", method, until)
        while True:
            found = self._receive(method, until)
            if found.get("id") == self._number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                return found["result"]

    def open(self, path: Path, anchor: str = "", *, script: bool = True) -> None:
        """Open a file and wait until its script, where it may run, has finished."""
        # Another anchor of the same file would load nothing.
        for url in ("about:blank", path.absolute().as_uri() + anchor):
            self._events.clear()
            found = self.call("Page.navigate", url=url)
            if "errorText" in found:
                raise FileNotFoundError(f"Chromium cannot open {url}: {found['errorText']}")
            until = time.monotonic() + PATIENCE
            while "Page.loadEventFired" not in self._events:
                self._receive(f"loading {url}", until)
        self.requests = [each for each in self.requests if each != "about:blank"]
        if script:
            self.run(_READY)

    def run(self, script: str) -> Any:
        """Evaluate JavaScript in the page and return its value as JSON gives it; promises are awaited."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(json.dumps(found["exceptionDetails"])[:2000])
        return found["result"].get("value")

    def wait(self, milliseconds: int) -> None:
        """Let the page work for so long, and until it was drawn twice: a busy machine draws late.

        What comes into sight is told to the page's script when a frame is drawn.
        """
        drawn = "requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)))"
        self.run(f"new Promise((done) => setTimeout(() => {drawn}, {milliseconds}))")

    def show(self, section: str) -> None:
        """Scroll to an id and wait for what is made when it comes into sight."""
        self.run(f"document.getElementById({json.dumps(section)}).scrollIntoView()")
        self.wait(300)

    def fill(self, where: str, value: str, kind: str = "input") -> None:
        """Give a field a value, as if typed (`input`) or chosen (`change`)."""
        self.run(f"{_FILL}({json.dumps(where)}, {json.dumps(value)}, {json.dumps(kind)})")

    def click(self, where: str) -> None:
        """Click the first element that a selector finds."""
        self.run(f"document.querySelector({json.dumps(where)}).click()")

    def text(self, where: str) -> str:
        """Return the text of the first element that a selector finds."""
        return str(self.run(f"document.querySelector({json.dumps(where)}).textContent"))

    def key(self, name: str) -> None:
        """Press and release a key by its name: `ArrowRight`, `Tab`, `Enter`, `Escape`."""
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13, "Escape": 27}
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=codes[name])

    def size(self, width: int, height: int) -> None:
        """Take a screen of so many CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def scheme(self, name: str) -> None:
        """Prefer `light` or `dark`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write what is in sight, or the whole page, as PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """Return the printed page."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True, landscape=True)["data"])

    def shown(self, *texts: str) -> str:
        """Wait until each of `texts` is laid out; return all text that is, as drawn. Works without JavaScript too.

        What is laid out only while it is in sight comes a frame or more after the page is loaded.
        """
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.call("DOMSnapshot.captureSnapshot", computedStyles=[])
            strings = found["strings"]
            laid_out = [index for each in found["documents"] for index in each["layout"]["text"]]
            shown = "\n".join(strings[index] for index in laid_out if index >= 0)
            if all(each in shown for each in texts):
                return shown
            time.sleep(0.05)
        raise TimeoutError(f"Chromium did not lay out {texts} in {PATIENCE:g} s")

    def _send(self, data: bytes, what: str, until: float) -> None:
        while data:
            # No more than a pipe takes at once, so that a browser that does not read cannot stop us.
            if not select.select([], [self._command], [], max(0.0, until - time.monotonic()))[1]:
                raise TimeoutError(f"Chromium did not read {what} in {PATIENCE:g} s")
            data = data[os.write(self._command, data[: select.PIPE_BUF]) :]

    def _receive(self, what: str, until: float) -> dict[str, Any]:
        """Return the next message; `until`: when to give up waiting for `what`, whatever else comes meanwhile."""
        while b"\0" not in self._unread:
            if not select.select([self._answer], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError(f"Chromium did not answer {what} in {PATIENCE:g} s")
            block = os.read(self._answer, 1 << 20)
            if not block:
                raise EOFError(f"Chromium went away during {what}")
            self._unread += block
        if time.monotonic() > until:
            raise TimeoutError(f"Chromium did not answer {what} in {PATIENCE:g} s, only told other things")
        text, _, self._unread = self._unread.partition(b"\0")
        found: dict[str, Any] = json.loads(text)
        self._notice(found.get("method", ""), found.get("params", {}))
        return found

    def _notice(self, method: str, params: dict[str, Any]) -> None:
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(params["args"])[:500])
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


@contextmanager
def chromium(folder: Path, extra: Sequence[str] = ()) -> Iterator[Page]:
    """Start Chromium with its profile in `folder` and give a tab of it.

    Raises:
        FileNotFoundError: there is no Chromium.
    """
    program = find()
    if program is None:
        raise FileNotFoundError("no Chromium: apt-get install chromium")
    # Chromium keeps its lock in the folder for temporary files; its path must stay short, it holds a socket.
    with tempfile.TemporaryDirectory(prefix="cr-", ignore_cleanup_errors=True) as scratch:
        command, answer, child = _started(program, folder, scratch, extra)
        try:
            yield Page(command, answer)
        finally:
            os.close(command)
            os.close(answer)
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _started(program: str, folder: Path, scratch: str, extra: Sequence[str]) -> tuple[int, int, int]:
    """Start the browser; return where commands go, where answers come from, and its process."""
    (command_read, command_write), (answer_read, answer_write) = _pipe(), _pipe()
    noise = os.open(folder / "chromium.log", os.O_WRONLY | os.O_CREAT)
    actions = [
        (os.POSIX_SPAWN_DUP2, command_read, 3),
        (os.POSIX_SPAWN_DUP2, answer_write, 4),
        (os.POSIX_SPAWN_DUP2, noise, 1),
        (os.POSIX_SPAWN_DUP2, noise, 2),
    ]
    arguments = [program, *_FLAGS, f"--user-data-dir={folder / 'profile'}", *extra]
    environment = os.environ | {"TMPDIR": scratch}
    child = os.posix_spawn(program, arguments, environment, file_actions=actions, setpgroup=0)
    for end in (command_read, answer_write, noise):
        os.close(end)
    return command_write, answer_read, child


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends lie above the two numbers that the child needs, so that no copy closes one of them."""
    pair = os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in pair]
    for end in pair:
        os.close(end)
    return ends[0], ends[1]
