// The pictures of the page with what they share: workload, dtype, filter, reference, unit.
function gallery() {
  const section = document.getElementById("pictures");
  const workloads = [...new Set(cells.filter((cell) => cell.track !== null).map((cell) => cell.workload))];
  if (!workloads.length) {
    section.querySelector(".needs").textContent = "No cell has a trajectory to draw.";
    section.querySelector(".pictures").hidden = true;
    return;
  }
  const options = (select, texts) =>
    select.replaceChildren(...texts.map(([value, text]) => el("option", { value }, text)));
  const workload = el("select");
  const dtype = el("select");
  const reference = el("select", { id: "picture-reference" });
  const unit = el("select", { id: "picture-unit" });
  const measure = el("select");
  const trace = el("select", { id: "picture-trace" });
  const traceAs = el("select", { id: "picture-trace-as" });
  const words = el("input", { type: "search", placeholder: "all classes", autocomplete: "off" });
  options(
    workload,
    workloads.map((each) => [each, each]),
  );
  options(unit, [
    ["abs", "absolute"],
    ["ulp", "in ULP"],
  ]);
  options(measure, [
    ["most", "largest ULP distance"],
    ["first", "first differing step"],
  ]);
  options(traceAs, [
    ["differences", "differences from the reference"],
    ["values", "values"],
  ]);
  let every = [];

  function start() {
    every = seriesOf(workload.value);
    const dtypes = Object.keys(data.forms).filter((each) => every.some((line) => line.dtype === each));
    options(dtype, [["", "all dtypes"], ...dtypes.map((each) => [each, each])]);
    options(
      reference,
      every.map((each, place) => [String(place), `${each.label} (${each.dtype}, ${each.size})`]),
    );
    reference.value = String(
      Math.max(
        0,
        every.findIndex((each) => each.dtype === dtypes[0]),
      ),
    );
    const speaking = tracedNames(workload.value);
    options(trace, speaking);
    const own = tracedOf(against());
    const like = (each) => each.label !== own?.label && each.dtype === own?.dtype;
    trace.value = (speaking.find(([place]) => like(traced[place])) ??
      speaking[0] ?? [""])[0];
  }
  const shown = () =>
    every.filter((each) => (!dtype.value || each.dtype === dtype.value) && matches(each.words, words.value));
  const against = () => every[Number(reference.value)];
  const hint = "Move over the picture, or use the arrow keys.";
  const about = (line) => `${line.label} (${line.dtype}, ${line.size})`;
  const unmeasured = (count) => (count ? `${count} values are not finite and not drawn.` : "");

  function values(width) {
    const lines = shown().map((each) => ({
      ...each,
      points: each.track.map((value) => (Number.isFinite(value) ? value : null)),
      texts: (step) => decimal(each.track[step], each.dtype),
      read: (step) => `${about(each)}, step ${step + 1}: ${decimal(each.track[step], each.dtype)}`,
    }));
    return linesPicture({
      lines,
      names: stepNames(lines),
      across: "step",
      up: "loss",
      logarithmic: false,
      width,
      hint,
      note: unmeasured(lost(lines)),
    });
  }

  function apart(line, values_, other, others, where) {
    const form_ = coarser(line.dtype, other.dtype);
    const length = Math.min(values_.length, others.length);
    const exact = Array.from({ length }, (_, place) =>
      unit.value === "ulp" ? ulps(values_[place], others[place], form_) : distance(values_[place], others[place]),
    );
    const texts = (place) =>
      exact[place] === null ? "not finite" : unit.value === "ulp" ? grouped(exact[place]) : short(exact[place]);
    const told = (place) =>
      Object.is(values_[place], others[place]) ? "the same bits as" : `${texts(place)}${named} from`;
    const named = unit.value === "ulp" ? ` ULP of ${form_}` : "";
    return {
      ...line,
      texts,
      same: (place) => Object.is(values_[place], others[place]),
      points: exact.map((each) => (each !== null && Number.isFinite(Number(each)) ? Number(each) : null)),
      read: (place) => `${about(line)}, ${where(place)}: ${told(place)} ${other.label}`,
    };
  }

  function differences(width) {
    const other = against();
    const lines = shown()
      .filter((each) => each !== other)
      .map((each) => apart(each, each.track, other, other.track, (step) => `step ${step + 1}`));
    const found = data.floors.find((each) => each.workload === workload.value && each.dtype === other.dtype);
    const floor = found?.bound.map((bound, step) =>
      unit.value === "ulp" ? bound / spacing(other.track[step], other.dtype) : bound,
    );
    const same = lines.filter((each) => each.points.length && each.points.every((_, step) => each.same(step))).length;
    const note = [
      `Reference: ${about(other)}.`,
      same ? `${same} more with its bits at every common step.` : "",
      found ? `Dashed: the ${found.source}.` : "No noise floor was measured for it.",
      unmeasured(lost(lines)),
    ];
    return linesPicture({
      lines,
      names: stepNames(lines),
      across: "step",
      up: `|loss \u2212 ${other.label}|${unit.value === "ulp" ? ", ULP" : ""}`,
      logarithmic: true,
      floor,
      width,
      hint,
      note: note.filter(Boolean).join(" "),
    });
  }

  // Of the last update only: all that records hold. Weights over the steps come from traces.
  function weights(width) {
    const other = against();
    const names = data.weight_names[workload.value] ?? [];
    const origin = other.ends[0] === undefined ? null : states[other.ends[0]];
    const ends = shown().flatMap((each) =>
      each.ends.map((state, number) => ({
        ...each,
        state,
        label: each.ends.length > 1 ? `${each.label} state ${number + 1}` : each.label,
      })),
    );
    const lines = origin
      ? ends
          .filter((each) => each.state !== other.ends[0])
          .map((each) => apart(each, states[each.state], other, origin, (place) => `weight ${names[place]}`))
      : [];
    const same = ends.length - lines.length;
    const more = same > 1 ? `; ${same - 1} more with its weights` : "";
    const note = origin
      ? `${ends.length} distinct ends, ${lines.length} of them other weights than ${about(other)}${more}. ` +
        "Weights are named layer, unit, input."
      : "No weights to draw.";
    return linesPicture({
      lines,
      names,
      across: "weight",
      up: `|weight \u2212 ${other.label}|${unit.value === "ulp" ? ", ULP" : ""}`,
      logarithmic: true,
      width,
      hint,
      note,
    });
  }

  start();
  const label = (text, field) => el("label", {}, `${text} `, field);
  section
    .querySelector(".needs")
    .replaceWith(
      el(
        "div",
        { class: "tools" },
        workloads.length > 1 ? label("Workload", workload) : null,
        label("Draw", dtype),
        label("with", words),
        label("Against", reference),
        label("Differences", unit),
        label("Map", measure),
      ),
    );
  const figure = (id, name, make) => picture(document.getElementById(id), name, make);
  figure("picture-losses", "Losses over the steps", values);
  figure("picture-differences", "Differences over the steps from the reference", differences);
  figure("picture-weights", "Weights after the last update, differences from the reference", weights);
  figure("picture-pairs", "All pairs of classes", (width) =>
    heatPicture(document.getElementById("picture-pairs"), shown(), measure.value, width, hint),
  );
  const tracedFigure = document.getElementById("picture-traced");
  if (tracedFigure) {
    const tools = el("div", { class: "tools" }, label("Weights of", trace), label("as", traceAs));
    tracedFigure.append(tools);
    picture(tracedFigure, "Weights over the steps, from traces", (width) =>
      tracedPicture({
        one: traced[Number(trace.value)],
        reference: against(),
        as: traceAs.value,
        names: data.weight_names[workload.value] ?? [],
        unit: unit.value,
        width,
        hint,
      }),
    );
    for (const each of [trace, traceAs]) each.addEventListener("input", () => redraw("picture-traced"));
  }
  workload.addEventListener("input", start);
  const apart_ = ["picture-differences", "picture-weights", "picture-traced"];
  for (const each of [workload, dtype, words])
    each.addEventListener("input", () => redraw("picture-losses", ...apart_, "picture-pairs"));
  for (const each of [reference, unit]) each.addEventListener("input", () => redraw(...apart_));
  measure.addEventListener("input", () => redraw("picture-pairs"));
  watchPictures();
}

function stepNames(lines) {
  return Array.from({ length: Math.max(1, ...lines.map((each) => each.points.length)) }, (_, step) => String(step + 1));
}

function lost(lines) {
  return lines.reduce((sum, each) => sum + each.points.filter((value) => value === null).length, 0);
}

/** The distance from a value to the next larger one of its dtype. */
function spacing(number, dtype) {
  const { precision, exponent_bits: width } = data.forms[dtype];
  word.setFloat64(0, number);
  const exponent = ((word.getUint32(0) >>> 20) & 0x7ff) - 1022;
  return 2 ** Math.max(exponent - precision, 3 - 2 ** (width - 1) - precision);
}
