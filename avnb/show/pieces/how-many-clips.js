// Twenty readers draw n clips each: how far apart their means are, and how often an interval misses.

const sets = Object.keys(data.values);
const READERS = 20;
const RESAMPLES = 1000;

// Random numbers in [0, 1) that are the same in every browser (mulberry32).
function numbers(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const mean = values => values.reduce((sum, value) => sum + value, 0) / values.length;
const some = (values, n, random) => Array.from({length: n}, () => values[Math.floor(random() * values.length)]);

// The mean of n drawn values with the 95 % interval of a percentile bootstrap.
function drawn(values, n, seed) {
  const random = numbers(seed);
  const sample = some(values, n, random);
  const means = Array.from({length: RESAMPLES}, () => mean(some(sample, n, random))).sort((a, b) => a - b);
  return {mean: mean(sample), low: means[Math.floor(0.025 * RESAMPLES)], high: means[Math.ceil(0.975 * RESAMPLES) - 1]};
}

start({what: sets[0], n: "8", draw: "1"}, body => {
  const most = Math.max(...sets.map(name => data.values[name].length));
  const what = choice("what", "What is measured", Object.fromEntries(sets.map(name => [name, name])));
  const n = slider("n", "clips that each reader draws:", 2, most, String);
  const again = button("Draw again", () => change({draw: +state.draw % 999 + 1}));
  controls.draw = {valid: value => /^\d{1,3}$/.test(value), follow: () => {}};
  const plot = drawing("svg", {viewBox: "0 0 400 262", role: "img", class: "avnb-plane"});
  const told = element("p", {"aria-live": "polite"});
  body.append(what, n, element("p", {}, again), plot, told);

  return () => {
    const values = data.values[state.what];
    const truth = mean(values);
    const readers = Array.from({length: READERS}, (_, i) => drawn(values, +state.n, 1000 * state.draw + i));
    const x = value => 10 + 380 * value;
    const misses = reader => reader.low > truth || reader.high < truth;
    plot.replaceChildren(
      ...[0, 0.2, 0.4, 0.6, 0.8, 1].flatMap(value => [
        drawing("line", {x1: x(value), x2: x(value), y1: 14, y2: 240, stroke: "currentColor", "stroke-opacity": 0.15}),
        drawing("text", {x: x(value), y: 256, "text-anchor": "middle"}, value)]),
      drawing("line", {x1: x(truth), x2: x(truth), y1: 14, y2: 240, stroke: "var(--heard)", "stroke-width": 2}),
      drawing("text", {x: x(truth), y: 10, "text-anchor": truth > 0.7 ? "end" : truth < 0.3 ? "start" : "middle"}, `${data.truth}: ${truth.toFixed(2)}`),
      ...readers.flatMap((reader, i) => {
        const [y, ink] = [24 + 11 * i, misses(reader) ? {stroke: "currentColor", "stroke-dasharray": "3 2"} : {stroke: "currentColor"}];
        return [drawing("line", {x1: x(reader.low), x2: x(reader.high), y1: y, y2: y, "stroke-width": 2, ...ink}),
          drawing("circle", {cx: x(reader.mean), cy: y, r: 3.5, fill: "currentColor"})];
      }));
    const means = readers.map(reader => reader.mean);
    const missed = readers.filter(misses).length;
    told.textContent = `With ${state.n} clips each, ${READERS} readers find means from ${Math.min(...means).toFixed(2)} to ` +
      `${Math.max(...means).toFixed(2)}; ${missed} of their ${READERS} intervals (dashed) miss ${truth.toFixed(2)}, the mean of ${data.truth}.`;
    plot.setAttribute("aria-label", told.textContent);
  };
});
