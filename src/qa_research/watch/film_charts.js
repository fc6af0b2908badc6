// Line charts over the training: drawn once for each size, then only their marker moves.

const MARGIN = { left: 44, right: 14, top: 18, bottom: 50 };

function niceTicks(most, wanted) {
  if (most <= 0) return [0];
  const raw = most / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const size = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw * 0.999);
  const ticks = [];
  for (let value = 0; value <= most * 1.0001; value += size) ticks.push(Number(value.toPrecision(12)));
  return ticks;
}

// `series`: [{name, values}] over `steps`; `most`: the scale's upper end; `label`: a tick's text.
// The x axis is the film's, even if the series has other captures. `onStep` receives a clicked step.
function lineChart(svg, { steps, most, label, bar, onStep }) {
  let series = [];
  let shownStep = film.steps[0];
  let x, y, width, height;
  const make = (name, attributes, text) => {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return svg.appendChild(made);
  };

  function draw() {
    svg.replaceChildren();
    [width, height] = [svg.clientWidth, svg.clientHeight];
    if (!width || !series.length) return;
    const [first, last] = [film.steps[0], film.steps[lastCapture]];
    const top = most(series);
    const bottom = height - MARGIN.bottom;
    x = (step) => MARGIN.left + ((step - first) / (last - first || 1)) * (width - MARGIN.left - MARGIN.right);
    y = (value) => bottom - (value / top) * (bottom - MARGIN.top);
    for (const value of niceTicks(top, height > 180 ? 4 : 3)) {
      make("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(value), y2: y(value) });
      make("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, label(value));
    }
    for (const step of new Set(niceTicks(last, width / 90).filter((s) => s >= first && Number.isInteger(s)))) {
      make("text", { x: x(step), y: height - 19, "text-anchor": "middle" }, step);
    }
    make("text", { x: (MARGIN.left + width - MARGIN.right) / 2, y: height - 3, "text-anchor": "middle" }, "optimizer step");
    if (bar) drawBar(bottom + 5);
    for (const { name, values } of series) {
      let path = "";
      let pen = "M";
      values.forEach((value, i) => {
        if (value !== null) path += `${pen}${x(steps[i]).toFixed(1)} ${y(Math.min(value, top)).toFixed(1)}`;
        pen = value === null ? "M" : "L";
      });
      make("path", { class: `line ${name}`, d: path });
    }
    mark(shownStep);
  }

  function drawBar(top) {
    const edge = (i) => x(film.steps[Math.min(i, lastCapture)]);
    for (let i = 0; i <= lastCapture; ) {
      let next = i;
      while (next <= lastCapture && film.answers[next].right === film.answers[i].right) next += 1;
      const right = film.answers[i].right;
      const size = Math.max(edge(next) - edge(i), 3);
      make("rect", { class: right ? "right-bar" : "wrong-bar", x: edge(i), y: right ? top : top + 4, width: size, height: right ? 8 : 4 });
      i = next;
    }
    const turn = film.settled || film.first_right;
    if (turn) {
      const at = x(film.steps[turn]);
      make("line", { class: "turn", x1: at, x2: at, y1: MARGIN.top - 4, y2: top + 8 });
      const anchor = at > width * 0.7 ? "end" : at < width * 0.2 ? "start" : "middle";
      const words = film.settled ? "right from step" : "first right at step";
      make("text", { class: "turn-text", x: at, y: MARGIN.top - 8, "text-anchor": anchor }, `${words} ${film.steps[turn]}`);
    }
  }

  function mark(step) {
    shownStep = step;
    svg.querySelectorAll(".now").forEach((old) => old.remove());
    if (!x) return;
    make("line", { class: "marker now", x1: x(step), x2: x(step), y1: MARGIN.top, y2: height - MARGIN.bottom + 3 });
    const i = nearestIndex(steps, step);
    for (const { name, values } of series) {
      if (values[i] !== null) make("circle", { class: `${name} now`, cx: x(steps[i]), cy: y(values[i]), r: 4.5 });
    }
  }

  const go = (event) => {
    const across = (event.clientX - svg.getBoundingClientRect().left - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
    onStep(film.steps[0] + across * (film.steps[lastCapture] - film.steps[0]));
  };
  svg.addEventListener("pointerdown", go);
  svg.addEventListener("pointermove", (event) => { if (event.buttons === 1) go(event); });
  new ResizeObserver(draw).observe(svg);
  return { set(values) { series = values; draw(); }, mark };
}

// Above the largest value, so that a line never runs along the frame.
function largest(series) {
  return Math.max(...series.flatMap(({ values }) => values.map((value) => value ?? 0)), 1e-3) * 1.04;
}
