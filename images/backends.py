"""What TensorFlow, JAX and PyTorch tell of themselves and obey: for their own entrypoints and for Keras on top of them.

Nothing here imports a library before it is asked to; that is after the process variables are set.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import Any, Dict, Iterator, List, Optional, Tuple

from job import Settings, Unavailable
from knobs import version
from task import Task

FIRST_WITH_TF32 = (8, 0)  # compute capability


class Backend:
    """One library. `kernels` and `threads` give the same names whoever asks."""

    title = ""
    knobs: Tuple[str, ...] = ()

    def obeyed(self, settings: Settings) -> Tuple[str, ...]:
        """The knobs that this version obeys. Raises Unavailable if no cell could obey the settings."""
        return self.knobs

    def set_threads(self, count: Optional[int]) -> None:
        """Set the thread counts that variables do not set."""

    def threads(self) -> Dict[str, int]:
        return {}

    def wide(self, dtype: str) -> Any:
        """What a cell of this dtype runs in."""
        return contextlib.nullcontext()

    def gpu_count(self) -> int:
        raise NotImplementedError

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        raise NotImplementedError

    def gpu_index(self, device: str) -> int:
        """The index in `cuda:N`. Raises Unavailable if the library sees no such device."""
        index, count = int(device.partition(":")[2]), self.gpu_count()
        if index >= count:
            raise Unavailable(f"no device {device}: this {self.title} sees {count} NVIDIA GPUs")
        return index

    def wants_gpu(self, devices: List[str]) -> bool:
        """Whether a cell wants a GPU and there is one to tell of."""
        return any(device != "cpu" for device in devices) and self.gpu_count() > 0

    def capability(self, index: int) -> Tuple[int, ...]:
        """The compute capability of a GPU, empty where the library does not tell."""
        raise NotImplementedError

    def allow_tf32(self, allowed: bool) -> Any:
        """A context in which float32 products may use TF32, or may not; before and after it all is as it was."""
        raise NotImplementedError

    def float32(self, task: Task) -> Any:
        """What a cell's option `tf32` runs in. Raises Unavailable where there is nothing to switch."""
        wanted = task.cell.options.get("tf32", "default")
        if wanted == "default":
            return contextlib.nullcontext()
        if task.device == "cpu":
            raise Unavailable(f"tf32={wanted} needs a GPU: a CPU has no TF32")
        if task.dtype != "float32":
            raise Unavailable(f"tf32={wanted} needs dtype float32, not {task.dtype}")
        has = self.capability(self.gpu_index(task.device))
        if wanted == "on" and has < FIRST_WITH_TF32:
            told = ".".join(map(str, has)) or "unknown"
            raise Unavailable(f"tf32=on needs compute capability 8.0, {task.device} has {told}")
        if wanted == "on" and os.environ.get("NVIDIA_TF32_OVERRIDE") == "0":
            raise Unavailable("tf32=on contradicts NVIDIA_TF32_OVERRIDE=0")
        return self.allow_tf32(wanted == "on")


