// What the tests ask of a page: how it looks, then what its cells say, then what a click on a head does.
const right = (element) => Math.round(element.getBoundingClientRect().right);
const name = (element) => `${element.tagName} ${element.textContent.trim().slice(0, 60)}`;
const all = (what, from = document) => [...from.querySelectorAll(what)];
const boxes = all(".wide");
const told = {};

all("details").forEach((part) => { part.open = true; });
told.width = innerWidth;
told.page = document.documentElement.scrollWidth;
told.links = all("td a").length;
told.boxes = boxes.map((box) => box.getAttribute("aria-label"));
told.scrolling = boxes.filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.getAttribute("aria-label"));
told.faults = {
  "beyond the screen": all("h1, h2, h3, p, li, dd, figcaption, pre, img, summary, .verdict, .wide").filter((one) => right(one) > innerWidth).map(name),
  "in no box": all("table").filter((table) => !table.closest(".wide")).map(name),
  "out of reach": boxes.filter((box) => {
    box.scrollLeft = 1e6;
    return all("tr", box).some((row) => right(row.cells[row.cells.length - 1]) > right(box) + 1);
  }).map(name),
  "cut off": all("td, th").filter((cell) => cell.scrollWidth > cell.clientWidth + 1).map(name),
  "not for keys": boxes.filter((box) => box.tabIndex !== 0 || !box.getAttribute("aria-label")).map(name),
  "underlined": all("td a, tbody th a").filter((link) => getComputedStyle(link).textDecorationLine !== "none").map(name),
};

told.numbers = all("td.r").map((cell) => {
  const copy = cell.cloneNode(true);
  all("small", copy).forEach((small) => small.remove());
  return copy.textContent.trim();
});
told.paired = all("figure.tabular").filter((figure) => figure.textContent.includes("Paired differences of")).flatMap((figure) =>
  all("tbody tr", figure).map((row) => row.cells[row.cells.length - 1].firstChild.textContent.trim()));

const table = all("figure.tabular").find((figure) => figure.textContent.includes("zero-shot accuracy of docs-mha")).querySelector("table");
const heads = [...table.tHead.rows[1].cells];
const state = () => ({
  sorts: heads.map((head) => head.getAttribute("aria-sort")),
  blocks: [...table.tBodies].map((body) => [...body.rows].map((row) => [...row.cells].slice(0, 3).map((cell) => cell.textContent.trim()))),
  links: all("tbody a", table).map((link) => link.getAttribute("href")).sort(),
});
const press = (head, key) => head.firstElementChild.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const after = (...acts) => [state(), ...acts.map((act) => { act(); return state(); })];
const click = (place) => () => heads[place].firstElementChild.click();
told.clicked = after(click(2), click(2), click(2));
told.pressed = after(() => press(heads[1], "Enter"), () => press(heads[1], " "), () => press(heads[1], "x"), () => press(heads[1], "Enter"));
told.blocks = after(click(0), click(0), click(0));
told.buttons = heads.map((head) => [head.firstElementChild.tabIndex, head.firstElementChild.getAttribute("role")]);
return told;
