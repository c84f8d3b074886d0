// The table of changes is complete without the script; with it, lines can be chosen by the words in them.
const field = document.getElementById("words");
const lines = [...document.querySelectorAll("#changes-table tbody tr")];

function choose() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const line of lines) {
    const text = line.textContent.toLowerCase();
    line.hidden = !words.every((word) => text.includes(word));
    shown += !line.hidden;
  }
  document.getElementById("shown").textContent = `${shown} of ${lines.length}`;
}

document.querySelectorAll("[data-scripted]").forEach((each) => each.removeAttribute("hidden"));
if (field) {
  field.addEventListener("input", choose);
  choose();
}
document.documentElement.classList.add("scripted");
