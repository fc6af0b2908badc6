// What every page uses.

const byId = (id) => document.getElementById(id);

function percent(p) {
  if (p === null || p === undefined || Number.isNaN(p)) return "not a number";
  const value = 100 * p;
  if (value >= 99.95 || value === 0) return `${Math.round(value)} %`;
  return value >= 10 ? `${value.toFixed(0)} %` : value >= 0.1 ? `${value.toFixed(1)} %` : "< 0.1 %";
}

function decimal(value, digits) {
  return value === null ? "not a number" : value.toFixed(digits);
}

// The square root makes small probabilities visible; the legend's swatches use it too.
function shade(p) {
  return p === null || Number.isNaN(p) ? 0 : 0.8 * Math.sqrt(p);
}

function nearestIndex(steps, step) {
  let best = 0;
  steps.forEach((other, i) => {
    if (Math.abs(other - step) < Math.abs(steps[best] - step)) best = i;
  });
  return best;
}

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
