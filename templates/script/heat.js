// All pairs of trajectories as a map: how far apart, or from which step on. Of trajectories of two lengths only the common
// steps are known: such a pair is hatched and never the same.
const MOST_CLASSES = 60;
const BANDS = [0, 1, 10, 100, 1000, 10 ** 4, 10 ** 6, 10 ** 9];

const placed = new Map(); // trajectory -> dtype -> places of its values; each takes part in many pairs

function places(track, dtype) {
  if (!placed.has(track)) placed.set(track, {});
  const found = placed.get(track);
  found[dtype] ??= track.map((value) => (Number.isFinite(value) ? ordinal(value, dtype) : null));
  return found[dtype];
}

function pairOf(a, b) {
  const dtype = coarser(a.dtype, b.dtype);
  const [left, right] = [places(a.track, dtype), places(b.track, dtype)];
  const common = Math.min(a.track.length, b.track.length);
  let first = null;
  let most = 0;
  for (let step = 0; step < common; step += 1) {
    if (Object.is(a.track[step], b.track[step])) continue;
    first ??= step + 1;
    if (left[step] === null || right[step] === null || most === null) {
      most = null;
      continue;
    }
    const between = left[step] - right[step];
    const size = between < 0 ? -between : between;
    if (size > most) most = size;
  }
  return { dtype, common, first, most, shorter: a.track.length !== b.track.length };
}

/** The place of a pair among the colours: 0 is identical; null: none, a side is not finite or ends before it differs. */
function band(pair, measure) {
  if (pair.first === null) return pair.shorter ? null : 0;
  if (measure === "first")
    return Math.max(
      1,
      BANDS.length - 1 - Math.floor(((pair.first - 1) / Math.max(1, pair.common)) * (BANDS.length - 1)),
    );
  // Two dtypes can be 0 ULP of the coarser one apart without having the same bits.
  return pair.most === null
    ? null
    : Math.max(
        1,
        BANDS.findLastIndex((least) => pair.most >= least),
      );
}

function heatPicture(figure, series, measure, width, hint) {
  // Dtype by dtype, so that like stands with like; within one by class.
  const names = Object.keys(data.forms);
  const shown = series.slice(0, MOST_CLASSES).sort((a, b) => names.indexOf(a.dtype) - names.indexOf(b.dtype));
  const pairs = shown.flatMap((a, x) =>
    shown.map((b, y) => (y < x ? null : { x, y, ...pairOf(a, b) })).filter(Boolean),
  );
  const of = (x, y) => pairs.find((each) => each.x === Math.min(x, y) && each.y === Math.max(x, y));
  const cells_ = pairs.flatMap((each) => (each.x === each.y ? [each] : [each, { ...each, x: each.y, y: each.x }]));
  const size = Math.max(2, shown.length);
  const side = Math.min(width, 120 + 22 * size);
  const labels = shown.map((each) => (each.label.length > 8 ? `${each.label.slice(0, 7)}\u2026` : each.label));
  const axis = {
    domain: shown.map((_, place) => place),
    tickFormat: (place) => labels[place],
    label: null,
    tickSize: 0,
    ticks: shown.map((_, place) => place),
  };
  const fill = (each) => {
    const found = band(each, measure);
    if (found !== null) return `var(--heat-${found})`;
    return each.first === null ? "none" : "url(#hatch)";
  };
  const svg = Plot.plot({
    className: "picture",
    width: side,
    height: side,
    marginLeft: 60,
    marginTop: 44,
    marginRight: 6,
    marginBottom: 6,
    padding: 0.06,
    x: { ...axis, axis: "top", tickRotate: -60 },
    y: axis,
    marks: [
      () => hatch("hatch", 45, 2),
      () => hatch("shorter", -45, 1),
      Plot.cell(cells_, { x: "x", y: "y", fill }),
      Plot.cell(
        cells_.filter((each) => each.shorter),
        { x: "x", y: "y", fill: "url(#shorter)", stroke: "currentColor", strokeOpacity: 0.4 },
      ),
    ],
    style: { background: "none", color: "inherit", fontSize: "11px", overflow: "visible" },
  });
  const say = (x, y) => {
    const [a, b, pair] = [shown[x], shown[y], of(x, y)];
    if (!a || !b) return "Nothing to draw.";
    const names_ = `${a.label} (${a.dtype}, ${a.size}) and ${b.label} (${b.dtype}, ${b.size})`;
    const lengths = `of different lengths (${a.track.length} and ${b.track.length} steps), first ${firstSteps(pair.common)}`;
    const these = pair.shorter ? `${names_}, ${lengths}` : names_;
    if (pair.first === null)
      return `${these}: the same losses${pair.shorter ? " there" : ` at all ${firstSteps(pair.common)}`}.`;
    const unit = a.dtype === b.dtype ? pair.dtype : `${pair.dtype}, the coarser dtype of the two`;
    const most = pair.most === null ? "a side is not finite" : `at most ${grouped(pair.most)} ULP of ${unit}`;
    return `${these}: first differing step ${pair.first} of ${pair.common}, ${most}.`;
  };
  const cut = series.length - shown.length;
  const words = [
    `${shown.length} classes, ${(shown.length * (shown.length - 1)) / 2} pairs.`,
    cut > 0 ? `${cut} smaller classes are not drawn; the filter finds them.` : "",
  ]
    .filter(Boolean)
    .join(" ");
  const apart = (pair, mixed) => {
    if (pair.first === null) return "same";
    if (measure === "first") return String(pair.first);
    if (pair.most === null) return "not finite";
    return grouped(pair.most) + (mixed ? ` (${pair.dtype})` : "");
  };
  const text = (x, y) => {
    const pair = of(x, y);
    const told = apart(pair, shown[x].dtype !== shown[y].dtype);
    return pair.shorter ? `${told}, first ${firstSteps(pair.common)}` : told;
  };
  key(figure, measure, {
    dtypes: names.filter((name) => shown.some((each) => each.dtype === name)),
    shorter: pairs.some((each) => each.shorter),
  });
  return {
    svg,
    width: side,
    note: words,
    hint,
    cursor: heatCursor(svg, shown.length, say),
    table: () => [
      ["class", ...shown.map((each) => each.label)],
      ...shown.map((each, y) => [each.label, ...shown.map((_, x) => text(x, y))]),
    ],
  };
}