class TensorFlow(Backend):
    title = "TensorFlow"
    knobs = ("ONEDNN_MAX_CPU_ISA", "XLA_FLAGS", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")
    FIRST_WITH_CAP = (2, 19)  # an older XLA aborts the process at --xla_cpu_max_isa

    def obeyed(self, settings: Settings) -> Tuple[str, ...]:
        here = max(version("tensorflow"), version("tensorflow-cpu"))
        if settings.isa is None or here >= self.FIRST_WITH_CAP:
            return self.knobs
        return tuple(knob for knob in self.knobs if knob != "XLA_FLAGS")

    def set_threads(self, count: Optional[int]) -> None:
        import tensorflow as tf

        if count is not None:
            tf.config.threading.set_intra_op_parallelism_threads(count)
            tf.config.threading.set_inter_op_parallelism_threads(count)

    def threads(self) -> Dict[str, int]:
        import tensorflow as tf

        threading = tf.config.threading
        intra, inter = threading.get_intra_op_parallelism_threads(), threading.get_inter_op_parallelism_threads()
        return {"tf_intra_op": intra, "tf_inter_op": inter}

    def gpu_count(self) -> int:
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        import tensorflow as tf
        from tensorflow.python.util import _pywrap_util_port

        found = {"tf_onednn": str(_pywrap_util_port.IsMklEnabled())}
        if self.wants_gpu(devices):
            build = tf.sysconfig.get_build_info()
            found["gpu"] = str(self.details(0).get("device_name"))
            found["gpu_capability"] = ".".join(map(str, self.capability(0)))
            found["cuda"], found["cudnn"] = str(build.get("cuda_version")), str(build.get("cudnn_version"))
            found["tf_tf32"] = str(tf.config.experimental.tensor_float_32_execution_enabled())
        return found

    def details(self, index: int) -> Dict[str, Any]:
        import tensorflow as tf

        found: Dict[str, Any] = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[index])
        return found

    def capability(self, index: int) -> Tuple[int, ...]:
        return tuple(self.details(index).get("compute_capability", ()))

    @contextlib.contextmanager
    def allow_tf32(self, allowed: bool) -> Iterator[None]:
        import tensorflow as tf

        before = tf.config.experimental.tensor_float_32_execution_enabled()
        tf.config.experimental.enable_tensor_float_32_execution(allowed)
        try:
            yield
        finally:
            tf.config.experimental.enable_tensor_float_32_execution(before)


class Jax(Backend):
    title = "JAX"
    knobs = ("XLA_FLAGS",)
    FIRST_WITH_CAP = (0, 4, 34)  # an older XLA aborts the process at --xla_cpu_max_isa

    def obeyed(self, settings: Settings) -> Tuple[str, ...]:
        if settings.isa is not None and version("jaxlib") < self.FIRST_WITH_CAP:
            raise Unavailable(f"isa={settings.isa} needs --xla_cpu_max_isa, which this jaxlib does not know")
        return self.knobs

    def gpus(self) -> List[Any]:
        import jax

        try:
            return list(jax.devices("cuda"))
        except RuntimeError:
            return []

    def gpu_count(self) -> int:
        return len(self.gpus())

    def device(self, name: str) -> Any:
        import jax

        return jax.devices("cpu")[0] if name == "cpu" else self.gpus()[self.gpu_index(name)]

    def wide(self, dtype: str) -> Any:
        """float64 switched on for one cell only; the public name of the switch moved."""
        import jax

        if dtype != "float64":
            return contextlib.nullcontext()
        if hasattr(jax, "enable_x64"):
            return jax.enable_x64(True)
        from jax.experimental import enable_x64

        return enable_x64()

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        import jax

        found = {"xla_cpu_platform": jax.devices("cpu")[0].client.platform_version}
        found["xla_cpu_target"] = self.cpu_target()
        if self.wants_gpu(devices):
            gpu = self.gpus()[0]
            found.update(gpu=gpu.device_kind, cuda=gpu.client.platform_version)
            found["gpu_capability"] = str(getattr(gpu, "compute_capability", "not told by this version"))
            found["cudnn"] = self.cudnn()
            found["jax_matmul_precision_requested"] = str(jax.config.jax_default_matmul_precision or "default")
            found["jax_tf32"] = str(self.loses_bits(gpu))
        return {name: " ".join(value.split()) for name, value in found.items()}

    def cpu_target(self) -> str:
        """The instruction sets that XLA compiled a function for; older versions do not tell."""
        import jax

        with jax.default_device(jax.devices("cpu")[0]):
            executable = jax.jit(lambda x: x + 1).lower(1.0).compile().runtime_executable()
        client = jax.devices("cpu")[0].client
        try:
            whole = hasattr(executable, "serialize")
            told = executable.serialize() if whole else client.serialize_executable(executable)
        except RuntimeError:  # JAX 0.4.13 cannot serialize what it compiles for a CPU
            told = b""
        found = {word.decode() for word in re.findall(rb"\+((?:avx|amx|fma|f16c|sse4)[a-z0-9_.-]*)", told)}
        return " ".join(sorted(found)) or "not told by this version"

    def cudnn(self) -> str:
        """The version of cuDNN that JAX has loaded, as cuDNN gives it."""
        try:
            from jax._src.lib import cuda_versions

            return str(cuda_versions.cudnn_get_version())
        except (ImportError, AttributeError, RuntimeError):
            return "not told by this version"

    def capability(self, index: int) -> Tuple[int, ...]:
        told = str(getattr(self.gpus()[index], "compute_capability", ""))
        return tuple(int(part) for part in told.split(".") if part.isdigit())

    @contextlib.contextmanager
    def allow_tf32(self, allowed: bool) -> Iterator[None]:
        import jax

        with jax.default_matmul_precision("tensorfloat32" if allowed else "float32"):
            yield

    def loses_bits(self, device: Any) -> bool:
        """Whether a float32 product on the device loses the bits that TF32 has not; no setting tells it alone."""
        import jax
        import jax.numpy as jnp

        with jax.default_device(device):
            fine = jnp.full((256, 256), 1 + 2.0**-12, "float32")
            return bool((jnp.matmul(fine, jnp.eye(256, dtype="float32")) != fine).any())


