"""e^x in float64 as libraries compute it: the same constants and the same order of operations.

Every function takes float64 values and gives e^x with its bits where e^x is a normal number. Constants and order are
facts taken from the sources that each docstring names.
"""

import numpy as np

from repromatrix.operations import soft
from repromatrix.operations.elementary_arithmetic import Arithmetic, floor_product, hexadecimal, powers
from repromatrix.operations.soft import Array

_LOG2E = float.fromhex("0x1.71547652b82fep+0")


def glibc(x: Array, *, fused: bool) -> Array:
    """Return exp of glibc from 2.28 on (`sysdeps/ieee754/dbl-64/e_exp.c`): 128 table entries, a quintic.

    glibc takes its FMA build on every processor that has FMA, whatever cap the caller's library was given.
    """
    by = Arithmetic("float64", fused)
    shift = 1.5 * 2.0**52
    k = by.sub(by.muladd(x, _LOG2E * 128, shift), shift)
    high, low = hexadecimal("-0x1.62e42fefa0000p-8 -0x1.cf79abc9e3b3ap-47")
    r = by.muladd(k, low, by.muladd(k, high, x))
    c2, c3, c4, c5 = hexadecimal("0x1.ffffffffffdbdp-2 0x1.555555555543cp-3 0x1.55555cf172b91p-5 0x1.1111167a4d017p-7")
    table, index = powers(128, "float64"), soft.to_int(k)
    r2 = by.mul(r, r)
    near = by.muladd(r2, by.muladd(r, c3, c2), by.add(table.relative[index % 128], r))
    rest = by.muladd(by.mul(r2, r2), by.muladd(r, c5, c4), near)
    power = by.scale(table.nearest[index % 128], index // 128)
    return by.muladd(power, rest, power)


def xla(x: Array, *, fused: bool) -> Array:
    """Return XLA's own exp on CPUs (`xla/codegen`, after Eigen, after Cephes `exp.c`): a rational function, no table.

    XLA lets LLVM contract products and sums to FMA where the instruction set has it.
    """
    by = Arithmetic("float64", fused)
    n = np.floor(by.muladd(x, _LOG2E, 0.5))
    g = by.muladd(-n, 1.42860682030941723212e-6, by.muladd(-n, 0.693145751953125, x))
    g2 = by.mul(g, g)
    p = by.mul(by.horner(g2, (1.26177193074810590878e-4, 3.02994407707441961300e-2, 1.0)), g)
    q = by.horner(g2, (3.00198505138664455042e-6, 2.52448340349684104192e-3, 2.27265548208155028766e-1, 2.0))
    return by.scale(by.muladd(by.div(p, by.sub(q, p)), 2.0, 1.0), n)


def svml_accurate(x: Array) -> Array:
    """Return exp of Intel's SVML and VML for AVX-512, high accuracy (`numpy/SVML`, `svml_z0_exp_d_ha.s`)."""
    by = Arithmetic("float64")
    n, r, index = _svml_reduced(x, by)
    c6, c5, c4, c3, c2, c1 = hexadecimal(
        "0x1.7411836940c04p-10 0x1.1101cbbc265c0p-7 0x1.55557242d68fep-5"
        " 0x1.5555553939732p-3 0x1.000000000d008p-1 0x1.fffffffffff70p-1"
    )
    table, r2 = powers(16, "float64"), by.mul(r, r)
    pairs = by.muladd(by.muladd(r, c6, c5), r2, by.muladd(r, c4, c3))
    p = by.muladd(by.muladd(pairs, r2, by.muladd(r, c2, c1)), r, table.relative[index])
    return by.scale(by.muladd(table.nearest[index], p, table.nearest[index]), np.floor(n))


def svml_fast(x: Array) -> Array:
    """Return exp of Intel's SVML for AVX-512, low accuracy (`numpy/SVML`, `svml_z0_exp_d_la.s`)."""
    by = Arithmetic("float64")
    n, r, index = _svml_reduced(x, by)
    c6, c5, c4, c3, c2 = hexadecimal(
        "0x1.72eb5ef0d213dp-10 0x1.1106603d97c00p-7 0x1.555564bb4f5f0p-5 0x1.5555554b508a2p-3 0x1.0000000002622p-1"
    )
    table, r2 = powers(16, "float64"), by.mul(r, r)
    pairs = by.muladd(by.muladd(r, c6, c5), r2, by.muladd(r, c4, c3))
    p = by.muladd(by.mul(r2, r), pairs, by.muladd(r2, c2, r))
    return by.scale(by.muladd(table.nearest[index], p, table.nearest[index]), np.floor(n))


def _svml_reduced(x: Array, by: Arithmetic) -> tuple[Array, Array, soft.Ints]:
    """Return x log2(e) cut off to sixteenths, what is left of x, and the number of sixteenths beyond a whole."""
    n = floor_product(x, _LOG2E, 4)
    high, low = hexadecimal("0x1.62e42fefa39efp-1 0x1.abc9e3b39803fp-56")
    return n, by.muladd(-n, low, by.muladd(-n, high, x)), soft.to_int(16 * n) % 16


def tang(x: Array) -> Array:
    """Return NumPy's exp for AVX-512 if built without SVML (`loops_exponent_log.dispatch.c.src`; Tang, 1989)."""
    by = Arithmetic("float64")
    shift = 1.5 * 2.0**52
    k = by.sub(by.add(by.mul(x, _LOG2E * 32), shift), shift)
    high, low = hexadecimal("-0x1.62e42fefp-6 -0x1.473de6af278edp-39")
    r1, r2 = by.muladd(k, high, x), by.mul(k, low)
    r = by.add(r1, r2)
    coefficients = "0x1.6c1728d739765p-10 0x1.11115b7aa905ep-7 0x1.5555555545d4ep-5 0x1.5555555548f7cp-3 0x1p-1"
    q = by.mul(by.horner(r, hexadecimal(coefficients)), r)
    p = by.add(r1, by.muladd(r, q, r2))
    table, index = powers(32, "float64"), soft.to_int(k)
    lead, trail = table.leading[index % 32], table.trailing[index % 32]
    return by.scale(by.add(by.muladd(by.add(lead, trail), p, trail), lead), index // 32)


def sleef(x: Array, *, fused: bool) -> Array:
    """Return Sleef's exp with at most 1.0 ULP (`sleefsimddp.c`, `xexp`): a polynomial by Estrin's scheme, no table."""
    by = Arithmetic("float64", fused)
    n = np.rint(by.mul(x, _LOG2E))
    high, low = 0.69314718055966295651160180568695068359375, 0.28235290563031577122588448175013436025525412068e-12
    s = by.muladd(-n, low, by.muladd(-n, high, x))
    s2 = by.mul(s, s)
    s4 = by.mul(s2, s2)
    s8 = by.mul(s4, s4)
    c9, c8, c7, c6, c5, c4, c3, c2, c1, c0 = (
        *(0.2081276378237164457e-8, 0.2511210703042288022e-7, 0.2755762628169491192e-6, 0.2755723402025388239e-5),
        *(0.2480158687479686264e-4, 0.1984126989855865850e-3, 0.1388888888914497797e-2, 0.8333333333314938210e-2),
        *(0.4166666666666602598e-1, 0.1666666666666669072e0),
    )
    upper = by.muladd(
        s4,
        by.muladd(s2, by.muladd(s, c7, c6), by.muladd(s, c5, c4)),
        by.muladd(s2, by.muladd(s, c3, c2), by.muladd(s, c1, c0)),
    )
    u = by.muladd(s8, by.muladd(s, c9, c8), upper)
    # These three are fused in every build: without FMA they are too by doubled arithmetic.
    return by.scale(Arithmetic("float64").horner(s, (0.5, 1.0, 1.0), u), n)
