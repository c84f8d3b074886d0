// A picture: drawn when it comes into sight, read with a pointer, with the arrow keys and as a table.
const pictures = [];

function colour(dtype) {
  return `var(--${dtype}, currentColor)`;
}

/**
 * Fills a <figure>. `make()` gives {svg, cursor, table, note, hint}: the drawing, how the cursor moves on it, the same
 * as rows of text (head first), what the drawing leaves out in words, and what is read before the cursor moves.
 */
function picture(figure, label, make) {
  const canvas = el("div", {
    class: "canvas",
    tabindex: "0",
    role: "group",
    "aria-roledescription": "picture",
    "aria-label": label,
    "aria-describedby": "picture-keys",
  });
  const reading = el("output", { class: "reading", "aria-live": "polite" });
  const note = el("p", { class: "small" });
  const folded = el("details", {}, el("summary", {}, "The same as a table"));
  figure.append(canvas, reading, note, folded);
  let made = null;

  function draw() {
    made = make(Math.max(300, Math.min(1100, figure.clientWidth || 700)));
    made.svg.setAttribute("aria-hidden", "true");
    canvas.replaceChildren(made.svg);
    note.textContent = made.note;
    reading.textContent = made.hint;
    fold();
  }
  function fold() {
    folded.querySelector(".scroll")?.remove();
    if (folded.open && made) folded.append(textTable(made.table(), label));
  }
  const read = (text) => {
    if (text) reading.textContent = text;
  };
  const drawn = () => made !== null;

  canvas.addEventListener("keydown", (event) => {
    const moves = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
      Home: [-Infinity, 0],
      End: [Infinity, 0],
    };
    const move = moves[event.key];
    if (!move || !made || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    read(made.cursor.move(...move));
  });
  canvas.addEventListener("focus", () => read(made?.cursor.move(0, 0)));
  canvas.addEventListener("pointermove", (event) => {
    const box = made?.svg.getBoundingClientRect();
    if (box?.width)
      read(
        made.cursor.at(
          (event.clientX - box.left) * (made.width / box.width),
          (event.clientY - box.top) * (made.width / box.width),
        ),
      );
  });
  folded.addEventListener("toggle", fold);
  pictures.push({ figure, draw, drawn });
}

function textTable(table, label) {
  const [head, ...body] = table;
  const made = el(
    "table",
    { class: "numbers" },
    el("thead", {}, el("tr", {}, ...head.map((text) => el("th", { scope: "col" }, text)))),
    el(
      "tbody",
      {},
      ...body.map(([name, ...rest]) =>
        el("tr", {}, el("th", { scope: "row" }, name), ...rest.map((text) => el("td", {}, text))),
      ),
    ),
  );
  return el("div", { class: "scroll", role: "region", "aria-label": `${label}, as a table`, tabindex: "0" }, made);
}

/** Draws what is in sight, one picture a frame, the rest when it gets there; before printing all of it. */
function watchPictures() {
  const queue = [];
  const next = () => {
    const each = queue.shift();
    if (each && !each.drawn()) each.draw();
    if (queue.length) setTimeout(next);
  };
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        seen.unobserve(entry.target);
        queue.push(pictures.find((each) => each.figure === entry.target));
        if (queue.length === 1) setTimeout(next);
      }
    },
    { rootMargin: "200px" },
  );
  pictures.forEach((each) => seen.observe(each.figure));
  addEventListener("beforeprint", () => pictures.forEach((each) => each.drawn() || each.draw()));
}

/** Draws again, one a turn, those of the named pictures that were drawn. */
function redraw(...names) {
  pictures
    .filter((each) => names.includes(each.figure.id) && each.drawn())
    .forEach((each, number) => setTimeout(each.draw, number));
}
