// One head's attention: what a word piece attends to, as shading of the text and as a row of the map.

const MAP_MARGIN = 22;

function attentionView(onChoice) {
  const { steps, layers, heads, full, not_a_number: missing, captures } = film.attention;
  const n = film.tokens.length;
  const decoded = new Map();
  const box = byId("pieces");
  const canvas = byId("map");
  const chosen = { layer: film.attention.opening[0], head: film.attention.opening[1], capture: 0 };
  let query = hasTruth ? film.truth[0] : 0;
  let pointedKey = null;
  let pinned = query;

  layers.forEach((layer, i) => byId("layer").append(new Option(layer, i)));
  for (let head = 0; head < heads; head += 1) byId("head").append(new Option(head, head));
  const pieces = renderPieces(box);

  function bytesOf(capture) {
    if (!decoded.has(capture)) {
      const text = atob(captures[capture]);
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
      decoded.set(capture, bytes);
    }
    return decoded.get(capture);
  }

  function weights() {
    const begin = (chosen.layer * heads + chosen.head) * n * n;
    return bytesOf(chosen.capture).subarray(begin, begin + n * n);
  }

  const weight = (byte) => (byte === missing ? NaN : (byte / full) ** 2);

  function showRow() {
    const row = Array.from(weights().subarray(query * n, (query + 1) * n), weight);
    pieces.forEach((piece, key) => {
      piece.style.setProperty("--a", shade(row[key]).toFixed(3));
      piece.classList.toggle("unknown", Number.isNaN(row[key]));
      piece.classList.toggle("query", key === query);
      piece.setAttribute("aria-selected", key === query);
    });
    box.setAttribute("aria-activedescendant", pieces[query].id);
    const name = (token) => `“${tokenTexts[token]}”`;
    const most = row.map((p, key) => [p, key]).filter(([p]) => p > 0).sort((a, b) => b[0] - a[0]).slice(0, 4);
    byId("attention-readout").textContent = pointedKey === null
      ? `${name(query)} (token ${query}) attends to ` + (most.map(([p, key]) => `${name(key)} ${percent(p)}`).join(", ") || "nothing: its weights are not numbers")
      : `${name(query)} (token ${query}) attends to ${name(pointedKey)} (token ${pointedKey}): ${percent(row[pointedKey])}`;
  }

  function drawMap() {
    const size = canvas.clientWidth;
    if (!size) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(size * ratio);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [r, g, b] = colour("--attention").split(" ").map(Number);
    const image = new ImageData(n, n);
    weights().forEach((byte, i) => image.data.set(byte === missing ? [128, 128, 128, 90] : [r, g, b, (255 * byte) / full], 4 * i));
    const small = element("canvas");
    small.width = small.height = n;
    small.getContext("2d").putImageData(image, 0, 0);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const side = size - MAP_MARGIN;
    const cell = side / n;
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, MAP_MARGIN, MAP_MARGIN, side, side);
    pen.strokeStyle = colour("--line");
    pen.strokeRect(MAP_MARGIN + 0.5, MAP_MARGIN + 0.5, side - 1, side - 1);
    pen.fillStyle = colour("--soft");
    pen.font = "11px system-ui, sans-serif";
    for (const [part, first, last] of partRuns()) {
      const [begin, end] = [MAP_MARGIN + first * cell, MAP_MARGIN + (last + 1) * cell];
      for (const place of [begin, end]) {
        pen.beginPath();
        pen.moveTo(place, MAP_MARGIN - 5); pen.lineTo(place, size);
        pen.moveTo(MAP_MARGIN - 5, place); pen.lineTo(size, place);
        pen.stroke();
      }
      if (end - begin < pen.measureText(part).width) continue;
      pen.textAlign = "center";
      pen.fillText(part, (begin + end) / 2, MAP_MARGIN - 8);
      pen.save();
      pen.translate(MAP_MARGIN - 8, (begin + end) / 2);
      pen.rotate(-Math.PI / 2);
      pen.fillText(part, 0, 0);
      pen.restore();
    }
    if (hasTruth) {
      pen.strokeStyle = colour("--true");
      pen.lineWidth = 3;
      const [begin, length] = [MAP_MARGIN + film.truth[0] * cell, (film.truth[1] - film.truth[0] + 1) * cell];
      pen.beginPath();
      pen.moveTo(begin, MAP_MARGIN - 2); pen.lineTo(begin + length, MAP_MARGIN - 2);
      pen.moveTo(MAP_MARGIN - 2, begin); pen.lineTo(MAP_MARGIN - 2, begin + length);
      pen.stroke();
    }
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 1.5;
    pen.strokeRect(MAP_MARGIN, MAP_MARGIN + query * cell, side, cell);
    if (pointedKey !== null) pen.strokeRect(MAP_MARGIN + pointedKey * cell, MAP_MARGIN + query * cell, cell, cell);
  }

  function show() { showRow(); drawMap(); }

  function selectQuery(token, pin) {
    query = token;
    pointedKey = null;
    if (pin) pinned = token;
    show();
  }

  const tokenOf = (event) => event.target.dataset?.token;
  box.addEventListener("pointerover", (event) => { if (event.pointerType === "mouse" && tokenOf(event)) selectQuery(Number(tokenOf(event)), false); });
  box.addEventListener("pointerleave", () => { if (query !== pinned) selectQuery(pinned, false); });
  box.addEventListener("click", (event) => { if (tokenOf(event)) selectQuery(Number(tokenOf(event)), true); });
  box.addEventListener("keydown", (event) => {
    const moves = { ArrowLeft: query - 1, ArrowUp: query - 1, ArrowRight: query + 1, ArrowDown: query + 1, Home: 0, End: n - 1 };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    selectQuery(Math.min(Math.max(moves[event.key], 0), n - 1), true);
  });
  const pointAt = (event, pin) => {
    const area = canvas.getBoundingClientRect();
    const place = (at) => Math.floor(((at - MAP_MARGIN) / (area.width - MAP_MARGIN)) * n);
    const [column, row] = [place(event.clientX - area.left), place(event.clientY - area.top)];
    if (column < 0 || row < 0 || column >= n || row >= n) return;
    [query, pointedKey] = [row, column];
    if (pin) pinned = query;
    show();
  };
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") pointAt(event, false); });
  canvas.addEventListener("click", (event) => pointAt(event, true));
  canvas.addEventListener("pointerleave", () => selectQuery(pinned, false));
  for (const name of ["layer", "head"]) {
    byId(name).addEventListener("change", () => {
      chosen[name] = Number(byId(name).value);
      show();
      onChoice();
    });
  }
  new ResizeObserver(drawMap).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);

  return {
    // By number; a layer or head that was not recorded changes nothing.
    choose(layer, head) {
      if (layers.includes(layer)) chosen.layer = layers.indexOf(layer);
      if (Number.isInteger(head) && head >= 0 && head < heads) chosen.head = head;
      byId("layer").value = chosen.layer;
      byId("head").value = chosen.head;
    },
    chosen: () => ({ layer: layers[chosen.layer], head: chosen.head }),
    showStep(step) {
      chosen.capture = nearestIndex(steps, step);
      const found = steps[chosen.capture];
      byId("attention-step").textContent = found === step ? `at step ${found}` : `at step ${found}, the nearest that is shown`;
      show();
    },
  };
}

