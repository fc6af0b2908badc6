// What is chosen and pointed at: search, phases, rank, frames, zoom.

const search = byId("search");
const MOVES = {
  ArrowDown: ({ chain }) => sorted(chain[chain.length - 1].calls).map((call) => view.boxes.get(call)).find(Boolean),
  ArrowUp: ({ call }) => boxAbove(call),
  ArrowLeft: (shown) => neighbour(shown, -1),
  ArrowRight: (shown) => neighbour(shown, 1),
  Home: () => flame.firstElementChild,
};

// A chain is one box, which is that of its first call.
function boxAbove(call) {
  for (let caller = call.parent; caller !== null; caller = caller.parent) {
    if (view.boxes.has(caller)) return view.boxes.get(caller);
  }
  return null;
}

function neighbour({ level, call }, direction) {
  const row = [...flame.children].filter((box) => box.shown.level === level);
  return row[row.indexOf(view.boxes.get(call)) + direction];
}

function update() {
  view.root = callTree();
  view.zoomed = view.root;
  drawPhases();
  find();
}

function find() {
  chosen.text = search.value.trim();
  view.hits = chosen.text ? matching(chosen.text) : null;
  const found = byId("matches");
  found.hidden = view.hits === null;
  if (view.hits) {
    const { count, total } = countWith(view.hits);
    found.replaceChildren(element("b", "", share(count, total)), ` of the samples shown have “${chosen.text}”: ${count.toLocaleString("en")} of ${total.toLocaleString("en")}`);
  }
  draw();
}

function drawPhases() {
  const { counts, total } = countByPhase();
  const group = byId("phases");
  const focused = document.activeElement?.dataset?.phase;
  group.replaceChildren(phaseButton("all", "All phases", "", !chosen.phases.size));
  data.phases.forEach(({ name, colour }, phase) => {
    if (!counts[phase]) return;
    const percentage = `${(100 * counts[phase] / total).toFixed(1)} %`;
    const button = phaseButton(phase, `${name} ${percentage}`, colour, chosen.phases.has(phase));
    button.title = share(counts[phase], total);
    group.append(button);
  });
  if (focused !== undefined) group.querySelector(`[data-phase="${focused}"]`)?.focus();
}

function phaseButton(phase, text, colour, isPressed) {
  const button = element("button");
  button.type = "button";
  button.dataset.phase = phase;
  button.setAttribute("aria-pressed", isPressed);
  if (colour) button.append(element("span", `swatch ${colour}`));
  button.append(text);
  button.addEventListener("click", () => {
    if (phase === "all") chosen.phases.clear();
    else if (!chosen.phases.delete(phase)) chosen.phases.add(phase);
    update();
  });
  return button;
}

function chooseRank(value) {
  chosen.rank = value === "all" ? null : data.ranks.indexOf(Number(value));
  for (const table of document.querySelectorAll("table.lines")) table.hidden = table.dataset.rank !== value;
  update();
}

search.addEventListener("input", find);
byId("every").addEventListener("change", ({ target }) => {
  chosen.isWhole = target.checked;
  update();
});
byId("rank")?.addEventListener("change", ({ target }) => chooseRank(target.value));
for (const kind of ["pointerover", "focusin"]) {
  flame.addEventListener(kind, ({ target }) => {
    const box = target.closest(".box");
    if (box) tell(box.shown);
  });
}
flame.addEventListener("click", ({ target }) => {
  const box = target.closest(".box");
  if (box) zoom(box.shown.call);
});
flame.addEventListener("keydown", (event) => {
  const box = event.target.closest(".box");
  if (!box) return;
  if (event.key === "Enter" || event.key === " ") zoom(box.shown.call);
  else if (event.key === "Escape" && view.zoomed.frame !== null) zoom(outerOf(view.zoomed));
  else if (event.key in MOVES) {
    const next = MOVES[event.key](box.shown);
    if (next) focusOn(next);
  } else return;
  event.preventDefault();
});
let drawnWidth = flame.clientWidth;
window.addEventListener("resize", () => {
  if (flame.clientWidth !== drawnWidth) draw();
  drawnWidth = flame.clientWidth;
});

const wanted = new URLSearchParams(location.hash.slice(1));
search.value = wanted.get("search") ?? "";
data.phases.forEach(({ name }, phase) => {
  if (wanted.getAll("phase").includes(name)) chosen.phases.add(phase);
});
update();
