"""e^x in float32 as libraries compute it: the same constants and the same order of operations.

Every function takes float32 values (in float64 arrays) and gives e^x with its bits where e^x is a normal number.
Constants and order are facts taken from the sources that each docstring names.
"""

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.elementary_arithmetic import Arithmetic, floor_product, hexadecimal, powers, single, singles
from repromatrix.operations.soft import Array

_LOG2E = float.fromhex("0x1.715476p+0")


def glibc(x: Array, *, fused: bool) -> Array:
    """Return expf of glibc from 2.27 on (`sysdeps/ieee754/flt-32/e_expf.c`): 32 table entries and a cubic, in float64.

    glibc takes its FMA build on every processor that has FMA, whatever cap the caller's library was given.
    """
    by = Arithmetic("float64", fused)
    scaled, shift = float.fromhex("0x1.71547652b82fep+0") * 32, 1.5 * 2.0**52
    k = by.sub(by.muladd(x, scaled, shift), shift)
    r = by.muladd(x, scaled, -k)
    c3, c2, c1 = hexadecimal("0x1.c6af84b912394p-5 0x1.ebfce50fac4f3p-3 0x1.62e42ff0c52d6p-1")
    index = soft.to_int(k)
    low = by.muladd(r, c1 / 32, 1.0)
    y = by.muladd(by.muladd(r, c3 / 32**3, c2 / 32**2), by.mul(r, r), low)
    power = by.scale(powers(32, "float64").nearest[index % 32], index // 32)
    return soft.round_to(by.mul(y, power), "float32")


def cephes(x: Array, *, fused: bool) -> Array:
    """Return XLA's own exp on CPUs (`xla/service/cpu/llvm_ir_runtime.cc`, after Cephes `expf.c`): a polynomial.

    XLA lets LLVM contract products and sums to FMA where the instruction set has it.
    """
    by = Arithmetic("float32", fused)
    inside = np.clip(x, single("-87.8"), single("88.8"))
    least = -127.0
    n = np.clip(np.floor(by.muladd(inside, _LOG2E, 0.5)), least, -least)
    r = by.muladd(-n, single("0.693359375"), inside)
    r = by.muladd(-n, single("-2.12194440e-4"), r)
    texts = "1.9875691500e-4 1.3981999507e-3 8.3334519073e-3 4.1665795894e-2 1.6666665459e-1 5.0000001201e-1"
    y = by.horner(r, singles(texts))
    y = by.add(by.muladd(y, by.mul(r, r), r), 1.0)
    return np.where(n == least, 0.0, by.scale(y, n))


def numpy(x: Array) -> Array:
    """Return NumPy's exp for AVX2 and AVX-512 (`loops_exponent_log.dispatch.c.src`): a rational function, with FMA."""
    by = Arithmetic("float32")
    magic = 1.5 * 2.0**23
    n = by.sub(by.add(by.mul(x, _LOG2E), magic), magic)
    r = by.muladd(n, single("-1.42860677e-6"), by.muladd(n, single("-6.93145752e-1"), x))
    texts = (
        "5.082762527590693718096e-04 6.757896990527504603057e-03 5.114512081637298353406e-02"
        " 2.473615434895520810817e-01 7.257664613233124478488e-01 9.999999999980870924916e-01"
    )
    p = by.horner(r, singles(texts))
    q = by.horner(r, singles("2.159509375685829852307e-02 -2.742335390411667452936e-01 1"))
    return by.scale(by.div(p, q), n)


def vml(x: Array) -> Array:
    """Return expf of Intel's VML and SVML for AVX-512, high accuracy (`numpy/SVML`, `svml_z0_exp_s_ha.s`)."""
    by = Arithmetic("float32")
    n = floor_product(x, _LOG2E, 5)
    high, low = hexadecimal("0x1.62e43p-1 -0x1.05c61p-29")
    r = by.muladd(-n, low, by.muladd(-n, high, x))
    table, index = powers(32, "float32"), soft.to_int(32 * n) % 32
    p = by.muladd(r, *hexadecimal("0x1.5557e6p-3 0x1.0001ecp-1"))
    p = by.muladd(by.mul(r, r), p, by.add(r, table.relative[index]))
    power = by.scale(table.nearest[index], np.floor(n))
    return by.muladd(power, p, power)


def sleef(x: Array, *, fused: bool) -> Array:
    """Return Sleef's expf with at most 1.0 ULP (`sleefsimdsp.c`, `xexpf`): a polynomial."""
    by = Arithmetic("float32", fused)
    n = np.rint(by.mul(x, _LOG2E))
    s = by.muladd(-n, single("1.428606765330187045e-06"), by.muladd(-n, single("0.693145751953125"), x))
    texts = (
        "0.000198527617612853646278381 0.00139304355252534151077271 0.00833336077630519866943359"
        " 0.0416664853692054748535156 0.166666671633720397949219 0.5"
    )
    u = by.horner(s, singles(texts))
    return by.scale(by.add(by.muladd(by.mul(s, s), u, s), 1.0), n)


def torch_u20(x: Array) -> Array:
    """Return PyTorch's fast exp of 20 ULP (`aten/src/ATen/cpu/vec/vec512/vec512_float.h`, `exp_u20`): a quintic."""
    by = Arithmetic("float32")
    n = np.floor(by.muladd(x, _LOG2E, 0.5))
    r = by.muladd(-n, float.fromhex("0x1.62e43p-1"), x)
    coefficients = singles("0.00828929059 0.0418978221 0.166676521 0.499991506 0.999999701 1")
    return by.scale(by.horner(r, coefficients), n)


def eigen(x: Array, *, fused: bool) -> Array:
    """Return Eigen's exp of packets, 2023 (`GenericPacketMathFunctions.h`, `pexp_float`): even and odd terms apart."""
    by = Arithmetic("float32", fused)
    n = np.floor(by.muladd(x, _LOG2E, 0.5))
    r = by.muladd(n, single("2.12194440e-4"), by.muladd(n, single("-0.693359375"), x))
    texts = (
        "1.37449637986719608306884765625e-3 8.36894474923610687255859375e-3 4.166965186595916748046875e-2"
        " 0.16666518151760101318359375 0.49999988079071044921875"
    )
    c6, c5, c4, c3, c2 = singles(texts)
    r2 = by.mul(r, r)
    even = by.muladd(r2, by.muladd(r2, c6, c4), c2)
    p = by.muladd(r, by.muladd(r2, c5, c3), even)
    return by.scale(by.muladd(r2, p, by.add(r, 1.0)), n)
