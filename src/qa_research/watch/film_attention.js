// Attention: every head as a thumbnail, one head as a map, and what a token attends to as shading of the text.

// In pixels: what a token's name needs on the map's axes, and the most that a cell is large.
const NAME_SIZE = 9;
const MOST_CELL = 20;
const LONGEST_NAME = 11;
// A window of up to this many tokens has all of them named, and the map scrolls where there is no room for it.
const ALL_NAMED = 64;
const MOST_THUMBNAIL = 48;

const headName = (layer, head) => `layer ${layer}, head ${head}`;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function attentionView(onChoice) {
  const { steps, layers, heads, full, not_a_number: missing, captures } = film.attention;
  const n = film.tokens.length;
  const decoded = new Map();
  const chosen = { layer: film.attention.opening[0], head: film.attention.opening[1], capture: 0 };
  const selected = { query: firstMarked ?? 0, key: null };
  let pinned = selected.query;

  function bytesOf(capture) {
    if (!decoded.has(capture)) decoded.set(capture, Uint8Array.from(atob(captures[capture]), (letter) => letter.charCodeAt(0)));
    return decoded.get(capture);
  }

  function mapOf(layer, head) {
    const begin = (layer * heads + head) * n * n;
    return bytesOf(chosen.capture).subarray(begin, begin + n * n);
  }

  const weight = (byte) => (byte === missing ? NaN : (byte / full) ** 2);
  const pieceName = (token) => `“${tokenTexts[token]}” (token ${token})`;
  const map = attentionMap(selected, (query, pin) => {
    if (query === null) selected.query = pinned;
    if (pin) pinned = selected.query;
    show();
  });
  const overview = headOverview(layers, heads, mapOf, (layer, head) => choose(layer, head));
  const text = attentionText(selected, (token, pin) => {
    selected.query = token ?? pinned;
    selected.key = null;
    if (pin) pinned = token;
    show();
  });
  layers.forEach((layer, i) => byId("layer").append(new Option(layer, i)));
  for (let head = 0; head < heads; head += 1) byId("head").append(new Option(head, head));

  function show() {
    const { query, key } = selected;
    const bytes = mapOf(chosen.layer, chosen.head);
    const row = Array.from(bytes.subarray(query * n, (query + 1) * n), weight);
    text.show(row);
    map.draw(bytes, full, missing);
    const most = row.map((p, at) => [p, at]).filter(([p]) => p > 0).sort((a, b) => b[0] - a[0]).slice(0, 4);
    if (text.isShown()) {
      byId("context-readout").textContent = `${pieceName(query)} attends to `
        + (most.map(([p, at]) => `“${tokenTexts[at]}” ${percent(p)}`).join(", ") || "nothing: its weights are not numbers");
    }
    byId("map-readout").textContent = key === null
      ? `Outlined: from ${pieceName(query)}. Point at a cell for its weight.`
      : `From ${pieceName(query)} to ${pieceName(key)}: ${percent(row[key])}`;
  }

  function choose(layer, head) {
    [chosen.layer, chosen.head] = [layer, head];
    byId("layer").value = layer;
    byId("head").value = head;
    const name = headName(layers[layer], head);
    for (const place of document.querySelectorAll(".head-name")) place.textContent = name;
    overview.mark(layer, head);
    show();
    onChoice();
  }

  for (const name of ["layer", "head"]) {
    byId(name).addEventListener("change", () => choose(Number(byId("layer").value), Number(byId("head").value)));
  }
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { overview.draw(full, missing); show(); });
  return {
    // By number; a layer or head that was not recorded changes nothing.
    choose(layer, head) {
      const isHead = Number.isInteger(head) && head >= 0 && head < heads;
      choose(layers.includes(layer) ? layers.indexOf(layer) : chosen.layer, isHead ? head : chosen.head);
    },
    chosen: () => ({ layer: layers[chosen.layer], head: chosen.head }),
    text,
    show,
    showStep(step) {
      const before = chosen.capture;
      chosen.capture = nearestIndex(steps, step);
      const found = steps[chosen.capture];
      byId("attention-step").textContent = found === step ? `at step ${found}` : `at step ${found}, the nearest that is shown`;
      if (before !== chosen.capture || !overview.isDrawn()) overview.draw(full, missing);
      show();
    },
  };
}

// Weights as an image, `size` pixels a side, at most one for each token: a pixel has the largest weight of its tokens.
function weightImage(bytes, n, size, full, missing) {
  const pixels = new Uint8Array(size * size);
  const hasNumber = new Uint8Array(size * size);
  const place = Uint16Array.from({ length: n }, (_, token) => Math.floor((token * size) / n));
  for (let query = 0; query < n; query += 1) {
    const row = place[query] * size;
    for (let key = 0; key < n; key += 1) {
      const byte = bytes[query * n + key];
      if (byte === missing) continue;
      hasNumber[row + place[key]] = 1;
      if (byte > pixels[row + place[key]]) pixels[row + place[key]] = byte;
    }
  }
  const [r, g, b] = colour("--attention").split(" ").map(Number);
  const image = new ImageData(size, size);
  pixels.forEach((byte, i) => image.data.set(hasNumber[i] ? [r, g, b, (255 * byte) / full] : [128, 128, 128, 90], 4 * i));
  return image;
}

