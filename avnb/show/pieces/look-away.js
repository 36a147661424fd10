// A span of layers in which the answer may not look at something, and what it says then.

const size = data.edges.length - 1;  // blocks of layers, of which a span holds some
const first = block => data.edges[block];
const end = block => data.edges[block + 1] - 1;

start({clip: "0", block: Object.keys(data.cuts)[0], from: "0", to: String(size - 1)}, body => {
  const clips = choice("clip", "Clip", Object.fromEntries(data.clips.map((clip, i) => [i, `${clip.seen} seen, ${clip.heard} heard`])));
  const blocks = choice("block", "The answer may not look at", data.cuts);
  const from = slider("from", "from layer", 0, size - 1, first);
  const to = slider("to", "to layer", 0, size - 1, end);
  // The end that is pulled past the other takes it along.
  from.addEventListener("input", () => { if (+state.from > +state.to) change({to: state.from}); });
  to.addEventListener("input", () => { if (+state.to < +state.from) change({from: state.to}); });
  const video = element("video", {controls: "", playsinline: "", preload: "metadata"});
  const ruler = element("div", {class: "avnb-ruler", "aria-hidden": "true"}, ...Array.from({length: size}, (_, i) => element("span", {}, first(i))));
  const said = element("div", {"aria-live": "polite"});
  const bars = element("div");
  const cells = Array.from({length: size}, (_, i) => Array.from({length: size}, (_, j) =>
    element("td", j < i ? {class: "none"} : {class: "avnb-cell", onclick: () => change({from: i, to: j})})));
  const grid = element("table", {class: "avnb-grid"}, element("caption", {}, "Every span: from layer (row) to layer (column)"),
    element("thead", {}, element("tr", {}, element("td", {class: "none"}), ...cells.map((_, j) => element("th", {scope: "col"}, end(j))))),
    element("tbody", {}, ...cells.map((row, i) => element("tr", {}, element("th", {scope: "row"}, first(i)), ...row))));
  const count = element("p");
  body.append(clips, blocks,
    element("div", {class: "avnb-stage"}, video, element("div", {}, ruler, from, to)), said, bars, grid, element("p", {class: "avnb-key"}, ...key()), count);

  return () => {
    if (+state.from > +state.to) state.to = state.from;
    const clip = data.clips[state.clip];
    const spans = clip.cuts[state.block];
    const [start, stop] = [first(+state.from), end(+state.to)];
    const span = (i, j) => spans[`${first(i)}-${data.edges[j + 1]}`];
    const now = span(+state.from, +state.to);
    if (video.dataset.clip !== state.clip) {
      video.dataset.clip = state.clip;
      video.src = clip.src;
      video.poster = clip.poster;
      video.setAttribute("aria-label", `A clip that shows ${clip.seen} and sounds like ${clip.heard}`);
    }
    [...ruler.children].forEach((span, i) => span.classList.toggle("cut", i >= +state.from && i <= +state.to));
    said.replaceChildren(bubble("nothing blocked", clip.free), bubble(`${data.cuts[state.block]}, blocked in layers ${start} to ${stop}`, now));
    bars.replaceChildren(...changes(clip, spans, now));
    cells.forEach((row, i) => row.forEach((cell, j) => {
      if (j < i) return;
      const found = span(i, j);
      cell.dataset.kind = found.kind;
      cell.classList.toggle("chosen", i === +state.from && j === +state.to);
      cell.title = `layers ${first(i)} to ${end(j)}: ${found.text}`;
    }));
    const hearing = Object.values(spans).filter(found => found.kind === "heard").length;
    count.textContent = `Of ${Object.keys(spans).length} spans, ${hearing} make it name what is heard and not what is seen. ` +
      `The ${data.conditions} answers to this clip come from one prefill.`;
  };
});

// Two bars: how far the probability of the right caption and of the one of what is seen has moved, in nats.
function changes(clip, spans, now) {
  const all = Object.values(clip.cuts).flatMap(cut => Object.values(cut));
  const moved = (answer, quantity) => answer[quantity] - clip.free[quantity];
  const most = Math.max(1, ...all.flatMap(answer => ["right", "distractor"].map(quantity => Math.abs(moved(answer, quantity)))));
  return [["right", `“${clip.heard}” (heard)`, "--heard"], ["distractor", `“${clip.seen}” (seen)`, "--seen"]].map(([quantity, label, colour]) => {
    const change = moved(now, quantity);
    const [x, width] = [180 + Math.min(0, change) / most * 160, Math.abs(change) / most * 160];
    const text = `${change > 0 ? "+" : change < 0 ? "−" : ""}${Math.abs(change).toFixed(1)} nats`;
    return element("div", {}, element("small", {}, `${label}: ${text}`),
      drawing("svg", {viewBox: "0 0 360 14", role: "img", "aria-label": `${label}: ${text}`},
        drawing("line", {x1: 180, x2: 180, y1: 0, y2: 14, stroke: "currentColor"}),
        drawing("rect", {x, y: 2, width, height: 10, fill: `var(${colour})`})));
  });
}
