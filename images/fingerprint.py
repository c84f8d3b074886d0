"""The environment as seen from inside: packages, processor, libraries, the kernels really taken."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Tuple

from job import describe
from modules import print_traceback

if TYPE_CHECKING:
    from cell import Framework

# Not as patterns: to compile them took longer than to read all else that the fingerprint tells.
NUMERIC_FLAGS = frozenset(("sse4_2", "avx", "avx2", "fma", "f16c", "fphp", "fcma", "bf16", "i8mm"))
NUMERIC_FAMILIES = ("avx512", "amx", "avx_", "asimd", "sve", "sme")
LIBRARIES = frozenset(("OMP", "KMP", "OPENBLAS", "MKL", "NPY", "ATEN", "ONEDNN", "DNNL"))
LIBRARIES |= {"TF", "XLA", "JAX", "KERAS", "CUBLAS", "CUDA", "NVIDIA"}


def numeric(flag: str) -> bool:
    """Whether a flag of the processor matters to numbers."""
    return flag in NUMERIC_FLAGS or flag.startswith(NUMERIC_FAMILIES)


def told_variable(name: str) -> bool:
    """Whether a variable of the process can change numbers."""
    library, _, rest = name.partition("_")
    if library in LIBRARIES:
        return bool(rest) and not rest.startswith(("CLI_", "VAR_")) and is_word(rest)
    return (name.startswith(("TORCH", "PYTORCH")) and is_word(name)) or name in ("NPROC", "GLIBC_TUNABLES")


def is_word(text: str) -> bool:
    return text.replace("_", "a").isalnum()


def cpu() -> Dict[str, Any]:
    """Architecture, vendor and the flags that matter to numbers; no marketing name."""
    found: Dict[str, str] = {}
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    except OSError:
        pass
    words = (found.get("flags") or found.get("Features") or "").split()
    flags = sorted({word for word in words if numeric(word)})
    maker = f"{found.get('CPU implementer', 'unknown')} {found.get('CPU part', '')}".strip()  # as Arm tells it
    return {"machine": platform.machine(), "vendor": found.get("vendor_id", maker), "flags": flags}


def packages() -> Dict[str, str]:
    """Every installed distribution: what importlib.metadata tells, which takes 20 ms to import."""
    found: Dict[str, str] = {}
    for folder in sys.path:
        for name, version in distributions(Path(folder)):
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return dict(sorted(found.items()))


def distributions(folder: Path) -> Iterator[Tuple[str, str]]:
    """The names and versions of what is installed in a folder of `sys.path`, or in an archive there."""
    if folder.is_file():
        from importlib import metadata

        for distribution in metadata.distributions(path=[str(folder)]):
            yield distribution.metadata["Name"], distribution.version
    elif os.access(folder, os.R_OK):
        egg = folder.suffix.lower() == ".egg"
        for place in folder.iterdir():
            if place.suffix.lower() in (".dist-info", ".egg-info") or (egg and place.name.lower() == "egg-info"):
                told = headers(place)
                if told.get("name"):
                    yield told["name"], told.get("version", "")


def headers(place: Path) -> Dict[str, str]:
    """The headers of a distribution's metadata, which is a file or in a folder, as far as to its name and version."""
    told: Dict[str, str] = {}
    path = next(filter(Path.is_file, (place / "METADATA", place / "PKG-INFO", place)), Path(os.devnull))
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            told.setdefault(key.lower(), value.strip())
            if not line.strip() or {"name", "version"} <= told.keys():
                break
    return told


def conda_packages() -> List[str]:
    """What conda has installed, with builds: its libraries are no Python distributions. Empty outside of conda."""
    return sorted(path.stem for path in Path(sys.prefix, "conda-meta").glob("*.json"))


