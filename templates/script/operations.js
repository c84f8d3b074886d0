// The catalogue of operations, filtered by words, operation and dtype.
function formsTable() {
  const table = document.getElementById("forms-table");
  if (!table) return;
  const lines = [...table.tBodies[0].rows].map((row) => ({ row, text: row.textContent.toLowerCase() }));
  const field = el("input", { type: "search", id: "forms-filter", placeholder: "torch fma", autocomplete: "off" });
  const choice = (name, column) => {
    const made = el("select", { id: `forms-${name}` }, el("option", { value: "" }, "all"));
    const texts = new Set(lines.map(({ row }) => row.cells[column].textContent));
    for (const text of texts) made.append(el("option", {}, text));
    return [made, column, el("label", {}, `${name} `, made)];
  };
  const choices = [choice("operation", 0), choice("dtype", 1)];
  const count = el("output", { class: "small", id: "forms-count" });

  function refresh() {
    const kept = lines.filter(({ row, text }) => {
      const chosen_ = choices.every(([made, at]) => !made.value || row.cells[at].textContent === made.value);
      row.hidden = !(chosen_ && matches(text, field.value));
      return !row.hidden;
    });
    count.textContent = kept.length === lines.length ? `${kept.length} rows` : `${kept.length} of ${lines.length} rows`;
  }

  function copied() {
    const texts = (row) => [...row.cells].map((cell) => cell.textContent.trim());
    return [texts(table.tHead.rows[0]), ...lines.filter(({ row }) => !row.hidden).map(({ row }) => texts(row))];
  }

  const labels = choices.map(([, , label]) => label);
  const bar = el("div", { class: "tools" }, el("label", {}, "Filter ", field), ...labels, count, copyButtons(copied));
  table.closest(".scroll").before(bar);
  field.addEventListener("input", refresh);
  choices.forEach(([made]) => made.addEventListener("change", refresh));
  refresh();
}
