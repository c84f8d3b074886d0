"""What this host is, as far as it can change numbers: instruction sets and accelerators."""

import platform
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

# What the frameworks' run-time dispatch looks at. Marketing names are left out on purpose; vendor and
# family are in, because OpenBLAS and MKL choose kernels by them.
_FLAGS = frozenset({
    "sse4_1", "sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni",
    "avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl", "avx512ifma",
    "avx512vbmi", "avx512_vbmi2", "avx512_vnni", "avx512_bitalg", "avx512_bf16", "avx512_fp16",
    "amx_bf16", "amx_int8", "amx_tile", "asimd", "sve", "sve2",
    "asimdhp", "asimddp", "asimdfhm", "fphp", "fcma", "bf16", "i8mm", "svebf16", "svei8mm", "sme", "sme2",
})  # fmt: skip
_LEVELS = (
    ("x86-64-v4", {"avx512f", "avx512dq", "avx512cd", "avx512bw", "avx512vl"}),
    ("x86-64-v3", {"avx", "avx2", "fma", "f16c"}),
    ("x86-64-v2", {"sse4_1", "sse4_2"}),
    ("aarch64-sve2", {"asimd", "sve2"}),
    ("aarch64-sve", {"asimd", "sve"}),
    ("aarch64-asimd", {"asimd"}),
)
# What Linux calls the features of Apple's processors, which their own system calls otherwise.
_APPLE = {
    "AdvSIMD": "asimd", "FEAT_FP16": "fphp", "FEAT_DotProd": "asimddp", "FEAT_FHM": "asimdfhm", "FEAT_FCMA": "fcma",
    "FEAT_BF16": "bf16", "FEAT_I8MM": "i8mm", "FEAT_SME": "sme", "FEAT_SME2": "sme2", "avx1_0": "avx", "avx2_0": "avx2",
}  # fmt: skip
_MACHINES = {"arm64": "aarch64", "AMD64": "x86_64", "ARM64": "aarch64"}  # macOS and Windows -> Linux


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What of a host is in the key of what ran there.

    Attributes:
        cpu_class: as `cpu_class` gives it.
        gpu: as `nvidia_devices` gives them.
    """

    cpu_class: str
    gpu: tuple[str, ...]

    def has(self, device: str) -> bool:
        """Whether it has a device, or one of its kind."""
        return device == "cpu" or bool(self.gpu)


def machine() -> Machine:
    """Return what this host is."""
    return Machine(cpu_class=cpu_class(), gpu=nvidia_devices())


@cache
def cpu_class() -> str:
    """Return the host's CPU class: instruction-set level and a digest of what kernel dispatch can see."""
    if platform.system() == "Darwin":
        return class_of_apple(_sysctl(), platform.machine())
    cpuinfo = _cpuinfo()
    return class_of(cpuinfo, platform.machine(), "" if cpuinfo else platform.processor())


def class_of(cpuinfo: str, machine: str, processor: str = "") -> str:
    """Return the class that Linux's `/proc/cpuinfo` tells; where there is none, as on Windows, what Python tells.

    Args:
        cpuinfo: the file's text; empty where there is none.
        machine: of `platform.machine()`.
        processor: of `platform.processor()`: family, model and vendor, where there is no such file.
    """
    info = _pairs(cpuinfo.split("\n\n", maxsplit=1)[0])
    flags = info.get("flags", info.get("Features", "")).split()
    identity = [info.get("vendor_id", ""), info.get("cpu family", ""), info.get("model", "")]
    if "CPU part" in info:  # Arm: kernels are chosen by maker and part, and a processor may have cores of several
        parts = {line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("CPU part")}
        identity = [info.get("CPU implementer", ""), *sorted(parts)]
    return _named(flags, identity if cpuinfo else [processor], machine)


def class_of_apple(sysctl: str, machine: str) -> str:
    """Return the class that macOS's `sysctl hw` tells: features, and the family that kernels are chosen by."""
    info = _pairs(sysctl)
    there = [key.rpartition(".")[2] for key, value in info.items() if key.startswith("hw.optional.") and value == "1"]
    flags = [_APPLE.get(name, name) for name in there]
    flags += ["asimd"] if _MACHINES.get(machine, machine) == "aarch64" else []
    return _named(flags, ["Apple", info.get("hw.cpufamily", "")], machine)


def _named(told: Iterable[str], identity: Iterable[str], machine: str) -> str:
    flags = sorted(_FLAGS & {*told})
    level = next((name for name, needed in _LEVELS if needed <= {*flags}), _MACHINES.get(machine, machine))
    return f"{level}-{sha256('|'.join([*identity, *flags]).encode()).hexdigest()[:8]}"


@cache
def nvidia_devices() -> tuple[str, ...]:
    """Return a line per NVIDIA device with name and driver; empty where there is none."""
    tool = shutil.which("nvidia-smi")
    if not tool or not Path("/dev/nvidiactl").exists():
        return ()
    query = ["--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run([tool, *query], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):  # a driver that hangs is no device to count on
        return ()
    return tuple(line.strip() for line in done.stdout.splitlines() if line.strip()) if done.returncode == 0 else ()


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _sysctl() -> str:
    try:
        done = subprocess.run(["/usr/sbin/sysctl", "hw"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _pairs(text: str) -> dict[str, str]:
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
