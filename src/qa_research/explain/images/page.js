// What is chosen: by pointing, by keys, or in the table, whose rows can be sorted.

const table = byId("table").tBodies[0];
const slider = byId("k");
const shown = { view: "heat", k: explanation.top, chosen: null };
// A segment that was clicked stays until another is clicked; pointing shows others meanwhile.
let kept = null;

function fixed(value) {
  const text = Math.abs(value).toFixed(explanation.digits);
  return Number(text) ? `${value < 0 ? "−" : "+"}${text}` : text;
}

function percent(p) {
  const value = 100 * p;
  return value > 0 && value < 0.05 ? "< 0.1 %" : `${value.toFixed(value >= 10 ? 0 : 1)} %`;
}

function toldSegment(number) {
  const { rank, coefficient, low, high, area, tied } = byNumber[number];
  const interval = explanation.exact ? "exact" : `${explanation.confidence} ${fixed(low)} to ${fixed(high)}`;
  const shownValue = Number(coefficient.toFixed(explanation.digits));
  const words = shownValue > 0 ? "speaks for the class" : shownValue < 0 ? "speaks against it" : "does nothing";
  const unsure = low < 0 && high > 0 ? "; its interval holds 0" : "";
  const ties = tied ? `; cannot be told from rank ${explanation.top}` : "";
  return `Segment ${number}: rank ${rank} of ${segments.length}, coefficient ${fixed(coefficient)} (${interval}), ` +
    `${percent(area)} of the area; ${words}${unsure}${ties}.`;
}

function toldTop() {
  const { classifier, surrogate } = explanation[shown.view === "only" ? "top_only" : "top_off"][shown.k];
  const which = shown.view === "only" ? `With only the top ${shown.k} on` : `Without the top ${shown.k}`;
  const measured = classifier === null ? "the classifier was not asked" : `the classifier gives ${percent(classifier)}`;
  return `${which}: ${measured}, the surrogate ${(100 * surrogate).toFixed(1).replace("-", "−")} %.`;
}

function show() {
  paint(shown);
  const ofTop = shown.view === "only" || shown.view === "without";
  byId("slide").hidden = !ofTop;
  byId("heat-legend").hidden = shown.view !== "heat";
  byId("k-now").textContent = `top ${shown.k} of ${segments.length}`;
  const told = [];
  if (ofTop) told.push(toldTop());
  if (shown.chosen !== null) told.push(toldSegment(shown.chosen));
  if (!told.length) told.push(`The top ${explanation.top}: ${segments.slice(0, explanation.top).map(({ number }) => number).join(", ")}.`);
  byId("readout").textContent = told.join(" ");
  for (const row of table.rows) row.classList.toggle("chosen", Number(row.dataset.number) === shown.chosen);
}

function choose(number) {
  if (number === shown.chosen) return;
  shown.chosen = number;
  show();
}

function keep(number) {
  kept = number;
  choose(number);
}

function scrollToRow(number) {
  const row = table.querySelector(`[data-number="${number}"]`);
  const box = byId("table").parentElement;
  const head = byId("table").tHead.offsetHeight;
  if (row.offsetTop < box.scrollTop + head) box.scrollTop = row.offsetTop - head;
  if (row.offsetTop + row.offsetHeight > box.scrollTop + box.clientHeight) {
    box.scrollTop = row.offsetTop + row.offsetHeight - box.clientHeight;
  }
}

canvas.addEventListener("pointermove", (event) => choose(segmentAt(event) ?? kept));
canvas.addEventListener("pointerleave", () => choose(kept));
canvas.addEventListener("click", (event) => {
  const number = segmentAt(event);
  keep(number === kept ? null : number);
  if (kept !== null) scrollToRow(kept);
});
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") keep(null);
  if (!step) return;
  event.preventDefault();
  const rank = kept === null ? (step > 0 ? 0 : segments.length - 1) : byNumber[kept].rank - 1 + step;
  keep(segments[Math.min(Math.max(rank, 0), segments.length - 1)].number);
  scrollToRow(kept);
});

for (const row of table.rows) {
  const number = Number(row.dataset.number);
  row.tabIndex = 0;
  row.addEventListener("pointerenter", () => choose(number));
  row.addEventListener("pointerleave", () => choose(kept));
  row.addEventListener("focus", () => choose(number));
  row.addEventListener("blur", () => choose(kept));
  row.addEventListener("click", () => keep(kept === number ? null : number));
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    keep(kept === number ? null : number);
  });
}

const headings = [...document.querySelectorAll("#table th[data-key]")];
for (const heading of headings) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = heading.textContent;
  heading.replaceChildren(button);
  button.addEventListener("click", () => {
    const key = heading.dataset.key;
    const was = heading.getAttribute("aria-sort");
    // Large numbers are looked for first, small ranks and segments' numbers as well.
    const largest = was ? was === "ascending" : key === "coefficient" || key === "area";
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", largest ? "descending" : "ascending");
    const value = (row) => byNumber[row.dataset.number][key];
    table.append(...[...table.rows].sort((a, b) => (largest ? -1 : 1) * (value(a) - value(b))));
  });
}

for (const choice of document.querySelectorAll("[name=view]")) {
  choice.checked = choice.value === shown.view;
  choice.addEventListener("change", () => {
    shown.view = choice.value;
    show();
  });
}
slider.value = shown.k;
slider.addEventListener("input", () => {
  shown.k = Number(slider.value);
  show();
});

Promise.all(["pixels", "off", "heat"].map((id) => byId(id).decode())).then(() => {
  byId("stage").hidden = false;
  show();
});
