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

// Series: [{style, steps, values, name}], each with steps of its own; `style`: the line's class; `name`: written
// beside the line's end, if given. `range`: first and last step of the x axis. `most`: the scale's upper end;
// `label`: a tick's text. `right`: [step, is right] of each capture, drawn as a bar below the chart;
// `turn`: {step, text} of a vertical line; `letters`: of the longest name in a chart beside this one, so that both have
// the same scale; `level`: {value, text} of a horizontal one. `onStep` receives a clicked step.
function lineChart(svg, { range, least = () => 0, most, label, right, turn, level, letters = 0, onStep }) {
  const [first, last] = range;
  let series = [];
  let shownStep = null;
  let x, y, width, height, edge;
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
    // 7 pixels a letter, for the names beside the lines' ends.
    const longest = Math.max(letters, ...series.map(({ name }) => (name ? name.length : 0)));
    edge = width - MARGIN.right - 7 * longest;
    const [low, top] = [least(series), most(series)];
    const bottom = height - MARGIN.bottom;
    x = (step) => MARGIN.left + ((step - first) / (last - first || 1)) * (edge - MARGIN.left);
    y = (value) => bottom - ((value - low) / (top - low)) * (bottom - MARGIN.top);
    const above = niceTicks(Math.max(top, -low), height > 180 ? 4 : 3);
    const ticks = low < 0 ? [...above.filter((value) => value > 0).map((value) => -value), ...above] : above;
    for (const value of ticks.filter((value) => value >= low && value <= top)) {
      make("line", { class: "grid", x1: MARGIN.left, x2: edge, y1: y(value), y2: y(value) });
      make("text", { x: MARGIN.left - 6, y: y(value) + 4, "text-anchor": "end" }, label(value));
    }
    for (const step of new Set(niceTicks(last, width / 90).filter((s) => s >= first && Number.isInteger(s)))) {
      make("text", { x: x(step), y: height - 19, "text-anchor": "middle" }, step);
    }
    make("text", { x: (MARGIN.left + edge) / 2, y: height - 3, "text-anchor": "middle" }, "optimizer step");
    if (right) drawBar(bottom + 5);
    if (turn) drawTurn(bottom + 5);
    if (level) {
      make("line", { class: "level", x1: MARGIN.left, x2: edge, y1: y(level.value), y2: y(level.value) });
      make("text", { x: edge, y: y(level.value) - 4, "text-anchor": "end" }, level.text);
    }
    for (const { style, steps, values } of series) {
      let path = "";
      let pen = "M";
      values.forEach((value, i) => {
        if (value !== null) path += `${pen}${x(steps[i]).toFixed(1)} ${y(Math.min(value, top)).toFixed(1)}`;
        pen = value === null ? "M" : "L";
      });
      make("path", { class: `line ${style}`, d: path });
      // A line of one point would not be seen.
      if (values.length === 1 && values[0] !== null) make("circle", { class: style, cx: x(steps[0]), cy: y(values[0]), r: 3.5 });
    }
    drawNames();
    mark(shownStep);
  }

  // Beside the lines' ends, 14 pixels apart: from the highest down, then up again from the axis.
  function drawNames() {
    const names = series
      .filter(({ name, values }) => name && values.some((value) => value !== null))
      .map(({ name, style, values, steps }) => {
        const end = values.findLastIndex((value) => value !== null);
        return { name, style, across: x(steps[end]) + 6, down: y(Math.min(values[end], most(series))) + 4 };
      })
      .sort((a, b) => a.down - b.down);
    let above = -Infinity;
    for (const one of names) above = one.down = Math.max(one.down, above + 14);
    let below = height - MARGIN.bottom + 18;
    for (const one of names.reverse()) {
      below = one.down = Math.min(one.down, below - 14);
      make("text", { class: `name ${one.style}`, x: one.across, y: one.down }, one.name);
    }
  }

  function drawBar(top) {
    const start = (i) => x(right[Math.min(i, right.length - 1)][0]);
    for (let i = 0; i < right.length; ) {
      let next = i;
      while (next < right.length && right[next][1] === right[i][1]) next += 1;
      const isRight = right[i][1];
      const size = Math.max(start(next) - start(i), 3);
      make("rect", { class: isRight ? "right-bar" : "wrong-bar", x: start(i), y: isRight ? top : top + 4, width: size, height: isRight ? 8 : 4 });
      i = next;
    }
  }

  function drawTurn(top) {
    const at = x(turn.step);
    make("line", { class: "turn", x1: at, x2: at, y1: MARGIN.top - 4, y2: top + 8 });
    const anchor = at > width * 0.7 ? "end" : at < width * 0.2 ? "start" : "middle";
    make("text", { class: "turn-text", x: at, y: MARGIN.top - 8, "text-anchor": anchor }, turn.text);
  }

  function mark(step) {
    shownStep = step;
    svg.querySelectorAll(".now").forEach((old) => old.remove());
    if (!x || step === null) return;
    make("line", { class: "marker now", x1: x(step), x2: x(step), y1: MARGIN.top, y2: height - MARGIN.bottom + 3 });
    for (const { style, steps, values } of series) {
      const i = nearestIndex(steps, Math.min(step, steps[steps.length - 1]));
      if (values[i] !== null) make("circle", { class: `${style} now`, cx: x(steps[i]), cy: y(values[i]), r: 4.5 });
    }
  }

  const go = (event) => {
    const across = (event.clientX - svg.getBoundingClientRect().left - MARGIN.left) / (edge - MARGIN.left);
    onStep(first + across * (last - first));
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