// A thumbnail of each head at the current step, a row for each layer.
function headOverview(layers, heads, mapOf, onClick) {
  const box = byId("heads");
  const n = film.tokens.length;
  const size = Math.min(n, MOST_THUMBNAIL);
  let isDrawn = false;
  box.style.gridTemplateColumns = `2.2em repeat(${heads}, minmax(0, 1fr))`;
  box.append(element("span"));
  for (let head = 0; head < heads; head += 1) box.append(element("span", "", head));
  const buttons = layers.map((layer, i) => {
    box.append(element("span", "", layer));
    return Array.from({ length: heads }, (_, head) => {
      const button = box.appendChild(element("button"));
      button.type = "button";
      button.title = headName(layer, head);
      button.setAttribute("aria-label", button.title);
      const canvas = button.appendChild(element("canvas"));
      canvas.width = canvas.height = size;
      button.addEventListener("click", () => onClick(i, head));
      return button;
    });
  });
  return {
    isDrawn: () => isDrawn,
    draw(full, missing) {
      isDrawn = true;
      buttons.forEach((row, layer) => row.forEach((button, head) => {
        button.firstChild.getContext("2d").putImageData(weightImage(mapOf(layer, head), n, size, full, missing), 0, 0);
      }));
    },
    mark(layer, head) {
      buttons.forEach((row, i) => row.forEach((button, j) => button.setAttribute("aria-pressed", i === layer && j === head)));
    },
  };
}

