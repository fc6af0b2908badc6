// The report's charts, and one watched question in all runs: one slider moves them together.

const live = JSON.parse(byId("live").textContent);
const names = [live.question, live.curves, live.route].find((part) => part)?.names || [];
const present = (list) => list.filter((one) => one !== null);
const lineOf = (curve, run) => curve && { style: `run-${run % 6}`, name: names[run], ...curve };
const allSteps = (curves) => present(curves).flatMap(({ steps }) => steps);
const asPercent = (curve) => curve && { steps: curve.steps, values: curve.values.map((value) => (value === null ? null : 100 * value)) };

function chart(svg, curves, choices) {
  const steps = allSteps(curves);
  if (!steps.length) return null;
  const drawn = lineChart(svg, {
    range: [Math.min(0, ...steps), Math.max(...steps)],
    most: () => 100,
    label: (value) => Number(value.toPrecision(6)),
    ...choices,
  });
  drawn.set(present(curves.map(lineOf)));
  return drawn;
}

const curveBoxes = byId("curve-charts") ? byId("curve-charts").querySelectorAll("svg") : [];
let goTo = () => {};
const followers = (live.curves ? live.curves.charts : []).map(({ curves, guessing }, i) => {
  const level = guessing === null || guessing >= 99.5 ? null : { value: guessing, text: `guessing: ${guessing.toFixed(1)}` };
  const { least, most } = live.curves;
  return chart(curveBoxes[i], curves, { level, least: () => least, most: () => most, onStep: (step) => goTo(step) });
});
if (live.route) followers.push(chart(byId("route-chart"), live.route.curves.map(asPercent), { onStep: (step) => goTo(step) }));

// One run's text: its words by token, to be shaded at each step.
function runBox(run, film) {
  const box = element("div", `run-${run % 6}`);
  if (names[run]) box.append(element("h3", "", names[run]));
  const mark = element("span", "mark");
  const answer = element("q");
  answer.dir = "auto";
  const line = element("p", "answer");
  line.append(mark, " ", answer);
  const chances = element("p", "chances");
  const words = element("div", "words");
  words.dir = "auto";
  const tokens = [];
  let frame = null;
  let truth = null;
  for (const [text, token] of film.segments) {
    const piece = element("span", token === null ? "" : "token", text);
    if (token !== null) tokens[token] = piece;
    if (film.truth[1] > 0 && token === film.truth[0]) truth = frame = words.appendChild(element("span", "truth"));
    (frame || words).append(piece);
    if (token === film.truth[1]) frame = null;
  }
  // A long text is scrolled, also by the keyboard.
  words.tabIndex = 0;
  words.setAttribute("role", "region");
  words.setAttribute("aria-label", names[run] ? `The text, ${names[run]}` : "The text");
  box.append(line, chances, words, element("p", "outcome", `Over this training ${film.outcome}.${film.captured > film.steps.length ? ` Shown are ${film.steps.length} of ${film.captured} captures.` : ""}`));
  return {
    box,
    showTruth() {
      if (truth) words.scrollTop = truth.offsetTop - words.clientHeight / 2;
    },
    show(step) {
      const i = nearestIndex(film.steps, Math.min(step, film.steps[film.steps.length - 1]));
      const { text, right } = film.answers[i];
      mark.textContent = right ? "✓ right" : "✗ wrong";
      mark.className = right ? "mark right" : "mark wrong";
      answer.textContent = text || "no answer";
      const ended = step > film.steps[film.steps.length - 1] ? " (this training had ended)" : "";
      chances.textContent = `at step ${film.steps[i]}${ended}: probability ${percent(film.answer_probability[i])}, of the true answer ${percent(film.true_probability[i])}`;
      tokens.forEach((piece, token) => {
        piece.style.setProperty("--s", shade(film.start[i][token]).toFixed(3));
        piece.style.setProperty("--e", shade(film.end[i][token]).toFixed(3));
      });
    },
  };
}

function questionView() {
  const slider = byId("slider");
  const svg = byId("truth-chart");
  let steps = [];
  let boxes = [];
  let truth = null;

  function show(place) {
    const at = Math.min(Math.max(place, 0), steps.length - 1);
    slider.value = at;
    slider.setAttribute("aria-valuetext", `step ${steps[at]}`);
    byId("step").replaceChildren("step ", element("b", "", steps[at]));
    byId("back").disabled = at === 0;
    byId("on").disabled = at === steps.length - 1;
    boxes.forEach((one) => one.show(steps[at]));
    present([truth, ...followers]).forEach((one) => one.mark(steps[at]));
  }
  goTo = (step) => show(nearestIndex(steps, step));

  function choose(number) {
    const { question, true_texts, runs } = live.question.questions[number];
    byId("asked").textContent = question;
    byId("truth").textContent = true_texts.join(" / ") || "there is none in this text";
    steps = [...new Set(runs.flatMap((film) => film.steps))].sort((a, b) => a - b);
    slider.max = steps.length - 1;
    boxes = runs.map((film, run) => runBox(run, film));
    byId("runs").replaceChildren(...boxes.map(({ box }) => box));
    boxes.forEach((one) => one.showTruth());
    const curves = runs.map((film) => asPercent({ steps: film.steps, values: film.true_probability }));
    if (truth === null) truth = chart(svg, curves, { range: [steps[0], steps[steps.length - 1]], onStep: goTo });
    else truth.set(present(curves.map(lineOf)));
    const turned = runs.find((film) => film.turned) || runs[0];
    show(nearestIndex(steps, turned.opening));
  }

  live.question.questions.forEach(({ question, about }, i) => byId("which").append(new Option(`${question} (${about})`, i)));
  byId("which").addEventListener("change", () => choose(Number(byId("which").value)));
  slider.addEventListener("input", () => show(Number(slider.value)));
  byId("back").addEventListener("click", () => show(Number(slider.value) - 1));
  byId("on").addEventListener("click", () => show(Number(slider.value) + 1));
  choose(0);
}
if (live.question) questionView();
