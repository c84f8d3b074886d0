// Trajectories, verdicts and what the pictures draw: a series for each class, and for each repeat that differs.
const tracks = data.tracks.map((each) => each.map(decoded));
const states = data.weights.map((each) => each.map(decoded));
const cells = data.cells;
const byId = new Map(cells.map((cell, place) => [cell.id, place]));
const steps = Math.max(0, ...tracks.map((each) => each.length));

const VERDICTS = ["identical", "rounding", "amplified", "divergent", "incomparable", "missing"];

/** Who tells rounding from more: the measured noise floor, else the tolerance of the dtype (compare/allowance.py). */
function allowance(workload, dtype, count) {
  const floor = data.floors.find((each) => each.workload === workload && each.dtype === dtype);
  if (floor && floor.bound.length >= count) return { source: floor.source, bound: (step) => floor.bound[step] };
  return tolerance(dtype);
}

function tolerance(dtype) {
  const found = data.tolerances[dtype];
  if (!found) return null;
  const bound = (_, a, b) => found.absolute + found.relative * Math.max(Math.abs(a), Math.abs(b));
  return { source: found.source, bound };
}

/** The verdict over one metric of two cells (compare/difference.py, `judge`). */
function judged(left, right, allowed) {
  if (left.length !== right.length) return "incomparable";
  const first = left.findIndex((value, step) => !Object.is(value, right[step]));
  if (first < 0) return left.length ? "identical" : "incomparable";
  const finite = left.every(
    (value, step) => Object.is(value, right[step]) || (Number.isFinite(value) && Number.isFinite(right[step])),
  );
  if (!finite) return "divergent";
  if (!allowed) return "incomparable";
  const close = (step) =>
    Object.is(left[step], right[step]) ||
    Math.abs(left[step] - right[step]) <= allowed.bound(step, left[step], right[step]);
  if (left.every((_, step) => close(step))) return "rounding";
  return close(first) ? "amplified" : "divergent";
}

/** The verdict over two rows: of the metric in which they differ the most (compare/difference.py, `judged`). */
function verdict(row, other) {
  if (!row.track || !other.track) return "missing";
  const { workload } = row.cell;
  if (workload !== other.cell.workload) return "incomparable";
  const dtype = coarser(row.cell.dtype, other.cell.dtype);
  const found = [judged(row.track, other.track, allowance(workload, dtype, row.track.length))];
  row.metrics.forEach((metric, place) => {
    if (other.metrics[place]) found.push(judged(metric, other.metrics[place], tolerance(dtype)));
  });
  return found.reduce((worst, each) => (VERDICTS.indexOf(each) > VERDICTS.indexOf(worst) ? each : worst));
}

/** What a picture of a workload draws, the largest class first: label, dtype, trajectory, cells, distinct states. */
function seriesOf(workload) {
  const found = data.classes
    .filter((each) => each.workload === workload)
    .map((each) => {
      const members = each.cells.map((place) => cells[place]);
      const size = `${members.length} ${members.length === 1 ? "cell" : "cells"}`;
      const words = [each.name, each.rule, ...members.flatMap((cell) => [cell.id, cell.options])]
        .join(" ")
        .toLowerCase();
      // Cells of two dtypes with the same bits are counted in the finer one's form.
      const dtype = each.dtypes.reduce((a, b) => (coarser(a, b) === a ? b : a));
      const ends = [...new Set(members.map((cell) => cell.state).filter((state) => state !== null))];
      return {
        label: each.name,
        dtype,
        track: tracks[members[0].track],
        cells: members,
        size,
        words,
        ends,
        rule: each.rule,
      };
    });
  const lone = cells.filter((cell) => cell.workload === workload && cell.track !== null && cell.class === null);
  for (const cell of lone) {
    [cell.track, ...cell.repeats].forEach((track, number) => {
      const label = `${cell.id}, repeat ${number + 1}`;
      const ends = number === 0 && cell.state !== null ? [cell.state] : [];
      const words = `${cell.id} ${cell.options}`.toLowerCase();
      found.push({
        label,
        dtype: cell.dtype,
        track: tracks[track],
        cells: [cell],
        size: "its repeats differ",
        words,
        ends,
        rule: "",
      });
    });
  }
  return found;
}

/** Whether a text has all words of a filter. */
function matches(text, filter) {
  return filter
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((part) => text.includes(part));
}

/** An element with attributes and children; text stays text. */
function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

/** A text with the characters marked that differ from another; of another length, all of it. */
function marked(text, other) {
  if (text === other) return [text];
  if (text.length !== other.length) return [el("mark", {}, text)];
  const runs = [];
  for (let place = 0; place < text.length; place += 1) {
    const differs = text[place] !== other[place];
    if (runs.length && runs.at(-1).differs === differs) runs.at(-1).text += text[place];
    else runs.push({ text: text[place], differs });
  }
  return runs.map((run) => (run.differs ? el("mark", {}, run.text) : run.text));
}

/** How losses are shown now: dec, hex or ulp. */
function form() {
  return document.querySelector('input[name="form"]:checked').id.replace("form-", "");
}
