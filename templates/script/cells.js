// The table of all cells: rows are made while they are in sight, so a thousand cells stay quick.
const MOST_MADE = 5000; // table cells; a smaller table is made whole, so that the browser's own search finds all of it
const SPARE = 8; // rows and columns beyond either edge
function cellsTable() {
  const section = document.getElementById("cells");
  const head = el("tr", {}, ...COLUMNS.map((name, place) => headCell(name, place)));
  for (let step = 1; step <= steps; step += 1) head.append(headCell(`Loss ${step}`, COLUMNS.length + step - 1));
  const body = el("tbody");
  const table = el(
    "table",
    { class: "numbers", id: "cells-table", "aria-rowcount": rows.length + 1 },
    el("thead", {}, head),
    body,
  );
  const box = el("div", { class: "scroll tall", role: "region", "aria-label": "All cells", tabindex: "0" }, table);
  const count = el("output", { class: "small", id: "filter-count" });
  const widest = Math.min(48, Math.max(8, ...rows.map((row) => headText(row)[0].length)));
  table.style.setProperty("--name", `${widest}ch`);
  let height = 30;
  let columns = [0, steps];
  let drawn = "";
  let near = false;
  let known = false; // whether the height of a row was measured

  function headCell(name, place) {
    const button = el("button", { type: "button", class: "sort" }, name);
    button.addEventListener("click", () => {
      chosen.down = chosen.sort === place ? !chosen.down : false;
      chosen.sort = place;
      refresh();
    });
    return el("th", { scope: "col", class: place === 0 ? "pin name" : null }, button);
  }

  function line(place, number) {
    const row = rows[place];
    const [name, ...rest] = headText(row);
    const link = el("a", { href: `#${encodeURIComponent(row.cell.id)}`, title: row.cell.id }, ...shortened(name));
    const made = el("tr", {
      "data-cell": "",
      "aria-rowindex": number + 2,
      class: place === chosen.reference ? "reference" : null,
    });
    made.append(el("th", { scope: "row", class: "pin name" }, link));
    rest.forEach((text, column) =>
      made.append(el("td", { class: column === 2 && text === "repeats differ" ? "off" : null }, tagged(column, text))),
    );
    if (!row.track) {
      made.append(
        el("td", { colspan: Math.max(1, steps), class: "none reason" }, row.cell.reason ?? "no reason was recorded"),
      );
      return made;
    }
    const other = rows[chosen.reference];
    const [first, last] = columns;
    if (first > 0) made.append(el("td", { colspan: first }));
    for (let step = first; step < last; step += 1) {
      const text = lossText(row, step);
      const against =
        form() === "ulp" || !other?.track || step >= other.track.length || row.cell.dtype !== other.cell.dtype
          ? text
          : lossText(other, step);
      // Two dtypes can be 0 ULP of the coarser one apart without having the same bits.
      const same = form() === "ulp" && step < row.track.length && Object.is(row.track[step], other?.track?.[step]);
      made.append(el("td", { class: same ? "same" : null }, ...marked(text, against)));
    }
    if (last < steps) made.append(el("td", { colspan: steps - last }));
    return made;
  }

  /** A name in parts, so that a narrow column cuts it where cells look alike anyway, and never its end. */
  function shortened(name) {
    const slash = name.lastIndexOf("/") + 1;
    const tail = Math.max(slash, name.length - (name.endsWith(")") ? 20 : 12));
    const part = (kind, text) => el("span", { class: kind }, text);
    return [
      part("place", name.slice(0, slash)),
      el("span", { class: "variant" }, part("start", name.slice(slash, tail)), part("end", name.slice(tail))),
    ];
  }

  function tagged(column, text) {
    if (column === 1) return el("span", { class: `outcome ${text === "ok" ? "ran" : "lost"}` }, text);
    return column === 4 ? el("span", { class: `verdict ${text}` }, text) : text;
  }

  /** Which steps are in sight: the head has all columns, so it alone gives their places. */
  function inSight() {
    const [left, width] = [box.scrollLeft, box.clientWidth || 1200];
    const wide = head.lastChild.offsetWidth || 150;
    const start = head.cells[COLUMNS.length]?.offsetLeft ?? 0;
    const first = Math.floor((left - start) / wide) - SPARE;
    return [Math.max(0, Math.min(steps - 1, first)), Math.min(steps, Math.ceil((left + width - start) / wide) + SPARE)];
  }

  function draw(force = false, whole = false) {
    if (!near && !whole) return;
    const all = whole || order.length * (steps + COLUMNS.length) <= MOST_MADE;
    const from = all ? 0 : Math.max(0, Math.floor(box.scrollTop / height) - SPARE);
    const to = all
      ? order.length
      : Math.min(order.length, Math.ceil((box.scrollTop + (box.clientHeight || 600)) / height) + SPARE);
    const seen = all || !steps ? [0, steps] : inSight();
    const window_ = [from, to, ...seen].join(" ");
    if (!force && drawn === window_) return;
    drawn = window_;
    columns = seen;
    const space = (size) => {
      const made = el("tr", { class: "space", "aria-hidden": "true" }, el("td", { colspan: COLUMNS.length + steps }));
      made.firstChild.style.height = `${size * height}px`;
      return size ? made : null;
    };
    const made = order.slice(from, to).map((place, number) => line(place, from + number));
    body.replaceChildren(...[space(from), ...made, space(order.length - to)].filter(Boolean));
    // All rows are of one height; asking for it at every turn would make the browser lay the page out twice.
    const measured = known ? 0 : made[0]?.getBoundingClientRect().height;
    known ||= Boolean(measured);
    if (measured && Math.abs(measured - height) > 0.5) {
      height = measured;
      draw(true, whole);
    }
  }

  function refresh() {
    select();
    const wide = { dec: Math.max(...Object.values(data.forms).map((each) => each.digits)) - 2, hex: 22, ulp: 8 }[
      form()
    ];
    table.style.setProperty("--number", `${wide}ch`);
    [...head.cells].forEach((cell, place) => {
      if (place === chosen.sort) cell.setAttribute("aria-sort", chosen.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    count.textContent = order.length === rows.length ? `${rows.length} rows` : `${order.length} of ${rows.length} rows`;
    table.setAttribute("aria-rowcount", order.length + 1);
    if (box.scrollTop > order.length * height) box.scrollTop = 0;
    draw(true);
  }

  function copied() {
    const heads = [...COLUMNS, ...Array.from({ length: steps }, (_, step) => `Loss ${step + 1}`), "Reason"];
    return [
      heads,
      ...order.map((place) => {
        const row = rows[place];
        return [
          ...headText(row),
          ...Array.from({ length: steps }, (_, step) => lossText(row, step, true)),
          row.cell.reason ?? "",
        ];
      }),
    ];
  }

  rows.forEach((row, place) => {
    row.place = place;
  });
  chosen.reference = Math.max(
    0,
    rows.findIndex((row) => row.track),
  );
  judge();
  section.append(filters(refresh, count, copied), box);
  new IntersectionObserver(
    (entries, observer) => {
      if (!entries.some((each) => each.isIntersecting)) return;
      observer.disconnect();
      near = true;
      draw(true);
    },
    { rootMargin: "600px" },
  ).observe(section);
  let waiting = false;
  box.addEventListener(
    "scroll",
    () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        draw();
      });
    },
    { passive: true },
  );
  document.addEventListener("form", refresh);
  addEventListener("resize", () => {
    known = false;
    draw(true);
  });
  addEventListener("beforeprint", () => draw(true, true));
  addEventListener("afterprint", () => draw(true));
  refresh();
}
