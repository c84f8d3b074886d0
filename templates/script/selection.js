// The rows of the table of all cells: their texts, which of them are shown and in what order.
const rows = cells.flatMap((cell) => {
  const text = Object.values(cell)
    .filter((each) => typeof each === "string")
    .join(" ")
    .toLowerCase();
  const row = (track, repeat) => {
    const metrics = (cell.metrics[repeat] ?? []).map((place) => tracks[place]);
    return { cell, text, track: track === null ? null : tracks[track], metrics, repeat };
  };
  return [cell.track, ...cell.repeats].map(row);
});
const COLUMNS = ["Cell", "dtype", "Outcome", "Repeats", "Class", "Verdict"];
const DETERMINISTIC = { true: "same bits", false: "repeats differ", null: NOTHING };
const CHIPS = {
  dtype: (row) => row.cell.dtype,
  framework: (row) => row.cell.framework,
  outcome: (row) => row.cell.outcome,
  verdict: verdictOf,
};
const chosen = {
  reference: 0,
  words: "",
  sort: null,
  down: false,
  chips: { dtype: new Set(), framework: new Set(), outcome: new Set(), verdict: new Set() },
};
let order = rows.map((_, place) => place);
let verdicts = [];

function verdictOf(row) {
  return verdicts[row.place];
}

function judge() {
  const other = rows[chosen.reference];
  verdicts = rows.map((row) => (other ? verdict(row, other) : "missing"));
}

/** The text of a row's loss as it is shown; plain: without groups of digits, for other programs. */
function lossText(row, step, plain = false) {
  const value = row.track?.[step];
  if (value === undefined) return "";
  if (form() === "hex") return hexadecimal(value);
  if (form() === "dec") return decimal(value, row.cell.dtype);
  const count = lossUlps(row, step);
  return count === null ? NOTHING : plain ? String(count) : grouped(count);
}

function lossUlps(row, step) {
  const other = rows[chosen.reference];
  const against = other?.track?.[step];
  if (against === undefined || row.cell.workload !== other.cell.workload) return null;
  return ulps(row.track[step], against, coarser(row.cell.dtype, other.cell.dtype));
}

function headText(row) {
  const { cell } = row;
  const name = row.repeat ? `${cell.id} (repeat ${row.repeat + 1})` : cell.id;
  return [name, cell.dtype, cell.outcome, DETERMINISTIC[cell.deterministic], cell.class ?? NOTHING, verdictOf(row)];
}

function select() {
  const { chips, sort } = chosen;
  order = rows
    .map((_, place) => place)
    .filter((place) => {
      const row = rows[place];
      return (
        matches(row.text, chosen.words) &&
        Object.entries(chips).every(([name, set]) => !set.size || set.has(CHIPS[name](row)))
      );
    });
  if (sort === null) return;
  const keys = rows.map((row) => sortKey(row, sort));
  const absent = (key) => key === undefined || key === null || Number.isNaN(key);
  order.sort((a, b) => {
    // What has no value stands last, whichever way round.
    if (absent(keys[a]) || absent(keys[b])) return absent(keys[a]) - absent(keys[b]) || a - b;
    const less = keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0;
    return (chosen.down ? -less : less) || a - b;
  });
}

function sortKey(row, column) {
  if (column >= COLUMNS.length) {
    const step = column - COLUMNS.length;
    return row.track?.[step] === undefined ? undefined : form() === "ulp" ? lossUlps(row, step) : row.track[step];
  }
  const text = headText(row)[column];
  // C10 stands after C9.
  return column === 4 ? (text === NOTHING ? undefined : Number(text.slice(1))) : text;
}
