// Everything about one cell, made from the data when its link is followed.
const dialog = el("dialog", { class: "cell", "aria-labelledby": "cell-h" });

function openCell(cell) {
  const close = el("button", { type: "button", class: "close" }, "Close");
  close.addEventListener("click", () => dialog.close());
  const reference = el("button", { type: "button" }, "Compare the others with this cell");
  reference.disabled = cell.track === null;
  reference.addEventListener("click", () => {
    const field = document.getElementById("reference");
    field.value = String(rows.findIndex((row) => row.cell === cell));
    field.dispatchEvent(new Event("change"));
    dialog.close();
    document.getElementById("cells").scrollIntoView();
  });
  dialog.replaceChildren(
    el("header", {}, el("h2", { id: "cell-h", tabindex: "-1" }, cell.id), close),
    el("dl", { class: "facts" }, ...facts(cell).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    command(cell),
    reference,
    losses(cell),
    fingerprint(cell),
  );
  dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector("h2").focus();
}

function facts(cell) {
  const found = data.classes.find((each) => each.workload === cell.workload && each.name === cell.class);
  const link = (href, text) => {
    const made = el("a", { href }, text);
    made.addEventListener("click", () => dialog.close());
    return made;
  };
  const anchor = `#class-${encodeURIComponent(`${cell.workload}-${cell.class}`)}`;
  const class_ = found
    ? el(
        "span",
        {},
        link(anchor, cell.class),
        `, ${found.cells.length} ${found.cells.length === 1 ? "cell" : "cells"}: ${found.rule}`,
      )
    : NOTHING;
  const environment = cell.place ? link(`#environment-${cell.place}`, cell.environment) : cell.environment || NOTHING;
  return [
    ["Outcome", cell.reason ? `${cell.outcome}: ${cell.reason}` : cell.outcome],
    ["Repeats", `${cell.runs}, ${DETERMINISTIC[cell.deterministic]}`],
    ["Class", class_],
    ["Environment", environment],
    ["Variant", `${cell.variant || NOTHING}, ${cell.dtype || NOTHING}; ${cell.options || NOTHING}`],
    ["Device, settings", `${cell.device || NOTHING}, ${cell.settings || NOTHING}`],
    ["Image", code(cell.image ?? "none: run as a plain process")],
    ["Record", code(cell.key ?? NOTHING)],
    ["Log", cell.log ? code(cell.log) : "none was kept"],
  ];
}

function code(text) {
  return el("code", {}, text);
}

function command(cell) {
  const told = el("output", { class: "small" });
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", () => copy(cell.command, told));
  return el("p", { class: "command" }, "Run it again: ", code(cell.command), " ", button, told);
}

function losses(cell) {
  if (cell.track === null) return null;
  const all = [cell.track, ...cell.repeats].map((place) => tracks[place]);
  const many = all.length > 1;
  const head = el(
    "tr",
    {},
    el("th", { scope: "col" }, "Step"),
    ...all.flatMap((_, number) =>
      ["Loss", "Exact"].map((name) => el("th", { scope: "col" }, many ? `${name}, repeat ${number + 1}` : name)),
    ),
  );
  const body = all[0].map((_, step) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, String(step + 1)),
      ...all.flatMap((track) =>
        track[step] === undefined
          ? [el("td"), el("td")]
          : [el("td", {}, decimal(track[step], cell.dtype)), el("td", {}, hexadecimal(track[step]))],
      ),
    ),
  );
  const table = el("table", { class: "numbers" }, el("thead", {}, head), el("tbody", {}, ...body));
  return el("div", { class: "scroll", role: "region", "aria-label": "Losses", tabindex: "0" }, table);
}

function fingerprint(cell) {
  const source = document.querySelector(`#environment-${cell.place} pre`);
  if (!source) return null;
  return el(
    "details",
    {},
    el("summary", {}, "Fingerprint: the environment as seen from inside"),
    el("pre", { tabindex: "0" }, source.textContent),
  );
}

/** Opens what the address names: a cell's details, or a folded part. */
function follow() {
  let name = location.hash.slice(1);
  try {
    name = decodeURIComponent(name);
  } catch {
    return; // not an address of this page
  }
  const place = byId.get(name);
  if (dialog.open) dialog.close();
  if (place !== undefined) {
    openCell(cells[place]);
    return;
  }
  const target = document.getElementById(name);
  const folded = target?.closest("details");
  if (folded) folded.open = true;
  if (target?.matches("details")) target.open = true;
  if (target) target.scrollIntoView();
}

dialog.addEventListener("close", () => {
  // The same link opens it again.
  if (byId.has(decodeURIComponent(location.hash.slice(1)))) history.replaceState(null, "", "#cells");
});
