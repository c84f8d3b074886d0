"""A C++ compiler for torch.compile out of the environment's own wheels: ziglang, pinned in the lock like the rest.

An image has no compiler, no C headers and no Python.h, and a host's compiler would be another one each time. Zig
compiles and links alone; what Inductor's generated code includes beyond C++ itself is written out here. OpenMP is off
and kernels are scalar, so that the same source gives the same machine code in both engines and on every CPU.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Dict

PYTHON = (3, 11)  # PYTHON_H is this version's binary interface

OMP_H = """#pragma once
static inline int omp_get_max_threads(void){return 1;}
static inline int omp_get_num_threads(void){return 1;}
static inline int omp_get_thread_num(void){return 0;}
"""

PYTHON_H = r"""/* The part of CPython 3.11's (x86_64, release build) C API that Inductor's generated bindings use. */
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <sys/types.h>
#define PY_VERSION_HEX 0x030b0000
extern "C" {
typedef ssize_t Py_ssize_t;
typedef struct _typeobject PyTypeObject;
typedef struct _object { Py_ssize_t ob_refcnt; PyTypeObject *ob_type; } PyObject;
typedef PyObject *(*PyCFunction)(PyObject *, PyObject *);
typedef struct PyMethodDef { const char *ml_name; PyCFunction ml_meth; int ml_flags; const char *ml_doc; } PyMethodDef;
typedef struct PyModuleDef_Base {
  PyObject ob_base; PyObject *(*m_init)(void); Py_ssize_t m_index; PyObject *m_copy; } PyModuleDef_Base;
typedef struct PyModuleDef { PyModuleDef_Base m_base; const char *m_name; const char *m_doc; Py_ssize_t m_size;
  PyMethodDef *m_methods; void *m_slots; void *m_traverse; void *m_clear; void *m_free; } PyModuleDef;
extern PyTypeObject PyTuple_Type;
extern PyObject *PyExc_RuntimeError;
extern PyObject _Py_NoneStruct;
Py_ssize_t PyTuple_Size(PyObject *);
PyObject *PyTuple_GetItem(PyObject *, Py_ssize_t);
Py_ssize_t PyLong_AsSsize_t(PyObject *);
void *PyLong_AsVoidPtr(PyObject *);
double PyFloat_AsDouble(PyObject *);
PyObject *PyErr_Occurred(void);
void PyErr_SetString(PyObject *, const char *);
PyObject *PyModule_Create2(PyModuleDef *, int);
}
#define METH_VARARGS 0x0001
#define PyModuleDef_HEAD_INIT {{1, nullptr}, nullptr, 0, nullptr}
#define PyModule_Create(d) PyModule_Create2((d), 1013)
#define PyMODINIT_FUNC extern "C" __attribute__((visibility("default"))) PyObject *
#define PyTuple_CheckExact(o) (((PyObject *)(o))->ob_type == &PyTuple_Type)
#define PyTuple_GET_SIZE(o) PyTuple_Size(o)
#define PyTuple_GET_ITEM(o, i) PyTuple_GetItem((o), (Py_ssize_t)(i))
#define Py_None (&_Py_NoneStruct)
#define Py_RETURN_NONE do { ++_Py_NoneStruct.ob_refcnt; return &_Py_NoneStruct; } while (0)
"""

# Compiles to an object and links with lld: `zig c++ -shared` would first build libc++ from source, for a minute.
# STRIP_ERROR_MESSAGES keeps libc++'s streams, which libstdc++ does not export, out of the generated code.
WRAPPER = r"""#!/bin/sh
set -e
here='@HERE@'; zig='@ZIG@'; torch='@TORCH@'; D=/usr/lib/x86_64-linux-gnu
[ "$1" = --version ] && exec "$zig" c++ --version
n=$#; out=
while [ "$n" -gt 0 ]; do
  a=$1; shift; n=$((n-1))
  case "$a" in
    -o) out=$1; shift; n=$((n-1)) ;;
    -shared|-fopenmp|-l*|-L*) ;;
    *) set -- "$@" "$a" ;;
  esac
done
"$zig" c++ -target x86_64-linux-gnu.2.28 -DSTRIP_ERROR_MESSAGES -I "$here" -c "$@" -o "$out.o"
"$zig" ld.lld -shared --build-id=none --as-needed -o "$out" "$out.o" \
  $D/libstdc++.so.6 $D/libgcc_s.so.1 $D/libm.so.6 $D/libc.so.6 $torch/lib/libtorch_cpu.so
rm -f "$out.o"
"""


def available() -> bool:
    return importlib.util.find_spec("ziglang") is not None


def described() -> Dict[str, str]:
    """Return the fingerprint's lines about the compiler; empty where there is none."""
    if not available():
        return {}
    return {"inductor_compiler": "ziglang " + version("ziglang"), "inductor_isa_requested": "scalar"}


def install(folder: Path) -> None:
    """Write the compiler's files to `folder` and point Inductor at them; before torch is imported."""
    if sys.version_info[:2] != PYTHON:
        raise RuntimeError("images/torch/compiler.py knows the binary interface of Python %d.%d only" % PYTHON)
    if any(name in str(folder) for name in ("gcc", "g++", "clang")):
        raise RuntimeError(f"Inductor would take {folder}/zcxx for another compiler by its path")
    folder.mkdir(parents=True, exist_ok=True)
    places = {"@HERE@": folder, "@ZIG@": home("ziglang") / "zig", "@TORCH@": home("torch")}
    wrapper = WRAPPER
    for name, place in places.items():
        wrapper = wrapper.replace(name, str(place))
    for name, text in {"omp.h": OMP_H, "Python.h": PYTHON_H, "zcxx": wrapper}.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "zcxx").chmod(0o700)
    os.environ.update(
        CXX=str(folder / "zcxx"),
        ZIG_GLOBAL_CACHE_DIR=str(folder / "zig-global"),
        ZIG_LOCAL_CACHE_DIR=str(folder / "zig-local"),
        TORCHINDUCTOR_CACHE_DIR=str(folder / "inductor"),
        TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS="0",
        TORCHINDUCTOR_CPP_MARCH="",
        TORCHINDUCTOR_VEC_ISA_OK="0",
        TORCHINDUCTOR_COMPILE_THREADS="1",
    )


def home(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{package} is not installed")
    return Path(spec.origin).parent
