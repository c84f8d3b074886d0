// Tables as CSV (RFC 4180) and Markdown, into the clipboard or, where a browser refuses that, into a field to copy.
function csv(rows) {
  const field = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map(field).join(",") + "\r\n").join("");
}

function markdown(rows) {
  const field = (text) => text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>|#~&]/g, "\\$&");
  const line = (row) => `| ${row.map(field).join(" | ")} |\n`;
  const [head, ...body] = rows;
  return line(head) + `|${"---|".repeat(head.length)}\n` + body.map(line).join("");
}

async function copy(text, told) {
  try {
    await navigator.clipboard.writeText(text);
    told.textContent = "Copied.";
  } catch {
    const field = el("textarea", { readonly: true, rows: 16, "aria-label": "Text to copy" });
    field.value = text;
    const close = el("button", { type: "button" }, "Close");
    const dialog = el(
      "dialog",
      { class: "copying", "aria-label": "Copy by hand" },
      el("p", {}, "The browser keeps its clipboard closed: copy from here."),
      field,
      close,
    );
    close.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    field.select();
  }
}

/** Two buttons that copy what `rows()` gives (the head first), and where they say so. */
function copyButtons(rows) {
  const told = el("output", { class: "small" });
  const button = (name, write) => {
    const made = el("button", { type: "button" }, `Copy ${name}`);
    made.addEventListener("click", () => copy(write(rows()), told));
    return made;
  };
  return el("span", { class: "copy" }, button("CSV", csv), button("Markdown", markdown), told);
}
