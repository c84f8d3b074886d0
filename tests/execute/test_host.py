"""What a host is, as far as it can change numbers."""

import subprocess
from pathlib import Path

import pytest

from repromatrix.execute import host

V3 = "sse4_1 sse4_2 avx avx2 fma f16c"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


def _class(monkeypatch, **info: str) -> str:
    text = "\n".join(f"{name}\t: {value}" for name, value in info.items()) + "\n\nprocessor: 1\nflags: none\n"
    monkeypatch.setattr(host, "_cpuinfo", lambda: text if info else "")
    host.cpu_class.cache_clear()
    try:
        return host.cpu_class()
    finally:
        host.cpu_class.cache_clear()


@pytest.mark.parametrize(("flags", "level"), [(V4, "x86-64-v4"), (V3, "x86-64-v3"), ("sse4_1 sse4_2", "x86-64-v2")])
def test_the_level_of_the_instruction_sets_can_be_read(monkeypatch, flags: str, level: str) -> None:
    assert _class(monkeypatch, flags=flags).rsplit("-", 1)[0] == level


def test_the_marketing_name_does_not_count(monkeypatch) -> None:
    one, two = (_class(monkeypatch, flags=V3, **{"model name": name}) for name in ("A", "B"))
    assert one == two


@pytest.mark.parametrize(
    "other", [{"flags": f"{V3} avx512f"}, {"flags": V3, "vendor_id": "AuthenticAMD"}, {"flags": V3, "cpu family": "25"}]
)
def test_what_kernels_are_chosen_by_does(monkeypatch, other: dict[str, str]) -> None:
    assert _class(monkeypatch, flags=V3) != _class(monkeypatch, **other)


def test_the_order_of_the_flags_does_not_count(monkeypatch) -> None:
    backwards = " ".join(reversed(V3.split()))
    assert _class(monkeypatch, flags=V3) == _class(monkeypatch, flags=backwards)


def test_a_host_that_tells_nothing_has_a_class_too(monkeypatch) -> None:
    assert _class(monkeypatch)


GRAVITON = """\
processor\t: 0
BogoMIPS\t: 243.75
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

processor\t: 1
CPU part\t: 0xd0c
"""
APPLE = """\
hw.ncpu: 8
hw.cpufamily: 458787763
hw.optional.arm.FEAT_BF16: 0
hw.optional.arm.FEAT_FP16: 1
hw.optional.AdvSIMD: 1
hw.optional.arm64: 1
"""


@pytest.mark.parametrize(
    ("features", "level"),
    [("asimd", "aarch64-asimd"), ("asimd sve", "aarch64-sve"), ("asimd sve sve2 svebf16 i8mm", "aarch64-sve2")],
)
def test_arm_on_linux_has_levels_of_its_own(features: str, level: str) -> None:
    text = GRAVITON.replace("asimd ", f"{features} ", 1)
    assert host.class_of(text, "aarch64").rsplit("-", 1)[0] == level


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0x41", "0xc0"),
        ("part\t: 0xd0c", "part\t: 0xd40"),
        (" asimddp", ""),
        ("1\nCPU part\t: 0xd0c", "1\nCPU part: 1"),
    ],
)
def test_kernels_on_arm_are_chosen_by_maker_parts_and_features(old: str, new: str) -> None:
    assert old in GRAVITON
    assert host.class_of(GRAVITON.replace(old, new, 1), "aarch64") != host.class_of(GRAVITON, "aarch64")


@pytest.mark.parametrize(("old", "new"), [("variant\t: 0x3", "variant\t: 0x4"), ("243.75", "50.00"), (" crc32", "")])
def test_what_no_kernel_is_chosen_by_does_not_count_on_arm(old: str, new: str) -> None:
    assert old in GRAVITON
    assert host.class_of(GRAVITON.replace(old, new), "aarch64") == host.class_of(GRAVITON, "aarch64")


def test_apple_s_processors_are_told_by_family_and_features() -> None:
    first = host.class_of_apple(APPLE, "arm64")
    assert first.startswith("aarch64-asimd-")
    assert host.class_of_apple(APPLE.replace("BF16: 0", "BF16: 1"), "arm64") != first
    assert host.class_of_apple(APPLE.replace("458787763", "1"), "arm64") != first
    assert host.class_of_apple(APPLE.replace("hw.ncpu: 8", "hw.ncpu: 12"), "arm64") == first
    intel = "hw.cpufamily: 1\n" + "\n".join(
        f"hw.optional.{name}: 1" for name in ("sse4_1", "sse4_2", "avx1_0", "avx2_0", "fma", "f16c")
    )
    assert host.class_of_apple(intel, "x86_64").startswith("x86-64-v3-")


def test_where_there_is_no_cpuinfo_it_is_what_python_tells() -> None:
    one = host.class_of("", "AMD64", "Intel64 Family 6 Model 85 Stepping 7, GenuineIntel")
    assert one.startswith("x86_64-")
    assert one != host.class_of("", "AMD64", "AMD64 Family 25 Model 33 Stepping 0, AuthenticAMD")
    assert host.class_of("", "ARM64", "").startswith("aarch64-")


@pytest.fixture
def with_driver(monkeypatch):
    monkeypatch.setattr(host.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(Path, "exists", lambda _: True)
    host.nvidia_devices.cache_clear()
    yield
    host.nvidia_devices.cache_clear()


def _answers(monkeypatch, code: int, output: str) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], code, output, ""))


@pytest.mark.usefixtures("with_driver")
def test_devices_are_named_with_their_driver(monkeypatch) -> None:
    _answers(monkeypatch, 0, "NVIDIA H200, 570.1\nNVIDIA H200, 570.1\n")
    assert host.nvidia_devices() == ("NVIDIA H200, 570.1",) * 2


@pytest.mark.usefixtures("with_driver")
def test_a_driver_that_fails_is_no_device(monkeypatch) -> None:
    _answers(monkeypatch, 9, "NVIDIA-SMI has failed because it couldn't communicate with the driver")
    assert host.nvidia_devices() == ()


@pytest.mark.usefixtures("with_driver")
def test_a_driver_that_hangs_is_no_device(monkeypatch) -> None:
    def hang(command, **_):
        raise subprocess.TimeoutExpired(command, 30)

    monkeypatch.setattr(subprocess, "run", hang)
    assert host.nvidia_devices() == ()
