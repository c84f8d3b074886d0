"""What this host is, as far as it can change numbers: instruction sets and accelerators."""

import platform
import shutil
import subprocess
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
})  # fmt: skip
_LEVELS = (
    ("x86-64-v4", {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}),
    ("x86-64-v3", {"avx", "avx2", "fma", "f16c"}),
    ("x86-64-v2", {"sse4_1", "sse4_2"}),
)


@cache
def cpu_class() -> str:
    """Return the host's CPU class: instruction-set level and a digest of what kernel dispatch can see."""
    info = _cpuinfo()
    flags = sorted(_FLAGS & set(info.get("flags", info.get("Features", "")).split()))
    level = next((name for name, needed in _LEVELS if needed <= set(flags)), platform.machine())
    identity = "|".join([info.get("vendor_id", ""), info.get("cpu family", ""), info.get("model", ""), *flags])
    return f"{level}-{sha256(identity.encode()).hexdigest()[:8]}"


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


def _cpuinfo() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}