function firstSteps(count) {
  return count === 1 ? "1 step" : `${count} steps`;
}

/** The dtypes that ULPs are counted in, for the key: one, or of two the coarser. */
function ulpsOf(dtypes) {
  if (dtypes.length < 2) return `ULP of ${dtypes[0] ?? "no dtype"}`;
  const finest = [...dtypes].sort((a, b) => data.forms[b].precision - data.forms[a].precision);
  return `ULP of the pair's dtype; of two dtypes, of the coarser (the later of ${finest.join(", ")})`;
}

/** What the colours mean, above the map. */
function key(figure, measure, { dtypes, shorter }) {
  const ulp = ["same bits", "under 10 ULP", "10", "100", "1,000", "10\u2074", "10\u2076", "10\u2079 and more"];
  const first = ["same bits", "first differing step: late", "", "", "", "", "", "early"];
  const texts = measure === "first" ? first : ulp;
  const made = el(
    "p",
    { class: "small heat-key" },
    ...texts.map((text, number) => el("span", { class: `h${number}` }, text)),
    el("span", { class: "hatched" }, "not finite"),
    shorter ? el("span", { class: "shorter" }, "different lengths: the first N steps, as far as both go") : null,
    measure === "first" ? null : el("span", { class: "of" }, `${ulpsOf(dtypes)}.`),
  );
  figure.querySelector(".heat-key")?.remove();
  figure.querySelector("figcaption").after(made);
}

function hatch(id, angle, width) {
  const made = d3
    .create("svg:defs")
    .append("pattern")
    .attr("id", id)
    .attr("width", 6)
    .attr("height", 6)
    .attr("patternUnits", "userSpaceOnUse")
    .attr("patternTransform", `rotate(${angle})`);
  made.append("line").attr("y2", 6).attr("stroke", "currentColor").attr("stroke-width", width);
  return made.node().parentNode;
}

function heatCursor(svg, size, say) {
  const at = { x: 0, y: 0 };
  const scales = { x: svg.scale("x"), y: svg.scale("y") };
  const ring = d3
    .select(svg)
    .append("rect")
    .attr("fill", "none")
    .attr("stroke", "currentColor")
    .attr("stroke-width", 2)
    .attr("pointer-events", "none")
    .attr("visibility", "hidden");
  const kept = (place) => Math.max(0, Math.min(size - 1, place));
  const show = () => {
    if (size)
      ring
        .attr("x", scales.x.apply(at.x))
        .attr("y", scales.y.apply(at.y))
        .attr("width", scales.x.bandwidth)
        .attr("height", scales.y.bandwidth)
        .attr("visibility", "visible");
    return say(at.x, at.y);
  };
  return {
    move(x, y) {
      [at.x, at.y] = [kept(at.x + x), kept(at.y + y)];
      return show();
    },
    at(x, y) {
      const column = Math.floor((x - scales.x.apply(0)) / scales.x.step);
      const row = Math.floor((y - scales.y.apply(0)) / scales.y.step);
      if (column < 0 || row < 0 || column >= size || row >= size) return "";
      [at.x, at.y] = [column, row];
      return show();
    },
  };
}
