// The selected segment, whether by pointing, by keys or in the table, whose rows can be sorted.

const table = byId("table").tBodies[0];
const slider = byId("k");
const shown = { view: "heat", k: explanation.top, chosen: null };
// A clicked segment stays selected until another is clicked; pointing at others shows them in between.
let pinned = null;

function fixed(value) {
  const text = Math.abs(value).toFixed(explanation.digits);
  return Number(text) ? `${value < 0 ? "−" : "+"}${text}` : text;
}

function percent(p) {
  const value = 100 * p;
  return value > 0 && value < 0.05 ? "< 0.1 %" : `${value.toFixed(value >= 10 ? 0 : 1)} %`;
}

function describeSegment(number) {
  const { rank, coefficient, low, high, area, tied } = byNumber[number];
  const interval = explanation.exact ? "exact" : `${explanation.confidence} ${fixed(low)} to ${fixed(high)}`;
  const shownValue = Number(coefficient.toFixed(explanation.digits));
  const effect = shownValue > 0 ? "supports the class" : shownValue < 0 ? "opposes it" : "has no effect";
  const unsure = low < 0 && high > 0 ? "; its interval includes 0" : "";
  const ties = tied ? `; ranks ${tied[0]} to ${tied[1]} are tied` : "";
  return `Segment ${number}: rank ${rank} of ${segments.length}, coefficient ${fixed(coefficient)} (${interval}), ` +
    `${percent(area)} of the area; ${effect}${unsure}${ties}.`;
}

function describeTop() {
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
  const sentences = [];
  if (ofTop) sentences.push(describeTop());
  if (shown.chosen !== null) sentences.push(describeSegment(shown.chosen));
  if (!sentences.length) sentences.push(`${explanation.top_name}: ${segments.slice(0, explanation.top).map(({ number }) => number).join(", ")}.`);
  byId("readout").textContent = sentences.join(" ");
  for (const row of table.rows) row.classList.toggle("chosen", Number(row.dataset.number) === shown.chosen);
}

function choose(number) {
  if (number === shown.chosen) return;
  shown.chosen = number;
  show();
}

function pin(number) {
  pinned = number;
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

canvas.addEventListener("pointermove", (event) => choose(segmentAt(event) ?? pinned));
canvas.addEventListener("pointerleave", () => choose(pinned));
canvas.addEventListener("click", (event) => {
  const number = segmentAt(event);
  pin(number === pinned ? null : number);
  if (pinned !== null) scrollToRow(pinned);
});
canvas.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") pin(null);
  if (!step) return;
  event.preventDefault();
  const rank = pinned === null ? (step > 0 ? 0 : segments.length - 1) : byNumber[pinned].rank - 1 + step;
  pin(segments[Math.min(Math.max(rank, 0), segments.length - 1)].number);
  scrollToRow(pinned);
});

for (const row of table.rows) {
  const number = Number(row.dataset.number);
  row.tabIndex = 0;
  row.addEventListener("pointerenter", () => choose(number));
  row.addEventListener("pointerleave", () => choose(pinned));
  row.addEventListener("focus", () => choose(number));
  row.addEventListener("blur", () => choose(pinned));
  row.addEventListener("click", () => pin(pinned === number ? null : number));
  row.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    pin(pinned === number ? null : number);
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
    const sorted = heading.getAttribute("aria-sort");
    // The first click puts large coefficients and areas first, but small ranks and segment numbers.
    const largest = sorted ? sorted === "ascending" : key === "coefficient" || key === "area";
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

for (const chart of document.querySelectorAll(".chart")) {
  chart.querySelector("img").addEventListener("click", () => chart.classList.toggle("large"));
}

Promise.all(["pixels", "off", "heat"].map((id) => byId(id).decode())).then(() => {
  byId("stage").hidden = false;
  show();
});
