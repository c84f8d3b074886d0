// Why pairs differ: the table of pairs filtered, and the experiments on a pair made from the data when its name is followed.
const experimentsDialog = document.createElement("dialog");

function explanationsTable() {
  const table = document.getElementById("why-table");
  if (!table) return;
  const lines = [...table.tBodies[0].rows].map((row, place) => {
    const [a, b] = data.experiments.pairs[place];
    const cause = row.cells[2].textContent.trim();
    const text = `${row.textContent} ${data.experiments.texts[a]} ${data.experiments.texts[b]}`.toLowerCase();
    return { row, cause, text, tried: row.cells[4].textContent };
  });
  const field = el("input", { type: "search", id: "why-filter", placeholder: "C1 dtype refuted", autocomplete: "off" });
  const counts = new Map();
  for (const line of lines) counts.set(line.cause, (counts.get(line.cause) ?? 0) + 1);
  const causes = [...counts].sort((one, other) => other[1] - one[1]);
  const choice = el("select", { id: "why-cause" }, el("option", { value: "" }, `anything (${lines.length})`));
  for (const [cause, size] of causes) choice.append(el("option", { value: cause }, `${cause} (${size})`));
  const count = el("output", { class: "small", id: "why-count" });

  function refresh() {
    let shown = 0;
    for (const line of lines) {
      line.row.hidden = !(matches(line.text, field.value) && (!choice.value || line.cause === choice.value));
      shown += !line.row.hidden;
    }
    count.textContent = shown === lines.length ? `${shown} pairs` : `${shown} of ${lines.length} pairs`;
  }

  function copied() {
    const heads = ["A", "B", ...[...table.tHead.rows[0].cells].map((cell) => cell.textContent)];
    const names = (place) => data.experiments.pairs[place].slice(0, 2).map((each) => data.experiments.texts[each]);
    const kept = lines.map((line, place) => [line, names(place)]).filter(([line]) => !line.row.hidden);
    const texts = (row) => [...row.cells].map((cell) => cell.textContent.trim().replace(/\s+/g, " "));
    return [heads, ...kept.map(([line, cells_]) => [...cells_, ...texts(line.row)])];
  }

  lines.forEach((line, place) => {
    const head = line.row.cells[0];
    const button = el("button", { type: "button", class: "link" }, head.firstChild.textContent.trim());
    button.addEventListener("click", () => openExperiments(place, line));
    head.firstChild.replaceWith(button);
  });
  const bar = el(
    "div",
    { class: "tools" },
    el("label", {}, "Filter ", field),
    el("label", {}, "Cause ", choice),
    count,
    copyButtons(copied),
  );
  table.closest(".scroll").before(bar);
  field.addEventListener("input", refresh);
  choice.addEventListener("change", refresh);
  experimentsDialog.className = "cell";
  experimentsDialog.setAttribute("aria-labelledby", "experiments-h");
  document.body.append(experimentsDialog);
  refresh();
}

function openExperiments(place, line) {
  const [a, b, tried] = data.experiments.pairs[place];
  const text = (each) => data.experiments.texts[each];
  const close = el("button", { type: "button", class: "close" }, "Close");
  close.addEventListener("click", () => experimentsDialog.close());
  const link = (id) => {
    if (!byId.has(id)) return el("code", {}, id);
    const made = el("a", { href: `#${encodeURIComponent(id)}` }, id);
    made.addEventListener("click", () => experimentsDialog.close());
    return made;
  };
  const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];
  const heads = ["Factor", "Verdict", "What the experiments show"];
  const ends = ["At A's end: ", "At B's end: ", "On both sides: "];
  const rows_ = tried.map((row) => {
    // A condition has what it sets where a factor has its two values, and a third outcome: on both sides.
    const [name, inA, inB, verdict_, ...seen] = row.map(text);
    const values = [inA, inB].filter(Boolean).join(" against ");
    const first = el("th", { scope: "row" }, name, values ? el("span", { class: "sub" }, values) : null);
    const shown = seen.map((each, end) => el("div", {}, ends[end], each));
    return el("tr", {}, first, el("td", { class: "small" }, verdict_), el("td", { class: "small" }, ...shown));
  });
  const head = el("tr", {}, ...heads.map((each) => el("th", { scope: "col" }, each)));
  const table = el("table", { class: "broken" }, el("thead", {}, head), el("tbody", {}, ...rows_));
  experimentsDialog.replaceChildren(
    el(
      "header",
      {},
      el("h2", { id: "experiments-h", tabindex: "-1" }, line.row.cells[0].querySelector("button").textContent),
      close,
    ),
    el(
      "dl",
      { class: "facts" },
      ...fact("A", link(text(a))),
      ...fact("B", link(text(b))),
      ...fact("Difference", line.row.cells[1].textContent.trim()),
      ...fact("Cause", line.cause),
    ),
    el("div", { class: "scroll", role: "region", "aria-label": "Experiments", tabindex: "0" }, table),
    explainAgain(text(a), text(b)),
  );
  experimentsDialog.showModal();
  experimentsDialog.scrollTop = 0;
  experimentsDialog.querySelector("h2").focus();
}

function explainAgain(a, b) {
  const told = el("output", { class: "small" });
  const words = `repromatrix explain ${a} ${b}`;
  const button = el("button", { type: "button" }, "Copy");
  button.addEventListener("click", () => copy(words, told));
  return el("p", { class: "command" }, "Explain it again: ", code(words), " ", button, told);
}
