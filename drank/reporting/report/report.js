// A click on a head sorts a table by that column: up, down, as it was. Rows stay in their block, and what heads a block stays at its top.
"use strict";
for (const table of document.querySelectorAll(".wide > table")) {
  const heads = table.tHead ? [...table.tHead.rows[table.tHead.rows.length - 1].cells] : [];
  const bodies = [...table.tBodies];
  if (!heads.length || !bodies.some((body) => body.rows.length > 1)) continue;
  const fixed = (row) => row.classList.contains("level");
  const text = (cell) => cell.textContent.trim();
  const blank = heads.map((_, place) => bodies.some((body) => [...body.rows].some((row) => !fixed(row) && row.cells[place].tagName === "TH" && !text(row.cells[place]))));
  for (const body of bodies) {
    [...body.rows].forEach((row, index) => {
      row.place = index;
      row.full = [...row.cells].map((cell, place) => (blank[place] && !text(cell) && index && !fixed(row) ? body.rows[index - 1].full[place] : cell.innerHTML));
      row.keys = [...row.cells].map((cell, place) => key(row.full[place]));
    });
    body.place = bodies.indexOf(body);
  }

  heads.forEach((head, place) => {
    const button = document.createElement("span");  // a real button would be left out of the heads that print repeats on every page
    Object.assign(button, { role: "button", tabIndex: 0, title: "Sort by this column" });
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      button.click();
    });
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      sort(place, next);
    });
  });

  function sort(place, way) {
    const sign = way === "descending" ? -1 : 1;
    const order = way === "none" ? (a, b) => a.place - b.place : (a, b) => fixed(a) - fixed(b) || compare(a.keys[place], b.keys[place], sign) || a.place - b.place;
    for (const body of bodies) {
      body.append(...[...body.rows].sort(order));
      [...body.rows].forEach((row, index) => blank.forEach((told, at) => {
        if (!told || fixed(row)) return;
        const above = index ? body.rows[index - 1].full[at] : null;
        row.cells[at].innerHTML = row.full[at] === above ? "" : row.full[at];
      }));
    }
    const headed = (a, b) => (place || way === "none" ? 0 : compare(a.rows[0].keys[0], b.rows[0].keys[0], sign)) || a.place - b.place;
    table.append(...bodies.sort(headed));
  }
}

// What a cell is sorted by: its first number, or else its words; what was not measured comes last whichever way.
function key(markup) {
  const cell = document.createElement("td");
  cell.innerHTML = markup;
  cell.querySelectorAll("small").forEach((small) => small.remove());
  const words = cell.textContent.replace(/\u2212/g, "-").replace(/(\d)[\u202f\u2009](?=\d)/g, "$1").trim();
  const number = /^[^\w+-]*([+-]?\d[\d.]*(?:e[+-]?\d+)?)/.exec(words);
  return !words || words === "\u2013" ? null : number ? Number(number[1]) : words;
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), undefined, { numeric: true });
}

// What is folded away is printed all the same.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.folded = !part.open; part.open = true; }));
addEventListener("afterprint", () => document.querySelectorAll("details").forEach((part) => { part.open = !part.folded; }));
