"use strict";
// The page is complete without this script; it adds the filter, and opens what a link points into.
const field = document.getElementById("filter");
const count = document.getElementById("filter-count");
const rows = [...document.querySelectorAll("#cells-table [data-cell]")];
const texts = rows.map((row) => row.textContent.toLowerCase());

function filter() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  rows.forEach((row, place) => {
    row.hidden = !words.every((word) => texts[place].includes(word));
    shown += row.hidden ? 0 : 1;
  });
  count.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
}

function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.matches("details")) target.open = true;
  if (target && target.hidden) {
    field.value = "";
    filter();
    target.scrollIntoView();
  }
}

field.closest("p").hidden = false;
field.addEventListener("input", filter);
addEventListener("hashchange", reveal);
// A printed page has nothing to click: everything folded is opened for it.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((each) => (each.open = true)));
