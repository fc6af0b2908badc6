"use strict";
// The numbers of the word, or of the cell, that is pointed at. All else works without this.

const data = JSON.parse(document.getElementById("data").textContent);
const readout = document.getElementById("readout");
const outputs = data.outputs;
const signed = (value) => (value === null ? "–" : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`);

function showWord(word) {
  for (const other of document.querySelectorAll(".word.pointed")) other.classList.remove("pointed");
  for (const other of document.querySelectorAll(`.word[data-word="${word}"]`)) other.classList.add("pointed");
  const shown = Object.entries(data.names).map(([method, name]) => {
    const values = outputs.map((output) => `${outputs.length > 1 ? `${output} ` : ""}${signed(data.methods[method][output][word])}`);
    return `${name}: ${values.join(", ")}`;
  });
  readout.textContent = `“${data.words[word]}”   ${shown.join("   ")}`;
}

function showCell(cell) {
  const row = cell.parentElement;
  const { method, output } = cell.closest("table").dataset;
  const word = row.sectionRowIndex;
  const place = cell.cellIndex - 1;
  const value = data.methods[method][output][place][word];
  readout.textContent = `“${data.words[word]}” at step ${data.steps[place]}: ${signed(value)} logits (${data.names[method]}, ${output})`;
}

for (const kind of ["pointerover", "click"]) {
  document.addEventListener(kind, ({ target }) => {
    if (target.dataset.word !== undefined) showWord(Number(target.dataset.word));
    else if (target.matches(".map td")) showCell(target);
  });
}
