
// Rows sort by their cells' data-key, numbers as numbers.
const body = document.querySelector("#values tbody");
const rows = [...body.rows];
let sorted = { column: 0, down: false };

function keyOf(row, column) {
  const text = row.cells[column].dataset.key, number = Number(text);
  return text === "" || Number.isNaN(number) ? text : number;
}

function compare(a, b) {
  if (typeof a === typeof b) return typeof a === "string" ? a.localeCompare(b, "en") : a - b;
  return typeof a === "string" ? 1 : -1;
}

document.querySelectorAll("#values th").forEach((head, column) => {
  head.addEventListener("click", () => {
    sorted = { column, down: sorted.column === column && !sorted.down };
    const sign = sorted.down ? -1 : 1;
    rows.sort((a, b) => sign * compare(keyOf(a, column), keyOf(b, column)));
    body.replaceChildren(...rows);
  });
});
