"""Settings -> process variables: how each library spells the threads and the instruction-set caps."""

from __future__ import annotations

import platform
import re
from typing import Dict, List, Tuple

from fingerprint import cpu, packages
from job import CAPS, Settings, Unavailable

# How each library spells the caps, in the order of CAPS. Several libraries ignore a cap silently, so the
# fingerprint tells what was taken, not what was asked.
SPELLINGS = {
    "OPENBLAS_CORETYPE": ("Nehalem", "Haswell", "SkylakeX"),
    "ATEN_CPU_CAPABILITY": ("default", "avx2", "avx512"),
    "ONEDNN_MAX_CPU_ISA": ("SSE41", "AVX2", "AVX512_CORE"),
    "MKL_ENABLE_INSTRUCTIONS": ("SSE4_2", "AVX2", "AVX512"),
    "XLA_FLAGS": ("--xla_cpu_max_isa=SSE4_2", "--xla_cpu_max_isa=AVX2", "--xla_cpu_max_isa=AVX512"),
    "NPY_DISABLE_CPU_FEATURES": ("", "", ""),  # by NumPy's version: numpy_disabled
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")  # NPROC: XLA's pools


def version(distribution: str) -> Tuple[int, ...]:
    """Major, minor, patch of an installed distribution, without importing it; empty if it is not there."""
    return tuple(int(number) for number in re.findall(r"\d+", packages().get(distribution, ""))[:3])


def numpy_disabled(cap: int) -> str:
    """NumPy's own names of what lies above a cap; they changed in 2.4, and naming its baseline is an error."""
    if version("numpy") >= (2, 4):
        above = ["X86_V3", "X86_V4 AVX512_ICL AVX512_SPR", ""]
    else:
        skx = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"
        skx += " AVX512_SPR" if version("numpy") >= (1, 25) else ""
        above = ["AVX F16C FMA3 AVX2", skx, ""]
    return " ".join(above[cap:]).strip()


def host_level(flags: List[str]) -> int:
    """The highest cap that this host reaches, as an index into CAPS."""
    if {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= set(flags):
        return 2
    return 1 if {"avx2", "fma"} <= set(flags) else 0


def variables(settings: Settings, knobs: Tuple[str, ...]) -> Dict[str, str]:
    """The process variables that the settings stand for; `env` has the last word, flag by flag in XLA_FLAGS."""
    made = {**thread_variables(settings), **cap_variables(settings, knobs)}
    if "XLA_FLAGS" in made and "XLA_FLAGS" in settings.env:
        return {**made, **settings.env, "XLA_FLAGS": f"{made['XLA_FLAGS']} {settings.env['XLA_FLAGS']}"}
    return {**made, **settings.env}


def thread_variables(settings: Settings) -> Dict[str, str]:
    """The variables that a number of threads stands for."""
    if settings.threads is None:
        return {}
    return {name: str(settings.threads) for name in THREAD_VARIABLES}


def cap_variables(settings: Settings, knobs: Tuple[str, ...]) -> Dict[str, str]:
    """The variables that a cap stands for. Raises Unavailable where it is none."""
    if settings.isa is None:
        return {}
    if platform.machine() not in ("x86_64", "AMD64"):
        raise Unavailable(f"isa={settings.isa} is a cap for x86-64, this is {platform.machine()}")
    # A cap above the host would force kernels that it cannot run.
    cap = min(CAPS.index(settings.isa), host_level(cpu()["flags"]))
    spelt = {knob: SPELLINGS[knob][cap] or numpy_disabled(cap) for knob in knobs}
    return {name: value for name, value in spelt.items() if value}
