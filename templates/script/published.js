// The published tables: ULP distances, and digits marked against a column of choice instead of the printed figures.
function enhancePublished(table) {
  const heads = [...table.querySelectorAll("thead th[data-column]")];
  const grid = [...table.tBodies[0].rows].map((row) =>
    [...row.cells].slice(1).map((cell) => {
      const dec = cell.querySelector(".dec");
      const hex = cell.querySelector(".hex");
      if (!dec) return null;
      const ulp = el("span", { class: "ulp" });
      hex.after(ulp);
      const printed = [...dec.childNodes].map((node) => node.cloneNode(true));
      return { dec, ulp, printed, text: dec.textContent, value: fromHexadecimal(hex.textContent) };
    }),
  );
  const choice = el("select", {}, el("option", { value: "" }, "the published figures"));
  heads.forEach((head, place) => choice.append(el("option", { value: String(place) }, head.dataset.column)));

  function show() {
    // Rounded figures have no ULP distance: there the first column stands in for them.
    const counting = form() === "ulp";
    if (counting && choice.value === "") choice.value = "0";
    choice.options[0].disabled = counting;
    const reference = choice.value === "" ? null : Number(choice.value);
    heads.forEach((head, place) => head.classList.toggle("reference", place === reference));
    for (const row of grid) {
      row.forEach((cell, place) => {
        if (!cell) return;
        const other = reference === null ? null : row[reference];
        if (reference === null) cell.dec.replaceChildren(...cell.printed.map((node) => node.cloneNode(true)));
        else cell.dec.replaceChildren(...marked(cell.text, other ? other.text : cell.text));
        const dtype = other && coarser(heads[place].dataset.dtype, heads[reference].dataset.dtype);
        cell.ulp.textContent = other ? grouped(ulps(cell.value, other.value, dtype)) : NOTHING;
        cell.ulp.classList.toggle("same", Boolean(other) && Object.is(cell.value, other.value));
      });
    }
  }

  function rows() {
    const counted = (cell) => cell.ulp.textContent.replaceAll(",", "");
    const text = (cell) => ({ dec: cell.text, hex: hexadecimal(cell.value), ulp: counted(cell) })[form()];
    return [
      ["Iteration", ...heads.map((head) => head.dataset.column)],
      ...grid.map((row, number) => [String(number + 1), ...row.map((cell) => (cell ? text(cell) : ""))]),
    ];
  }

  const bar = el("div", { class: "tools" }, el("label", {}, "Marked against ", choice), copyButtons(rows));
  table.closest(".scroll").before(bar);
  choice.addEventListener("change", show);
  document.addEventListener("form", show);
  show();
}
