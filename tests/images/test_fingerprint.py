"""The fingerprint is what importlib.metadata and patterns would tell, which take a process too long to load."""

import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest


def told_by_metadata() -> dict[str, str]:
    found: dict[str, str] = {}
    # Not metadata.distributions(): once the package importlib_metadata was imported, that asks its finder too.
    for each in metadata.MetadataPathFinder.find_distributions():
        if each.metadata["Name"]:
            found.setdefault(re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(), each.version)
    return dict(sorted(found.items()))


def written(path: Path, name: str, version: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: MIT\n\nName: no header\n")


def test_packages_are_those_of_importlib_metadata_here(harness) -> None:
    assert harness.fingerprint.packages() == told_by_metadata()
    assert "pytest" in harness.fingerprint.packages()


def test_packages_are_found_in_whatever_form_they_are_installed(harness, tmp_path, monkeypatch) -> None:
    first, second, archive = tmp_path / "first", tmp_path / "second", tmp_path / "whole.egg"
    written(first / "Some_Thing.Else-1.0+cpu.dist-info" / "METADATA", "Some_Thing.Else", "1.0+cpu")
    written(first / "as_folder.egg-info" / "PKG-INFO", "as-folder", "2")
    written(first / "as_file-3.egg-info", "as_file", "3")
    (first / "nothing-1.dist-info").mkdir()
    (first / "empty-1.dist-info").mkdir()
    (first / "empty-1.dist-info" / "METADATA").touch()
    written(second / "as_folder-9.dist-info" / "METADATA", "as.folder", "9")  # the first on the path counts
    written(second / "named.egg" / "EGG-INFO" / "PKG-INFO", "egg", "4")
    with zipfile.ZipFile(archive, "w") as egg:
        egg.writestr("EGG-INFO/PKG-INFO", "Name: zipped\nVersion: 5\n")
    path = [*map(str, (first, second, second / "named.egg", archive, tmp_path / "not there"))]
    monkeypatch.setattr(sys, "path", path)
    expected = {"as-file": "3", "as-folder": "2", "egg": "4", "some-thing-else": "1.0+cpu", "zipped": "5"}
    assert harness.fingerprint.packages() == told_by_metadata() == expected


FLAGS = re.compile(r"sse4_2|avx|avx2|fma|f16c|avx512\w*|amx\w*|avx_\w+|asimd\w*|fphp|fcma|sve\w*|sme\w*|bf16|i8mm")
VARIABLES = re.compile(
    r"(OMP|KMP|OPENBLAS|MKL|NPY|ATEN|ONEDNN|DNNL|TF|XLA|JAX|KERAS|CUBLAS|CUDA|NVIDIA)_(?!CLI_|VAR_)\w+|(PY)?TORCH\w*"
    r"|NPROC|GLIBC_TUNABLES"
)
BEGINNINGS = "OMP_ TF_ OMP TF_CLI_ NVIDIA_VAR_ CUDA_ TORCH PYTORCH_ XTORCH NPROC GLIBC_TUNABLES"


def test_flags_count_that_matter_to_numbers(harness) -> None:
    flags = "avx avx2 avx512_fp16 avx_vnni avxx fma fma4 sve2 sme smep bf16 bf16x fpu"
    for flag in flags.split():
        assert harness.fingerprint.numeric(flag) == bool(FLAGS.fullmatch(flag)), flag


@pytest.mark.parametrize("beginning", BEGINNINGS.split())
def test_variables_count_that_a_library_reads(harness, beginning) -> None:
    for rest in ("", "X", "0", "X-Y", "_", "\u00e9", "CLI_X", "VAR_", "x%%"):
        name = beginning + rest
        assert harness.fingerprint.told_variable(name) == bool(VARIABLES.fullmatch(name)), name
