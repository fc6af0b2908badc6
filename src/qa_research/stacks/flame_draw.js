// The flame graph: boxes as wide as their shares, each below its caller.

const ROW = 20;
// Narrower boxes are not drawn, and narrower ones than the second have no text.
const SMALLEST_PX = 1;
const WRITTEN_PX = 28;
const CODE_PX = 110;
const MOST_NAMES = 5;
const flame = byId("flame");
const readout = byId("readout");
const view = { root: null, zoomed: null, hits: null, boxes: new Map() };

function placeOf({ file, line }) {
  const short = file.split("/").slice(-2).join("/");
  return line ? `${short}:${line}` : short;
}

function namesOf(chain) {
  const names = chain.map((call) => frames[call.frame].name);
  const hidden = names.length - MOST_NAMES + 1;
  if (hidden < 2) return names.join(" → ");
  return [...names.slice(0, 2), `… ${hidden} more`, ...names.slice(-2)].join(" → ");
}

function draw() {
  const width = flame.clientWidth;
  const { zoomed } = view;
  view.boxes.clear();
  flame.replaceChildren();
  flame.classList.toggle("searched", view.hits !== null);
  let rows = 0;
  const show = (call, left, level) => {
    const wide = call.count / zoomed.count;
    if (wide * width < SMALLEST_PX) return;
    const chain = chainOf(call);
    flame.append(boxOf(call, chain, left, wide, wide * width, level));
    rows = Math.max(rows, level + 1);
    let at = left;
    for (const below of sorted(chain[chain.length - 1].calls)) {
      show(below, at, level + 1);
      at += below.count / zoomed.count;
    }
  };
  if (zoomed.frame !== null) {
    show(zoomed, 0, 0);
  } else {
    let at = 0;
    for (const call of sorted(zoomed.calls)) {
      show(call, at, 0);
      at += call.count / zoomed.count;
    }
  }
  flame.style.height = `${rows * ROW}px`;
  const first = flame.firstElementChild;
  if (first) first.tabIndex = 0;
  drawPath();
}

function boxOf(call, chain, left, wide, px, level) {
  const phase = phaseOf(call);
  const box = element("div", `box ${phase === null ? "grey" : data.phases[phase].colour}`);
  box.setAttribute("role", "treeitem");
  box.setAttribute("aria-level", level + 1);
  box.tabIndex = -1;
  box.style.left = `${100 * left}%`;
  box.style.width = `${100 * wide}%`;
  box.style.top = `${level * ROW}px`;
  if (px < WRITTEN_PX) box.classList.add("thin");
  else writeInto(box, call, chain, phase, px);
  const percentage = (100 * call.count / view.root.count).toFixed(1);
  box.setAttribute("aria-label", `${box.textContent || namesOf(chain)}, ${percentage} %`);
  if (view.hits && chain.some((one) => view.hits.has(one.frame))) box.classList.add("hit");
  box.shown = { call, chain, level };
  view.boxes.set(call, box);
  return box;
}

// The outermost frame of a phase bears its name.
function writeInto(box, call, chain, phase, px) {
  if (phase !== null && (call === view.zoomed || call.parent === null || phaseOf(call.parent) === null)) {
    box.append(element("b", "", data.phases[phase].name), " ");
  }
  box.append(namesOf(chain));
  const { text } = frames[call.frame];
  if (px > CODE_PX && text) box.append(" ", element("i", "", text));
}

function drawPath() {
  const path = byId("path");
  path.replaceChildren();
  if (view.zoomed.frame === null) {
    path.append(`All ${view.root.count.toLocaleString("en")} samples${chosen.phases.size ? " of the chosen phases" : ""}`);
    return;
  }
  for (const [id, name, target] of [["whole", "Whole graph", view.root], ["outer", "Back", outerOf(view.zoomed)]]) {
    const button = element("button", "", name);
    button.type = "button";
    button.id = id;
    button.addEventListener("click", () => zoom(target));
    path.append(button);
  }
  const callers = [];
  for (let call = view.zoomed.parent; call.frame !== null; call = call.parent) callers.unshift(call);
  if (callers.length) path.append(`below ${namesOf(callers)}`);
}

// The nearest caller that is wider: to widen one that is as wide would change nothing.
function outerOf(call) {
  let outer = call.parent;
  while (outer.parent !== null && outer.count === call.count) outer = outer.parent;
  return outer;
}

function zoom(call) {
  view.zoomed = call;
  draw();
  const box = view.boxes.get(call) ?? flame.firstElementChild;
  if (box) focusOn(box);
}

function focusOn(box) {
  for (const other of flame.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  box.tabIndex = 0;
  box.focus({ preventScroll: true });
  box.scrollIntoView({ block: "nearest" });
}

function tell({ call, chain }) {
  const { root } = view;
  readout.replaceChildren();
  const total = countByPhase().total;
  const first = element("p");
  first.append(element("b", "", share(call.count, total)), ` of the time, ${call.count.toLocaleString("en")} samples`);
  if (root.count !== total) first.append(`; ${(100 * call.count / root.count).toFixed(1)} % of what is shown`);
  const phases = [...call.phases].sort((a, b) => b[1] - a[1]).slice(0, 4);
  const named = phases.map(([phase, count]) => `${data.phases[phase].name} ${(100 * count / call.count).toFixed(0)} %`);
  first.append(`; ${named.join(", ")}`);
  readout.append(first);
  const told = chain.length > 3 ? [chain[0], null, chain[chain.length - 1]] : chain;
  for (const one of told) {
    if (one === null) {
      readout.append(element("p", "soft", `… ${chain.length - 2} calls in between: ${namesOf(chain.slice(1, -1))}`));
      continue;
    }
    const frame = frames[one.frame];
    const line = element("p");
    line.append(`${frame.name}  ${frame.file}${frame.line ? `:${frame.line}` : ""}  `, element("code", "", frame.text));
    readout.append(line);
  }
}
