// Patching: how far the true answer leads the other question's at the patched step nearest to the shown one.

function patchingView() {
  const { steps, clean, corrupted, names, leads } = film.patching;
  const signed = (value) => (value < 0 ? "−" : "+") + decimal(Math.abs(value), 1);

  function row(name, lead, share) {
    const made = element("tr");
    const head = element("th", "", name);
    head.scope = "row";
    made.append(head, element("td", "number", signed(lead)), element("td", "number", share));
    return made;
  }

  return {
    show(step) {
      const at = nearestIndex(steps, step);
      const gap = clean[at] - corrupted[at];
      const share = (lead) => (gap > 0 ? `${Math.round((100 * (lead - corrupted[at])) / gap)} %` : "");
      byId("patching-leads").textContent = `At step ${steps[at]} the true answer leads by ${signed(clean[at])} where this question `
        + `is asked, and by ${signed(corrupted[at])} where the other one is.`;
      byId("patching").replaceChildren(...names.map((name, i) => row(name, leads[at][i], share(leads[at][i]))));
    },
  };
}
