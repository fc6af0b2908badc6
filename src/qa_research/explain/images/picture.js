// The picture: which segment is where, and what is painted in each view.

const explanation = JSON.parse(document.getElementById("explanation").textContent);
const byId = (id) => document.getElementById(id);
const { width, height, segments } = explanation;
const byNumber = [];
for (const segment of segments) byNumber[segment.number] = segment;

const labels = new Int32Array(width * height);
for (let i = 0, at = 0; i < explanation.runs.length; i += 2) {
  const end = at + explanation.runs[i + 1];
  labels.fill(explanation.runs[i], at, end);
  at = end;
}

const canvas = byId("canvas");
// Sharp on a dense screen, whatever the size of the picture.
const scale = Math.max(1, Math.ceil(1100 / Math.max(width, height)));
canvas.width = width * scale;
canvas.height = height * scale;
const pen = canvas.getContext("2d");

// Lines between pixels for which `inside` differs; beyond the picture is segment -1.
function borderOf(inside) {
  const at = (x, y) => inside(x < 0 || y < 0 || x === width || y === height ? -1 : labels[y * width + x]);
  const path = new Path2D();
  const line = (x1, y1, x2, y2) => {
    path.moveTo(x1 * scale, y1 * scale);
    path.lineTo(x2 * scale, y2 * scale);
  };
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      if (y < height && at(x, y) !== at(x - 1, y)) line(x, y, x, y + 1);
      if (x < width && at(x, y) !== at(x, y - 1)) line(x, y, x + 1, y);
    }
  }
  return path;
}

const allBorders = borderOf((label) => label);
const borders = new Map();
function borderOfSegment(number) {
  if (!borders.has(number)) borders.set(number, borderOf((label) => label === number));
  return borders.get(number);
}

function pixelsOf(image) {
  const sheet = new OffscreenCanvas(width, height).getContext("2d");
  sheet.drawImage(image, 0, 0);
  return sheet.getImageData(0, 0, width, height);
}

// The picture where `isOn(rank)`, and what replaced the segments everywhere else.
function composed(isOn) {
  const [on, off] = [pixelsOf(byId("pixels")), pixelsOf(byId("off"))];
  for (let i = 0; i < labels.length; i++) {
    if (isOn(byNumber[labels[i]].rank)) continue;
    for (let channel = 0; channel < 3; channel++) on.data[4 * i + channel] = off.data[4 * i + channel];
  }
  const sheet = new OffscreenCanvas(width, height);
  sheet.getContext("2d").putImageData(on, 0, 0);
  return sheet;
}

function stroke(path, colour, thickness) {
  pen.strokeStyle = colour;
  pen.lineWidth = thickness;
  pen.lineCap = "round";
  pen.stroke(path);
}

function paintNumbers() {
  stroke(allBorders, "rgb(16 20 24 / .55)", 3.5);
  stroke(allBorders, "#fff", 1.6);
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineJoin = "round";
  for (const { number, centre, room } of segments) {
    const text = String(number);
    const fits = Math.min(room[0] / (0.68 * text.length), room[1] / 1.15) * scale * 0.8;
    const size = Math.min(Math.max(fits, 11), 36);
    const [x, y] = [(centre[1] + 0.5) * scale, (centre[0] + 0.5) * scale];
    pen.font = `bold ${size}px system-ui, "DejaVu Sans", sans-serif`;
    pen.strokeStyle = "#101418";
    pen.lineWidth = 2 + size / 5;
    pen.strokeText(text, x, y);
    pen.fillStyle = "#fff";
    pen.fillText(text, x, y);
  }
}

// `view`: heat, picture, numbers, only or without; `k`: of the top segments; `chosen`: a number or null.
function paint({ view, k, chosen }) {
  const source = view === "heat" ? byId("heat")
    : view === "only" ? composed((rank) => rank <= k)
    : view === "without" ? composed((rank) => rank > k)
    : byId("pixels");
  pen.imageSmoothingEnabled = view !== "heat";
  pen.drawImage(source, 0, 0, canvas.width, canvas.height);
  if (view === "heat") stroke(allBorders, "rgb(255 255 255 / .75)", 1.4);
  if (view === "numbers") paintNumbers();
  if (chosen === null) return;
  const border = borderOfSegment(chosen);
  stroke(border, "#101418", 12);
  stroke(border, "#ffe14d", 6);
}

// The number of the segment under the pointer; null outside the picture.
function segmentAt(event) {
  const box = canvas.getBoundingClientRect();
  const x = Math.floor(((event.clientX - box.left) / box.width) * width);
  const y = Math.floor(((event.clientY - box.top) / box.height) * height);
  return x >= 0 && y >= 0 && x < width && y < height ? labels[y * width + x] : null;
}
