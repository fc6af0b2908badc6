// Slider, playback, keys and address: which capture, layer and head are shown.

const FILM_MS = 14000;
const slider = byId("slider");
let shown = film.opening;
let playing = null;

const goToStep = (step) => { pause(); show(nearestIndex(film.steps, step)); };
const turn = film.settled || film.first_right;
const chartOf = (id, choices) => lineChart(byId(id), {
  range: [film.steps[0], film.steps[lastCapture]],
  right: film.steps.map((step, i) => [step, rightAt(i)]),
  turn: turn && { step: film.steps[turn], text: `${film.settled ? "right from step" : "first right at step"} ${film.steps[turn]}` },
  onStep: goToStep,
  ...choices,
});
const curves = makeCurves(chartOf);
const attention = byId("map") && attentionView(() => { showHead(); writeAddress(); });
const patching = byId("patching") && patchingView();
const headCharts = byId("head-charts") && Object.fromEntries(
  ["entropy", "distance"].map((name) => [
    name,
    chartOf(`${name}-chart`, { right: null, turn: null, most: largest, label: (value) => value }),
  ]),
);

function show(capture) {
  shown = Math.min(Math.max(capture, 0), lastCapture);
  const step = film.steps[shown];
  slider.value = shown;
  slider.setAttribute("aria-valuetext", rightAt(shown) === null ? `step ${step}` : `step ${step}, ${rightAt(shown) ? "right" : "wrong"}`);
  byId("step").replaceChildren("step ", element("b", "", step), " ", element("span", "", `(${shown + 1} of ${lastCapture + 1})`));
  byId("back").disabled = shown === 0;
  byId("on").disabled = shown === lastCapture;
  showVerdict(shown);
  showContext(shown);
  curves.show(shown);
  if (attention) attention.showStep(step);
  if (patching) patching.show(step);
  markHead(step);
  if (!playing) writeAddress();
}

// The two curves of the chosen head. `heads` may have other layers than `attention`.
function showHead() {
  if (!headCharts) return;
  const { layer, head } = attention.chosen();
  const at = film.heads.layers.indexOf(layer);
  for (const name of ["entropy", "distance"]) {
    headCharts[name].set(at < 0 ? [] : [{ style: "head", steps: film.heads.steps, values: film.heads[name].map((capture) => capture[at][head]) }]);
  }
  markHead(film.steps[shown]);
}

function markHead(step) {
  if (!headCharts) return;
  const { layer, head } = attention.chosen();
  const at = film.heads.layers.indexOf(layer);
  const capture = nearestIndex(film.heads.steps, step);
  for (const name of ["entropy", "distance"]) {
    headCharts[name].mark(step);
    byId(`${name}-now`).textContent = at < 0 ? "(not recorded for this layer)" : `(now ${decimal(film.heads[name][capture][at][head], 2)})`;
  }
}

function pause() {
  if (!playing) return;
  clearInterval(playing);
  playing = null;
  byId("play").firstChild.textContent = "▶";
  byId("play").setAttribute("aria-label", "Play");
  byId("verdict").setAttribute("aria-live", "polite");
  writeAddress();
}

function play() {
  if (shown === lastCapture) show(0);
  byId("verdict").setAttribute("aria-live", "off");
  byId("play").firstChild.textContent = "❚❚";
  byId("play").setAttribute("aria-label", "Pause");
  const pace = Math.min(Math.max(FILM_MS / (lastCapture + 1), 60), 700);
  playing = setInterval(() => { if (shown === lastCapture) pause(); else show(shown + 1); }, pace);
}

const toggle = () => (playing ? pause() : play());
const goTo = (capture) => { pause(); show(capture); };

// With a delay, because browsers limit how often a page may do this.
let writing = null;
function writeAddress() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const { layer, head } = attention ? attention.chosen() : {};
    const shading = attention && attention.text.isShown() ? "&shade=attention" : "";
    const rest = attention ? `&layer=${layer}&head=${head}${shading}` : "";
    history.replaceState(null, "", `#step=${film.steps[shown]}${rest}`);
  }, 250);
}

function readAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  const number = (name) => (/^\d+$/.test(asked.get(name) ?? "") ? Number(asked.get(name)) : null);
  if (attention) {
    attention.text.shade(asked.get("shade") === "attention");
    attention.choose(number("layer"), number("head"));
  }
  show(number("step") === null ? shown : nearestIndex(film.steps, number("step")));
}

slider.addEventListener("input", () => goTo(Number(slider.value)));
byId("play").addEventListener("click", toggle);
byId("play").disabled = lastCapture === 0;
byId("back").addEventListener("click", () => goTo(shown - 1));
byId("on").addEventListener("click", () => goTo(shown + 1));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const moves = { ArrowLeft: shown - 1, ArrowRight: shown + 1, Home: 0, End: lastCapture };
  if (event.key in moves) goTo(moves[event.key]);
  else if (event.key === " " && event.target.tagName !== "BUTTON" && lastCapture > 0) toggle();
  else return;
  event.preventDefault();
});
for (const name of ["pointerover", "click"]) {
  textBox.addEventListener(name, (event) => {
    if (attention && attention.text.isShown()) return;
    contextToken = event.target.dataset.token === undefined ? null : Number(event.target.dataset.token);
    showContextToken(shown);
  });
}
textBox.addEventListener("pointerleave", (event) => {
  if (attention && attention.text.isShown()) return;
  if (event.pointerType === "mouse") contextToken = null;
  showContextToken(shown);
});
for (const name of ["by-answer", "by-attention"]) {
  if (!attention) break;
  byId(name).addEventListener("click", () => {
    attention.text.shade(name === "by-attention");
    show(shown);
  });
}
if (turn) {
  byId("moment").hidden = false;
  byId("moment").textContent = `Go to step ${film.steps[turn]}`;
  byId("moment").addEventListener("click", () => goTo(turn));
}
window.addEventListener("hashchange", readAddress);

curves.draw();
readAddress();