def loaded_libraries(part: str) -> List[str]:
    """Paths of the shared libraries in this process whose file name holds `part`."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    paths = {line.split(None, 5)[5].strip() for line in lines if "/" in line and part in line}
    return sorted(path for path in paths if part in Path(path).name)


def openblas() -> Tuple[Dict[str, str], Dict[str, int]]:
    """Core names and thread counts of the OpenBLAS copies in this process."""
    cores, threads = {}, {}
    for path in loaded_libraries("openblas"):
        library = ctypes.CDLL(path)
        for prefix in ("scipy_openblas", "openblas"):
            for suffix in ("", "64_", "_64", "_"):
                core = getattr(library, f"{prefix}_get_corename{suffix}", None)
                count = getattr(library, f"{prefix}_get_num_threads{suffix}", None)
                if core is not None and count is not None:
                    core.restype = ctypes.c_char_p
                    name = "openblas" if "openblas_core" not in cores else f"openblas_{len(cores)}"
                    cores[f"{name}_core"], threads[name] = core().decode(), int(count())
                    break
    return cores, threads


def numpy_dispatch() -> Dict[str, str]:
    """The optional instruction sets that NumPy's own loops take, if NumPy is in this process."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "__cpu_dispatch__"):
            taken = [feature for feature in module.__cpu_dispatch__ if module.__cpu_features__.get(feature)]
            return {"numpy_dispatch": " ".join(taken) or "baseline"}
    return {}


# The call of each CUDA library that gives its version as one number.
CUDA_VERSIONS = {"cublas": ("libcublasLt.so", "cublasLtGetVersion"), "cudnn": ("libcudnn.so", "cudnnGetVersion")}
DRIVER = r"Kernel Module.*?\s(\d+\.\d[\d.]*)"


def nvidia_driver() -> str:
    """The version of the NVIDIA driver: the kernel's word, or where that is hidden the tool's."""
    try:
        told = re.search(DRIVER, Path("/proc/driver/nvidia/version").read_text(encoding="utf-8"))
        if told:
            return told.group(1)
    except OSError:
        pass
    import subprocess

    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return (done.stdout.decode("utf-8", "replace").split() or ["unknown"])[0]


def cuda_libraries() -> Dict[str, str]:
    """Versions of the CUDA libraries that are in this process, whatever the packages say."""
    found = {}
    for name, (part, call) in CUDA_VERSIONS.items():
        for path in loaded_libraries(part):
            try:
                ask = getattr(ctypes.CDLL(path), call)
            except (OSError, AttributeError):
                continue
            ask.restype = ctypes.c_size_t
            found[f"{name}_loaded"] = str(ask())
    return found


def libc() -> str:
    """The C library's name and version."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "unknown"
    except (ValueError, OSError, AttributeError):
        return " ".join(platform.libc_ver()).strip() or "unknown"


def usable_cpus() -> Dict[str, int]:
    """How many CPUs this process may run on, where the system tells."""
    return {"usable_cpus": len(os.sched_getaffinity(0))} if hasattr(os, "sched_getaffinity") else {}


def fingerprint(framework: Framework, devices: List[str], seen: Dict[str, str]) -> Dict[str, Any]:
    """The environment as seen from inside. A probe that breaks is named, not fatal."""
    kernels: Dict[str, str] = {}
    threads = usable_cpus()
    try:
        cores, counts = openblas()
        kernels = {**numpy_dispatch(), **cores}
        threads = {**threads, **counts, **framework.threads()}
        on_gpu = any(device != "cpu" for device in devices)
        if on_gpu:
            kernels["gpu_driver"] = nvidia_driver()
        kernels.update(framework.kernels(devices))
        if on_gpu:
            kernels.update(cuda_libraries())  # last: a framework loads them when it is first asked
    except Exception as error:  # an unknown version may lack what a probe asks for
        print_traceback()
        kernels["probe_error"] = describe(error)
    conda = conda_packages()
    return {
        "packages": packages(),
        **({"conda": conda} if conda else {}),
        "python": platform.python_version(),
        "libc": libc(),
        "cpu": cpu(),
        "kernels": dict(sorted(kernels.items())),
        "threads": dict(sorted(threads.items())),
        "variables": seen,
    }
