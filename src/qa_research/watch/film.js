// The film's data, and what one capture says: the answer, and the context's shading.

const film = JSON.parse(document.getElementById("film").textContent);
const lastCapture = film.steps.length - 1;
const hasTruth = film.parts[film.truth[0]] === "context";
const isMarked = (token) => hasTruth && token >= film.truth[0] && token <= film.truth[1];
const firstMarked = hasTruth ? film.truth[0] : null;

// The text of each token for people: the context's own characters, or else the word piece.
const tokenTexts = film.tokens.slice();
for (const [text, token] of film.segments) if (token !== null) tokenTexts[token] = text || film.tokens[token];

// Puts the context's text into `box`, with a frame around the true span. Returns the elements by token (undefined
// outside the context), and for each piece of text its token or the one before it, which underlining needs.
function renderContext(box) {
  const tokens = [];
  const pieces = [];
  const inWindow = film.segments.map(([, token]) => token !== null);
  const firstInside = inWindow.indexOf(true);
  const lastInside = inWindow.lastIndexOf(true);
  let frame = null;
  let before = -1;
  film.segments.forEach(([text, token], i) => {
    const piece = element("span", token === null ? "gap" : "token", text);
    if (token !== null) {
      piece.dataset.token = token;
      tokens[token] = piece;
      before = token;
    } else if (i < firstInside || i > lastInside) piece.className = "outside";
    if (hasTruth && token === film.truth[0]) frame = box.appendChild(element("span", "truth"));
    (frame || box).append(piece);
    if (token === film.truth[1]) frame = null;
    pieces.push({ piece, token, before });
  });
  return { tokens, pieces };
}

const textBox = byId("context");
textBox.classList.add("by-answer");
const context = film.attention && film.attention.steps.length ? renderWindow(textBox) : renderContext(textBox);
if (film.segments.length > 1 && textBox.querySelector(".outside")) {
  textBox.append(element("span", "outside", " (pale: outside the watched window)"));
}
let contextToken = null;

// All of the window in order: [CLS], the question, the context as written, [SEP]s. What is not of the context is shown
// only where it is needed: with attention.
function renderWindow(box) {
  const firstContext = film.parts.indexOf("context");
  let context = null;
  const extra = [];
  film.tokens.forEach((word, token) => {
    const part = film.parts[token];
    if (part === "context") {
      if (token === firstContext) context = renderContext(box);
      return;
    }
    const glued = part === "question" && word.startsWith("##");
    const piece = element("span", part === "question" ? "token asked" : "token asked special", glued ? word.slice(2) : word);
    piece.dataset.token = token;
    if (token && !glued) box.append(element("span", "gap asked", " "));
    box.append(piece);
    if (token + 1 === firstContext) box.append(element("span", "gap asked", "\n"));
    extra.push([token, piece]);
  });
  for (const [token, piece] of extra) context.tokens[token] = piece;
  return context;
}

function showContextToken(capture) {
  const outside = (row) => film[row][capture].reduce((sum, p, i) => (film.parts[i] === "context" ? sum : sum + p), 0);
  const [start, end] = [film.start[capture], film.end[capture]];
  byId("context-readout").textContent =
    start[0] === null
      ? "The logits of this step are not finite: there are no probabilities."
      : contextToken === null
        ? `Outside the context: start ${percent(outside("start"))}, end ${percent(outside("end"))}. Point at a word for its numbers.`
        : `“${tokenTexts[contextToken]}” (token ${contextToken}): starts here ${percent(start[contextToken])}, ends here ${percent(end[contextToken])}`;
}

function showContext(capture) {
  const { first, last, right } = film.answers[capture];
  context.tokens.forEach((piece, token) => {
    if (film.parts[token] !== "context") return;
    piece.style.setProperty("--s", shade(film.start[capture][token]).toFixed(3));
    piece.style.setProperty("--e", shade(film.end[capture][token]).toFixed(3));
  });
  for (const { piece, token, before } of context.pieces) {
    const inside = last > 0 && (token === null ? before >= first && before < last : token >= first && token <= last);
    piece.classList.toggle("given", inside);
    piece.classList.toggle("right", inside && right);
    piece.classList.toggle("wrong", inside && !right);
  }
  showContextToken(capture);
}

function showVerdict(capture) {
  const { text, right, rank } = film.answers[capture];
  byId("mark").hidden = film.asked;
  byId("mark").textContent = right ? "✓ right" : "✗ wrong";
  byId("mark").className = right ? "mark right" : "mark wrong";
  byId("answer").textContent = text || "no answer";
  const name = hasTruth ? "true span" : "true answer (none)";
  const truth = rank < 1
    ? `the ${name} is not allowed as an answer`
    : rank === 1 ? `it is the ${name}` : `the ${name} has rank ${rank}, with ${percent(film.true_probability[capture])}`;
  const given = film.answer_probability[capture];
  byId("chances").textContent = given === null
    ? "The logits of this step are not finite: there are no probabilities."
    : `probability ${percent(given)}${film.asked ? "" : `; ${truth}`}`;
}

const rightAt = (capture) => film.answers[capture].right;

// The charts over the training; `chartOf` makes one in an svg.
function makeCurves(chartOf) {
  const loss = chartOf("loss-chart", { most: largest, label: (value) => value });
  const truth = chartOf("truth-chart", { letters: "start".length, most: () => 1, label: (value) => `${Math.round(100 * value)} %` });
  return {
    draw() {
      loss.set(["start", "end"].map((row) => ({ style: row, steps: film.steps, values: film.loss[row], name: row })));
      truth.set([{ style: "true", steps: film.steps, values: film.true_probability }]);
    },
    show(capture) {
      const step = film.steps[capture];
      loss.mark(step);
      truth.mark(step);
      byId("loss-now").textContent = `(now ${decimal(film.loss.start[capture], 2)} and ${decimal(film.loss.end[capture], 2)})`;
      byId("truth-now").textContent = film.answers[capture].rank < 1 && film.answer_probability[capture] !== null ? "(not allowed as an answer)" : `(now ${percent(film.true_probability[capture])})`;
    },
  };
}
