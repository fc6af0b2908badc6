// An example's data, and what one capture says: the label or the number, and the text with its marked tokens.

const film = JSON.parse(document.getElementById("film").textContent);
const lastCapture = film.steps.length - 1;
const isMarked = (token) => film.marked.includes(token);
const firstMarked = film.marked.length ? film.marked[0] : null;
const tokenTexts = film.tokens.slice();
for (const [text, token] of film.segments) if (token !== null) tokenTexts[token] = text || film.tokens[token];

const textBox = byId("context");
textBox.classList.add("by-answer");
const context = renderExample(textBox);
let contextToken = null;

// The text as it is written; special tokens, which have no characters, stand where they are read, and are shown only
// where they are needed: with attention.
function renderExample(box) {
  const tokens = [];
  const add = (className, text, token) => {
    const piece = box.appendChild(element("span", className, text));
    if (token === null) return;
    piece.dataset.token = token;
    piece.classList.toggle("marked", isMarked(token));
    tokens[token] = piece;
  };
  const special = (upTo) => {
    for (let token = next; token < upTo; token += 1) if (!inText.has(token)) add("token asked special", ` ${film.tokens[token]} `, token);
    next = Math.max(next, upTo);
  };
  const inText = new Set(film.segments.map(([, token]) => token));
  let next = 0;
  for (const [text, token] of film.segments) {
    if (token !== null) special(token);
    add(token === null ? "gap" : "token", text, token);
  }
  special(film.tokens.length);
  return { tokens };
}

function showContextToken() {
  byId("context-readout").textContent = contextToken === null ? "" : `“${tokenTexts[contextToken]}” (token ${contextToken})`;
}

function showContext() {
  showContextToken();
}

function showVerdict(capture) {
  const { text, right } = film.answers[capture];
  byId("mark").hidden = right === null;
  byId("mark").textContent = right ? "✓ right" : "✗ wrong";
  byId("mark").className = right ? "mark right" : "mark wrong";
  byId("answer").textContent = text;
  const values = film.scores.map((row) => row[capture]);
  byId("chances").textContent = values.includes(null)
    ? "The outputs of this step are not finite."
    : film.says === "number"
      ? `true is ${decimal(film.true, 3)}: off by ${decimal(Math.abs(values[0] - film.true), 3)}`
      : film.rows.map((row, i) => `${row}${i === film.true ? " (true)" : ""} ${percent(values[i])}`).join(", ");
}

const rightAt = (capture) => film.answers[capture].right;

// The charts over the training; `chartOf` makes one in an svg.
function makeCurves(chartOf) {
  const isNumber = film.says === "number";
  const bar = isNumber ? { right: null, turn: null } : {};
  const range = ([{ values }]) => [...values, film.true].filter((value) => value !== null);
  const says = chartOf("says-chart", isNumber
    ? {
        ...bar,
        most: (series) => Math.max(0, ...range(series)) + 1e-3,
        least: (series) => Math.min(0, ...range(series)),
        label: (value) => value,
        level: { value: film.true, text: "true" },
      }
    : { most: () => 1, label: (value) => `${Math.round(100 * value)} %` });
  const loss = chartOf("loss-chart", { ...bar, most: largest, label: (value) => value });
  const style = (i) => (isNumber ? "start" : i === film.true ? "true" : "end");
  return {
    draw() {
      says.set(film.scores.map((values, i) => ({ style: style(i), steps: film.steps, values, name: isNumber ? undefined : film.rows[i] })));
      loss.set([{ style: "start", steps: film.steps, values: film.loss }]);
    },
    show(capture) {
      says.mark(film.steps[capture]);
      loss.mark(film.steps[capture]);
      const now = film.scores[isNumber ? 0 : film.true][capture];
      byId("says-now").textContent = isNumber ? `(now ${decimal(now, 3)})` : `(true one now ${percent(now)})`;
      byId("loss-now").textContent = `(now ${decimal(film.loss[capture], 3)})`;
    },
  };
}
