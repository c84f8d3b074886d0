"""What a host is, as far as it can change numbers."""

import subprocess
from pathlib import Path

import pytest

from repromatrix.execute import host

V3 = "sse4_1 sse4_2 avx avx2 fma f16c"
V4 = f"{V3} avx512f avx512bw avx512cd avx512dq avx512vl"


def _class(monkeypatch, **info: str) -> str:
    monkeypatch.setattr(host, "_cpuinfo", lambda: info)
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
