// What stands above the table of all cells: filter, chips, the reference, the copy buttons.
function filters(refresh, count, copied) {
  const field = el("input", {
    id: "filter",
    type: "search",
    placeholder: "torch float32 auto",
    autocomplete: "off",
    "aria-controls": "cells-table",
  });
  const bar = el(
    "div",
    { class: "tools" },
    el("label", {}, "Filter ", field),
    count,
    el("label", {}, "Against ", referenceField(refresh)),
    copyButtons(copied),
  );
  const chips = el("div", { class: "chips" }, ...Object.keys(CHIPS).map((name) => chipGroup(name, refresh)));
  field.addEventListener("input", () => {
    chosen.words = field.value;
    refresh();
  });
  return el("div", { class: "controls" }, bar, chips);
}

/** A cell to compare with, typed or picked; the marks, ULP distances and verdicts are against its first repeat. */
function referenceField(refresh) {
  const made = el("select", { id: "reference" });
  rows.forEach((row, place) => {
    if (row.track && !row.repeat) made.append(el("option", { value: place }, row.cell.id));
  });
  made.value = String(chosen.reference);
  made.addEventListener("change", () => {
    chosen.reference = Number(made.value);
    judge();
    document.dispatchEvent(new Event("reference"));
    refresh();
  });
  return made;
}

function chipGroup(name, refresh) {
  const group = el("div", { role: "group", "aria-label": name });
  const fill = () => {
    const counts = new Map();
    for (const row of rows) counts.set(CHIPS[name](row), (counts.get(CHIPS[name](row)) ?? 0) + 1);
    for (const gone of [...chosen.chips[name]].filter((each) => !counts.has(each))) chosen.chips[name].delete(gone);
    group.replaceChildren(
      el("span", { class: "dim" }, name),
      ...[...counts].filter(([text]) => text).map(([text, size]) => chip(text, size)),
    );
  };
  const chip = (text, size) => {
    const pressed = chosen.chips[name].has(text);
    const made = el(
      "button",
      { type: "button", class: "chip", "aria-pressed": String(pressed) },
      `${text} `,
      el("span", { class: "dim" }, String(size)),
    );
    made.addEventListener("click", () => {
      const set = chosen.chips[name];
      if (set.has(text)) set.delete(text);
      else set.add(text);
      made.setAttribute("aria-pressed", String(set.has(text)));
      refresh();
    });
    return made;
  };
  fill();
  if (name === "verdict") document.addEventListener("reference", fill);
  return group;
}
