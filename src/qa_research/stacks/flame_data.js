// From the samples in the page to trees of calls, shares and their intervals.

const data = JSON.parse(byId("samples").textContent);
const frames = data.frames.map(([file, line, name, text]) => ({
  file: data.files[file], line, name: data.functions[name], text: data.texts[text],
}));
const wrappers = new Set(data.wrappers);
const stacks = unpacked(data.stacks);
// The outermost and the innermost frame of a stack stay.
const shortStacks = stacks.map((stack) => stack.filter(
  (frame, i) => i === 0 || i === stack.length - 1 || !wrappers.has(frame)));

// [0, 1, 2, 3], [2, 5, 6] -> [1, 2, 3], [1, 2, 5, 6].
function unpacked(packed) {
  let before = [];
  return packed.map(([common, ...rest]) => (before = before.slice(0, common).concat(rest)));
}

// What is chosen: no phases are all of them; `rank` is a place in data.ranks, or null.
const chosen = { phases: new Set(), rank: null, isWhole: false, text: "" };

function isShown([, phase, rank]) {
  return (!chosen.phases.size || chosen.phases.has(phase)) && (chosen.rank === null || rank === chosen.rank);
}

function makeCall(frame, parent) {
  return { frame, parent, count: 0, phases: new Map(), calls: new Map() };
}

function addTo(call, phase, count) {
  call.count += count;
  call.phases.set(phase, (call.phases.get(phase) ?? 0) + count);
}

// The calls of all samples that are shown.
function callTree() {
  const root = makeCall(null, null);
  const from = chosen.isWhole ? stacks : shortStacks;
  for (const seen of data.seen) {
    if (!isShown(seen)) continue;
    const [stack, phase, , count] = seen;
    let call = root;
    addTo(call, phase, count);
    for (const frame of from[stack]) {
      if (!call.calls.has(frame)) call.calls.set(frame, makeCall(frame, call));
      call = call.calls.get(frame);
      addTo(call, phase, count);
    }
  }
  return root;
}

// A call and those below it for as long as each makes only one, which has all of its samples.
function chainOf(call) {
  const chain = [call];
  if (chosen.isWhole) return chain;
  for (;;) {
    const last = chain[chain.length - 1];
    if (last.calls.size !== 1) return chain;
    const [below] = last.calls.values();
    if (below.count !== last.count) return chain;
    chain.push(below);
  }
}

function sorted(calls) {
  return [...calls.values()].sort((a, b) => b.count - a.count || a.frame - b.frame);
}

// The phase of all samples of a call, or null of several.
function phaseOf(call) {
  return call.phases.size === 1 ? call.phases.keys().next().value : null;
}

const searched = frames.map(({ name, file, text }) => [name, file, text].map((part) => part.toLowerCase()));

function matching(text) {
  const folded = text.toLowerCase();
  return new Set(frames.keys().filter((i) => searched[i].some((part) => part.includes(folded))));
}

// How many of the samples that are shown have one of these frames, and how many there are.
function countWith(hits) {
  const has = stacks.map((stack) => stack.some((frame) => hits.has(frame)));
  let [count, total] = [0, 0];
  for (const seen of data.seen) {
    if (!isShown(seen)) continue;
    total += seen[3];
    if (has[seen[0]]) count += seen[3];
  }
  return { count, total };
}

function countByPhase() {
  const counts = data.phases.map(() => 0);
  let total = 0;
  for (const [, phase, rank, count] of data.seen) {
    if (chosen.rank !== null && rank !== chosen.rank) continue;
    counts[phase] += count;
    total += count;
  }
  return { counts, total };
}

// `12.3 % [10.9, 13.8]`, with the interval of Clopper and Pearson.
function share(count, total) {
  const [low, high] = interval(count, total);
  return `${(100 * count / total).toFixed(1)} % [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}

// Its ends are quantiles of two beta distributions.
function interval(count, total) {
  const low = count === 0 ? 0 : quantile(0.025, count, total - count + 1);
  const high = count === total ? 1 : quantile(0.975, count + 1, total - count);
  return [low, high];
}

function quantile(p, a, b) {
  let [low, high] = [0, 1];
  for (let i = 0; i < 50; i += 1) {
    const middle = (low + high) / 2;
    if (incompleteBeta(middle, a, b) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// The regularised incomplete beta function, by its continued fraction (Press et al., Numerical Recipes, 6.4).
function incompleteBeta(x, a, b) {
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  let [c, d] = [1, 1 / (1 - (a + b) * x / (a + 1))];
  let fraction = d;
  for (let m = 1; m < 1000; m += 1) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d);
    c = 1 + even / c;
    fraction *= c * d;
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d);
    c = 1 + odd / c;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-12) break;
  }
  return front * fraction;
}

// Stirling's series, exact to 1e-10 from 10 on; smaller numbers are raised to there.
function logGamma(x) {
  let shift = 0;
  for (; x < 10; x += 1) shift -= Math.log(x);
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5);
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}
