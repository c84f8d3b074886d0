// Lines over steps (or over single weights): values, or distances from a reference on a logarithmic scale.
const MOST_LINES = 60;
const MARGIN = { marginLeft: 70, marginRight: 36, marginTop: 22, marginBottom: 46 };

/**
 * Draws lines. Each line: {label, dtype, size, points, texts, tag?}; a point is a number, or null where there is none. On a
 * logarithmic scale zero has a line of its own at the foot, so what is identical is seen.
 */
function linesPicture({ lines, names, across, up, logarithmic, floor, width, note, hint }) {
  const drawn = lines.slice(0, MOST_LINES);
  const height = Math.round(Math.min(420, Math.max(260, width * 0.45)));
  const every = [...drawn.flatMap((line) => line.points), ...(floor ?? [])];
  const positive = every.filter((value) => value > 0 && Number.isFinite(value));
  const low = positive.length ? Math.floor(Math.log10(positive.reduce((a, b) => Math.min(a, b)))) : 0;
  const high = positive.length ? Math.ceil(Math.log10(positive.reduce((a, b) => Math.max(a, b)))) : 1;
  const zero = 10 ** (low - Math.max(1, (high - low) / 8));
  const place = (value) => (logarithmic && value === 0 ? zero : value);
  const points = drawn.flatMap((line, number) =>
    line.points.map((y, x) => {
      const alone = (line.points[x - 1] ?? null) === null && (line.points[x + 1] ?? null) === null;
      // A point between two gaps has no line to be seen by.
      return { x, y: y === null ? NaN : place(y), number, stroke: colour(line.dtype), dot: names.length < 40 || alone };
    }),
  );
  // Where a line says what it is called, the name stands at its end, unless other lines end there too.
  const ends = drawn.flatMap((line) => {
    const last = line.points.findLastIndex((value) => value !== null);
    return line.tag && last >= 0 ? [{ x: last, y: place(line.points[last]), tag: line.tag }] : [];
  });
  const tags = ends.filter((each) => ends.every((other) => other === each || other.y !== each.y));
  const dots = points.filter((each) => each.dot && !Number.isNaN(each.y));
  const marks = [
    Plot.line(points, { x: "x", y: "y", z: "number", stroke: "stroke", strokeWidth: 1.4, strokeOpacity: 0.8 }),
    Plot.text(tags, { x: "x", y: "y", text: "tag", textAnchor: "start", dx: 5, fill: "currentColor" }),
    Plot.dot(dots, { x: "x", y: "y", fill: "stroke", r: 2 }),
  ];
  if (logarithmic) marks.unshift(Plot.ruleY([zero], { stroke: "currentColor", strokeOpacity: 0.5 }));
  if (floor)
    marks.push(
      Plot.line(
        floor.map((y, x) => [x, y]),
        { x: "0", y: "1", stroke: "currentColor", strokeDasharray: "5 4" },
      ),
    );
  const powers = Array.from({ length: high - low + 1 }, (_, number) => 10 ** (low + number));
  const spread = Math.max(1, Math.ceil(powers.length / 8));
  const scale = logarithmic
    ? {
        type: "log",
        domain: [zero, 10 ** high],
        ticks: [zero, ...powers.filter((_, number) => number % spread === 0)],
        tickFormat: (value) => (value === zero ? "0" : short(value).replace(".00", "")),
      }
    : { type: "linear", nice: true, tickFormat: (value) => String(Number(value.toPrecision(6))) };
  const ticks = names.map((_, x) => x).filter((x) => x % Math.ceil(names.length / (width < 500 ? 5 : 10)) === 0);
  const svg = Plot.plot({
    className: "picture",
    width,
    height,
    ...MARGIN,
    marks,
    x: {
      type: "linear",
      domain: [0, Math.max(1, names.length - 1)],
      ticks,
      tickFormat: (x) => names[x] ?? "",
      label: across,
      labelArrow: "none",
    },
    y: { ...scale, grid: true, label: up, labelArrow: "none" },
    style: { background: "none", color: "inherit", fontSize: "12px", overflow: "visible" },
  });
  const cut = lines.length - drawn.length;
  const words = [
    cut > 0 ? `The ${drawn.length} largest of ${lines.length} lines are drawn; the filter finds the others.` : "",
    note,
  ]
    .filter(Boolean)
    .join(" ");
  return {
    svg,
    width,
    note: words,
    hint,
    cursor: lineCursor(svg, drawn, place),
    table: () => [
      [across, ...names],
      ...lines.map((line) => [`${line.label} ${line.dtype}`, ...line.points.map((_, x) => line.texts(x))]),
    ],
  };
}

function lineCursor(svg, lines, place) {
  const at = { line: 0, x: 0 };
  const scales = { x: svg.scale("x"), y: svg.scale("y") };
  const spot = (line, x) => [scales.x.apply(x), line.points[x] === null ? NaN : scales.y.apply(place(line.points[x]))];
  const top = d3
    .select(svg)
    .append("g")
    .attr("fill", "none")
    .attr("stroke", "currentColor")
    .attr("pointer-events", "none");
  const path = top.append("path").attr("stroke-width", 2.5);
  const ring = top.append("circle").attr("r", 5).attr("stroke-width", 2).attr("visibility", "hidden");
  const draw = d3.line().defined(([, y]) => Number.isFinite(y));
  function show() {
    const line = lines[at.line];
    if (!line) return "Nothing to draw.";
    at.x = Math.max(0, Math.min(line.points.length - 1, at.x));
    const [x, y] = spot(line, at.x);
    path.attr("d", draw(line.points.map((_, step) => spot(line, step))));
    ring
      .attr("cx", x)
      .attr("cy", y)
      .attr("visibility", Number.isFinite(y) ? "visible" : "hidden");
    return line.read(at.x);
  }
  return {
    move(x, y) {
      at.x = Math.max(0, Math.min((lines[at.line]?.points.length ?? 1) - 1, at.x + x));
      at.line = Math.max(0, Math.min(lines.length - 1, at.line + y));
      return show();
    },
    at(x, y) {
      let best = Infinity;
      lines.forEach((line, number) =>
        line.points.forEach((_, step) => {
          const [left, top_] = spot(line, step);
          const far = (left - x) ** 2 + (top_ - y) ** 2;
          if (far < best) [best, at.line, at.x] = [far, number, step];
        }),
      );
      return best < 900 ? show() : "";
    },
  };
}
