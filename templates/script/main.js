// The page's tables are complete without the script; from here on they can be sorted, filtered, compared and drawn.
// One part at a time, so that a large page answers between them; `scripted` tells that all are there.
const parts = [
  () => document.querySelectorAll("[data-scripted]").forEach((each) => each.removeAttribute("hidden")),
  () => document.querySelectorAll("table.iterations").forEach(enhancePublished),
  cellsTable,
  explanationsTable,
  formsTable,
  gallery,
  () => {
    document.body.append(dialog);
    addEventListener("hashchange", follow);
    if (location.hash) follow();
    document.documentElement.classList.add("scripted");
  },
];

function nextPart() {
  parts.shift()();
  if (parts.length) setTimeout(nextPart);
}

document
  .querySelectorAll('input[name="form"]')
  .forEach((each) => each.addEventListener("change", () => document.dispatchEvent(new Event("form"))));
// A printed page has nothing to click: everything folded is opened for it.
addEventListener("beforeprint", () =>
  document.querySelectorAll("main details:not(figure *)").forEach((each) => {
    each.open = true;
  }),
);
setTimeout(nextPart);