// The text's shading by what one token attends to; `onToken(token, pin)`, null to return to the pinned one.
function attentionText(selected, onToken) {
  const n = film.tokens.length;
  const isShown = () => textBox.classList.contains("by-attention");
  const tokenOf = (event) => (event.target.dataset?.token === undefined ? null : Number(event.target.dataset.token));
  textBox.addEventListener("pointerover", (event) => { if (isShown() && event.pointerType === "mouse" && tokenOf(event) !== null) onToken(tokenOf(event), false); });
  textBox.addEventListener("pointerleave", () => { if (isShown()) onToken(null, false); });
  textBox.addEventListener("click", (event) => { if (isShown() && tokenOf(event) !== null) onToken(tokenOf(event), true); });
  textBox.addEventListener("keydown", (event) => {
    const at = selected.query;
    const moves = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1, Home: 0, End: n - 1 };
    if (!isShown() || !(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    onToken(Math.min(Math.max(moves[event.key], 0), n - 1), true);
  });
  context.tokens.forEach((piece, token) => { piece.id = `piece-${token}`; });
  return {
    isShown,
    shade(byAttention) {
      textBox.classList.toggle("by-attention", byAttention);
      textBox.classList.toggle("by-answer", !byAttention);
      const set = (target, name, value) => (byAttention ? target.setAttribute(name, value) : target.removeAttribute(name));
      set(textBox, "tabindex", 0);
      set(textBox, "role", "listbox");
      set(textBox, "aria-label", "Tokens");
      context.tokens.forEach((piece) => set(piece, "role", "option"));
      byId("by-answer").setAttribute("aria-pressed", !byAttention);
      byId("by-attention").setAttribute("aria-pressed", byAttention);
      for (const item of document.querySelectorAll(".of-answer")) item.hidden = byAttention;
      for (const item of document.querySelectorAll(".of-attention")) item.hidden = !byAttention;
    },
    show(row) {
      context.tokens.forEach((piece, token) => {
        piece.style.setProperty("--a", shade(row[token]).toFixed(3));
        piece.classList.toggle("unknown", isShown() && Number.isNaN(row[token]));
        piece.classList.toggle("query", token === selected.query);
        if (isShown()) piece.setAttribute("aria-selected", token === selected.query);
      });
      if (isShown()) textBox.setAttribute("aria-activedescendant", `piece-${selected.query}`);
      else textBox.removeAttribute("aria-activedescendant");
    },
  };
}

// One head's map with tokens on its axes; `onCell(query, pin)`, null when the pointer leaves.
function attentionMap(selected, onCell) {
  const canvas = byId("map");
  const box = canvas.parentElement;
  const n = film.tokens.length;
  const names = tokenTexts.map((text) => ([...text].length > LONGEST_NAME ? `${[...text].slice(0, LONGEST_NAME - 1).join("")}…` : text));
  let drawn = null;
  let margin = 0;
  let cell = 0;
  const font = (bold, size) => `${bold ? "bold " : ""}${size}px system-ui, sans-serif`;

  // A row's height, the margin that the names take, and how many tokens share one name.
  function measure(pen) {
    const wide = (size) => { pen.font = font(true, size); return Math.max(...names.map((name) => pen.measureText(`${name} …`).width)) + 8; };
    const room = box.clientWidth;
    const least = n <= ALL_NAMED ? NAME_SIZE : 0;
    margin = Math.ceil(wide(NAME_SIZE));
    cell = Math.min(Math.max((room - margin) / n, least), MOST_CELL);
    const every = Math.ceil(NAME_SIZE / (cell + 0.01));
    const size = Math.min(Math.max(cell, NAME_SIZE), 12);
    if (every === 1 && size > NAME_SIZE) {
      margin = Math.ceil(wide(size));
      cell = Math.max((Math.min(room, margin + MOST_CELL * n) - margin) / n, least);
    }
    return { every, size: Math.min(size, Math.max(cell, NAME_SIZE)) };
  }

  // Those named on the axes: all, or every so many and always the true answer's first and the one that attends.
  function named(every) {
    const always = [selected.query, ...(selected.key === null ? [] : [selected.key]), ...(firstMarked === null ? [] : [firstMarked])];
    const isFree = (token) => always.every((other) => other === token || Math.abs(other - token) >= every);
    return film.tokens.map((_, token) => token).filter((token) => every === 1 || always.includes(token) || (token % every === 0 && isFree(token)));
  }

  function writeNames(pen, every, size) {
    pen.textBaseline = "middle";
    for (const token of named(every)) {
      const isTrue = isMarked(token);
      const place = margin + (token + 0.5) * cell;
      const text = every === 1 ? names[token] : `${names[token]} …`;
      const write = (isSelected, draw) => {
        pen.font = font(isTrue || isSelected, size);
        pen.fillStyle = colour(isTrue ? "--true" : isSelected ? "--ink" : "--soft");
        draw();
      };
      pen.textAlign = "right";
      write(token === selected.query, () => pen.fillText(text, margin - 5, place));
      pen.save();
      pen.translate(place, margin - 5);
      pen.rotate(-Math.PI / 2);
      pen.textAlign = "left";
      write(token === selected.key, () => pen.fillText(text, 0, 0));
      pen.restore();
    }
    const thinned = every === 1 ? "" : `Of the ${n} tokens about one in ${every} is named, and … stands for the others. `;
    byId("map-names").textContent = thinned + (margin + cell * n > box.clientWidth + 2 ? "Scroll the map sideways to see all of it." : "");
  }

  function draw() {
    if (!drawn || !box.clientWidth) return;
    const pen = canvas.getContext("2d");
    const { every, size } = measure(pen);
    const [side, whole] = [cell * n, margin + cell * n + 1];
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.height = Math.round(whole * ratio);
    canvas.style.width = canvas.style.height = `${whole}px`;
    pen.scale(ratio, ratio);
    const small = element("canvas");
    small.width = small.height = n;
    small.getContext("2d").putImageData(weightImage(drawn.bytes, n, n, drawn.full, drawn.missing), 0, 0);
    pen.imageSmoothingEnabled = false;
    pen.drawImage(small, margin, margin, side, side);
    pen.strokeStyle = colour("--line");
    pen.strokeRect(margin + 0.5, margin + 0.5, side - 1, side - 1);
    for (const [first, last] of partRuns()) for (const token of [first, last + 1]) {
      const place = margin + token * cell;
      pen.beginPath();
      pen.moveTo(place, margin); pen.lineTo(place, margin + side);
      pen.moveTo(margin, place); pen.lineTo(margin + side, place);
      pen.stroke();
    }
    writeNames(pen, every, size);
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 1.5;
    pen.strokeRect(margin, margin + selected.query * cell, side, cell);
    if (selected.key !== null) pen.strokeRect(margin + selected.key * cell, margin + selected.query * cell, cell, cell);
  }

  const pointAt = (event, pin) => {
    const area = canvas.getBoundingClientRect();
    const [column, row] = [event.clientX - area.left, event.clientY - area.top].map((at) => Math.floor((at - margin) / cell));
    if (column < 0 || row < 0 || column >= n || row >= n) return;
    [selected.query, selected.key] = [row, column];
    onCell(row, pin);
  };
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType === "mouse") pointAt(event, false); });
  canvas.addEventListener("click", (event) => pointAt(event, true));
  canvas.addEventListener("pointerleave", () => { selected.key = null; onCell(null, false); });
  new ResizeObserver(draw).observe(box);
  return { draw(bytes, full, missing) { drawn = { bytes, full, missing }; draw(); } };
}

// First and last token of each text, such as the question and the context.
function partRuns() {
  const texts = [...new Set(film.parts)].filter((part) => part !== "cls" && part !== "sep");
  return texts.map((part) => [film.parts.indexOf(part), film.parts.lastIndexOf(part)]);
}