class Torch(Backend):
    title = "PyTorch"
    knobs = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")

    def set_threads(self, count: Optional[int]) -> None:
        import torch

        if count is not None:
            torch.set_num_threads(count)
            torch.set_num_interop_threads(count)

    def threads(self) -> Dict[str, int]:
        import torch

        return {"torch": torch.get_num_threads(), "torch_interop": torch.get_num_interop_threads()}

    def gpu_count(self) -> int:
        import torch

        return torch.cuda.device_count() if torch.cuda.is_available() else 0

    def kernels(self, devices: List[str]) -> Dict[str, str]:
        import torch

        found = {
            "torch_cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "torch_mkl": str(torch.backends.mkl.is_available()),
            "torch_onednn": str(torch.backends.mkldnn.is_available()),
            "torch_parallel": torch.__config__.parallel_info().split("ATen parallel backend: ")[-1].split("\n")[0],
        }
        if self.wants_gpu(devices):
            found["gpu"] = torch.cuda.get_device_name(0)
            found["gpu_capability"] = ".".join(str(part) for part in torch.cuda.get_device_capability(0))
            found["cuda"] = str(torch.version.cuda)
            found["cudnn"] = str(torch.backends.cudnn.version())
            found["torch_tf32"] = str(torch.backends.cuda.matmul.allow_tf32)
            found["torch_tf32_cudnn"] = str(torch.backends.cudnn.allow_tf32)
        return found

    def capability(self, index: int) -> Tuple[int, ...]:
        import torch

        return tuple(torch.cuda.get_device_capability(index))

    @contextlib.contextmanager
    def allow_tf32(self, allowed: bool) -> Iterator[None]:
        import torch

        # Not the newer `fp32_precision`: once that is set, whoever still reads these (Inductor does) gets an error.
        places = (torch.backends.cuda.matmul, torch.backends.cudnn)
        if not all(hasattr(place, "allow_tf32") for place in places):
            raise Unavailable(f"tf32 cannot be switched: PyTorch {torch.__version__} has no allow_tf32")
        before = [place.allow_tf32 for place in places]
        try:
            for place in places:
                place.allow_tf32 = allowed
            yield
        finally:
            for place, value in zip(places, before):
                place.allow_tf32 = value


def need_compiler() -> None:
    """Raise Unavailable if Inductor would find no compiler."""
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise Unavailable(f"compile=inductor needs a C++ compiler, and there is no {compiler} here")


BACKENDS: Dict[str, Backend] = {"tensorflow": TensorFlow(), "jax": Jax(), "torch": Torch()}