// All pieces of the window in order: [CLS], the question, the context as written, [SEP]s.
function renderPieces(box) {
  const pieces = [];
  const put = (token, text, className) => {
    const piece = box.appendChild(element("span", `token ${className}`, text));
    piece.dataset.token = token;
    pieces[token] = piece;
  };
  const firstContext = film.parts.indexOf("context");
  film.tokens.forEach((word, token) => {
    const part = film.parts[token];
    if (part === "context") {
      if (token === firstContext) for (const [i, piece] of renderContext(box).tokens.entries()) if (piece) pieces[i] = piece;
      return;
    }
    const glued = part === "question" && word.startsWith("##");
    if (token && !glued) box.append(element("span", "gap", " "));
    put(token, glued ? word.slice(2) : word, part === "question" ? "" : "special");
    if (token + 1 === firstContext) box.append(element("span", "gap", "\n"));
  });
  pieces.forEach((piece, token) => {
    piece.id = `piece-${token}`;
    piece.setAttribute("role", "option");
  });
  return pieces;
}

// The question and the context, which are named on the map: [part, first, last].
function partRuns() {
  const runs = [];
  film.parts.forEach((part, token) => {
    const latest = runs[runs.length - 1];
    if (latest && latest[0] === part) latest[2] = token;
    else runs.push([part, token, token]);
  });
  return runs.filter(([part]) => part === "question" || part === "context");
}
