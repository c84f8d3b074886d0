// The weights of one traced cell over the steps, as values or as distances from the reference class.
const traced = data.traced.cells.map((each) => {
  const cell = cells[each.cell];
  return { label: each.class, cell, dtype: cell.dtype, weights: each.weights.map((step) => step.map(decoded)) };
});

/** Names of traced cells to choose from, by place: those of a workload. */
function tracedNames(workload) {
  const every = traced.map((each, place) => [String(place), `${each.label} (${each.dtype}): ${each.cell.id}`]);
  return every.filter((_, place) => traced[place].cell.workload === workload);
}

/** The trace that speaks for a series: of its class, in its dtype if there is one. */
function tracedOf(series) {
  const found = traced.filter(
    (each) => each.label === series.label && each.cell.workload === series.cells[0].workload,
  );
  return found.find((each) => each.dtype === series.dtype) ?? found[0] ?? null;
}

/** The lines of the picture, one a weight: values where `other` is null, else distances from it in `unit`. */
function tracedLines(one, other, names, unit) {
  const form = other ? coarser(one.dtype, other.dtype) : one.dtype;
  const name_ = other && (other.label === one.label ? other.cell.id : other.label);
  const length = other ? Math.min(one.weights.length, other.weights.length) : one.weights.length;
  const steps_ = Array.from({ length }, (_, step) => step);
  return names.map((name, place) => {
    const value = (step) => one.weights[step][place];
    const origin = (step) => other.weights[step]?.[place];
    const far = (step) =>
      unit === "ulp" ? ulps(value(step), origin(step), form) : distance(value(step), origin(step));
    const same = (step) => Object.is(value(step), origin(step));
    const number = (step) => (other ? far(step) : value(step));
    const texts = (step) => {
      const found = number(step);
      if (!other) return decimal(found, form);
      return found === null || Number.isNaN(found) ? "not finite" : unit === "ulp" ? grouped(found) : short(found);
    };
    const told = (step) => {
      if (!other) return decimal(value(step), form);
      const unit_ = unit === "ulp" ? ` ULP of ${form}` : "";
      return same(step) ? `the same bits as ${name_}` : `${texts(step)}${unit_} from ${name_}`;
    };
    const points = steps_.map((step) => {
      const found = number(step);
      return found !== null && Number.isFinite(Number(found)) ? Number(found) : null;
    });
    const read = (step) => `weight ${name} of ${one.label}, after step ${step + 1}: ${told(step)}`;
    return { label: name, tag: name.replace("hidden", "h").replace("output", "o"), dtype: form, points, texts, read };
  });
}

/** The picture: `as` is "values" or "differences", `reference` a series. */
function tracedPicture({ one, reference, as, names, unit, width, hint }) {
  const other = as === "differences" ? tracedOf(reference) : null;
  const comparable = as === "values" || (other && other.weights[0]?.length === one?.weights[0]?.length);
  const lines = one && comparable ? tracedLines(one, other, names, unit) : [];
  const left = data.traced.left_out;
  const note = [
    one ? `After each step, ${one.cell.id}, which speaks for ${one.label}.` : "No traced cell of this workload.",
    other ? `Reference: ${other.cell.id}, which speaks for ${other.label}.` : "",
    one && !comparable ? `No trace of the reference ${reference.label} to compare with.` : "",
    "Only the traces of cells that speak for their class are in this page.",
    left ? `${left} of them are left out to keep it small.` : "",
    lost(lines) ? `${lost(lines)} values are not finite and not drawn.` : "",
  ];
  return linesPicture({
    lines,
    names: stepNames(lines),
    across: "step",
    up: other ? `|weight \u2212 ${other.label}|${unit === "ulp" ? ", ULP" : ""}` : "weight",
    logarithmic: Boolean(other),
    width,
    hint,
    note: note.filter(Boolean).join(" "),
  });
}
