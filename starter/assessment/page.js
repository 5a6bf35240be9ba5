"use strict";
const table = document.getElementById("machines"), body = table.tBodies[0], rows = [...body.rows];
const text = document.getElementById("text"), verdict = document.getElementById("verdict");
const shown = document.getElementById("shown");
const words = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));

function sift() {
  const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of rows) {
    const fits = (!verdict.value || row.dataset.verdict === verdict.value)
      && wanted.every(word => words.get(row).includes(word));
    row.hidden = !fits;
    count += fits;
  }
  shown.textContent = `${count} of ${rows.length} VMs`;
}

function sort(column, button) {
  const head = button.closest("th"), up = head.getAttribute("aria-sort") !== "ascending";
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = row => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const order = new Intl.Collator(undefined, { numeric: true }).compare;
  rows.sort((a, b) => (up ? 1 : -1) * order(key(a), key(b)));
  body.append(...rows);
}

text.addEventListener("input", sift);
verdict.addEventListener("change", sift);
[...table.tHead.rows[0].cells].forEach((head, column) => {
  const button = head.querySelector("button");
  button.addEventListener("click", () => sort(column, button));
});
for (const link of document.querySelectorAll("a.sift")) {
  link.addEventListener("click", () => { text.value = link.textContent; verdict.value = ""; sift(); });
}
document.querySelector(".sieve").hidden = false;
sift();
