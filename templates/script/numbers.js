"use strict";
// Floating-point numbers: the arithmetic of runner/repromatrix/floats.py and runner/repromatrix/report/wording.py again. A test holds each
// function against its Python twin.
const data = JSON.parse(document.getElementById("data").textContent);
const NOTHING = "\u2013";
const word = new DataView(new ArrayBuffer(8));
const SIZE_64 = 0x7fffffffffffffffn;

function decoded(number) {
  return typeof number === "number" ? number : { nan: NaN, inf: Infinity, "-inf": -Infinity }[number];
}

function coarser(a, b) {
  return data.forms[b].precision < data.forms[a].precision ? b : a;
}

function toEven(number) {
  const whole = Math.floor(number);
  const rest = number - whole;
  return rest < 0.5 || (rest === 0.5 && whole % 2 === 0) ? whole : whole + 1;
}

/** The place of a value among those of a dtype: a Number, for float64 a BigInt. NaN has none. */
function ordinal(number, dtype) {
  word.setFloat64(0, number);
  if (dtype === "float64") {
    const bits = word.getBigInt64(0);
    return bits < 0n ? -(bits & SIZE_64) : bits;
  }
  if (number === 0) return 0;
  const { precision, exponent_bits: width } = data.forms[dtype];
  const hidden = 2 ** (precision - 1);
  const least = 3 - 2 ** (width - 1) - precision;
  const infinity = (2 ** width - 1) * hidden;
  const exponent = ((word.getUint32(0) >>> 20) & 0x7ff) - 1022;
  const unit = Math.max(exponent - precision, least);
  const place =
    Math.abs(number) === Infinity ? infinity : toEven(Math.abs(number) * 2 ** -unit) + (unit - least) * hidden;
  return Math.sign(number) * Math.min(place, infinity);
}

/** How many values of a dtype lie between, beyond 2**53 a BigInt; null if one is not finite and the other differs. */
function ulps(a, b, dtype) {
  if (Object.is(a, b)) return 0;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return null;
  const between = ordinal(a, dtype) - ordinal(b, dtype);
  const size = between < 0 ? -between : between;
  return size <= Number.MAX_SAFE_INTEGER ? Number(size) : size;
}

/** |a - b|; the same bits give 0, NaN too. */
function distance(a, b) {
  return Object.is(a, b) ? 0 : Math.abs(a - b);
}

/** The leading digits of a positive number and its exponent; ties to even as in Python, ECMAScript rounds them up. */
function leading(number, digits) {
  let text = number.toExponential(digits - 1);
  const next = number.toExponential(digits);
  if (/5e/.test(next) && Number(next) === number) {
    const [whole, exponent] = number.toExponential(100).split("e");
    const all = whole.replace(".", "");
    if (/^50*$/.test(all.slice(digits)) && "02468".includes(all[digits - 1])) {
      const kept = all.slice(0, digits);
      text = `${kept[0]}${digits > 1 ? "." : ""}${kept.slice(1)}e${exponent}`;
    }
  }
  const [mantissa, exponent] = text.split("e");
  return { digits: mantissa.replace(".", ""), exponent: Number(exponent) };
}

function unusual(number) {
  if (Number.isNaN(number)) return "nan";
  const sign = number < 0 || Object.is(number, -0) ? "-" : "";
  return sign + (number === 0 ? "0" : "inf");
}

/** As many significant digits as tell the values of a dtype apart: Python's `%.{digits}g`. */
function decimal(number, dtype) {
  if (!Number.isFinite(number) || number === 0) return unusual(number);
  const precision = data.forms[dtype].digits;
  const { digits, exponent } = leading(Math.abs(number), precision);
  const sign = number < 0 ? "-" : "";
  const bare = (text) => (text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text);
  if (exponent < -4 || exponent >= precision) {
    const power = `${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
    return `${sign}${bare(`${digits[0]}.${digits.slice(1)}`)}e${power}`;
  }
  if (exponent < 0) return sign + bare(`0.${"0".repeat(-exponent - 1)}${digits}`);
  return sign + bare(`${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`);
}

/** C99 hexadecimal text of the exact value, spelt as Python spells it. */
function hexadecimal(number) {
  if (!Number.isFinite(number)) return unusual(number);
  word.setFloat64(0, number);
  const high = word.getUint32(0);
  const sign = high >>> 31 ? "-" : "";
  if (number === 0) return `${sign}0x0.0p+0`;
  const biased = (high >>> 20) & 0x7ff;
  const fraction = (high & 0xfffff).toString(16).padStart(5, "0") + word.getUint32(4).toString(16).padStart(8, "0");
  const exponent = biased ? biased - 1023 : -1022;
  return `${sign}0x${biased ? 1 : 0}.${fraction}p${exponent < 0 ? "" : "+"}${exponent}`;
}

function fromHexadecimal(text) {
  const found = /^(-?)0x([01])\.([0-9a-f]+)p([+-]\d+)$/.exec(text);
  if (!found) return decoded(text);
  const [, sign, whole, fraction, exponent] = found;
  const size = parseInt(whole + fraction, 16) * 2 ** (Number(exponent) - 4 * fraction.length);
  return sign ? -size : size;
}

/** A distance with three significant digits: `4.04e-8`. */
function short(number) {
  if (number === null || number === undefined) return NOTHING;
  if (!Number.isFinite(number) || number === 0) return unusual(number);
  const { digits, exponent } = leading(number, 3);
  return `${digits[0]}.${digits.slice(1)}e${exponent}`;
}

/** A whole number in groups of three. */
function grouped(number) {
  return number === null ? NOTHING : String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}
