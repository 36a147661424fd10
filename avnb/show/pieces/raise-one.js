// An order and a dose, and where the organisms raised so lie between seeing and hearing.

const told = dose => `${+(100 * dose).toFixed(1)} %`;
const [left, bottom, side] = [60, 340, 330];
const place = (run, size) => `translate(${left + run.sees * side} ${bottom - run.hears * side}) scale(${size})`;

start({order: data.orders[0], dose: "0"}, body => {
  const orders = choice("order", "What it learns first", Object.fromEntries(data.orders.map(order => [order, order])));
  const dose = slider("dose", "conflict in the last stage:", 0, data.doses.length - 1, i => told(data.doses[i]));
  const ticks = [0, 0.25, 0.5, 0.75, 1].flatMap(value => [
    drawing("line", {x1: left + value * side, x2: left + value * side, y1: bottom, y2: bottom - side, stroke: "currentColor", "stroke-opacity": 0.15}),
    drawing("line", {x1: left, x2: left + side, y1: bottom - value * side, y2: bottom - value * side, stroke: "currentColor", "stroke-opacity": 0.15}),
    drawing("text", {x: left + value * side, y: bottom + 16, "text-anchor": "middle"}, value),
    drawing("text", {x: left - 6, y: bottom - value * side + 4, "text-anchor": "end"}, value)]);
  const dots = data.runs.map(run => drawing("path", {class: "avnb-dot", d: data.marks[run.order].path,
    onclick: () => change({order: run.order, dose: data.doses.indexOf(run.dose)})}, drawing("title", {}, `${run.order}, ${told(run.dose)} conflict, run ${run.seed}: sees ${run.sees}, hears ${run.hears}`)));
  const plane = drawing("svg", {viewBox: "0 0 400 392", role: "img", class: "avnb-plane"}, ...ticks,
    drawing("text", {x: left + side / 2, y: 384, "text-anchor": "middle", style: "fill:var(--seen);font-weight:600"}, "says what it sees (fidelity)"),
    drawing("text", {x: 12, y: bottom - side / 2, "text-anchor": "middle", transform: `rotate(-90 12 ${bottom - side / 2})`, style: "fill:var(--heard);font-weight:600"}, "says what it hears (fidelity)"),
    ...dots);
  const numbers = element("div", {class: "avnb-numbers", tabindex: 0, role: "region", "aria-label": "The runs in numbers", "aria-live": "polite"});
  const key = element("p", {class: "avnb-key"}, ...Object.entries(data.marks).flatMap(([order, mark]) => [
    drawing("svg", {viewBox: "-1.4 -1.4 2.8 2.8", "aria-hidden": "true"}, drawing("path", {d: mark.path, style: `fill:${mark.colour}`})), order]));
  body.append(orders, dose, plane, key, numbers);

  return () => {
    const share = data.doses[state.dose];
    const chosen = data.runs.filter(run => run.order === state.order && run.dose === share);
    const measures = Object.keys(data.runs[0]).filter(name => !["order", "dose", "seed"].includes(name));
    dots.forEach((dot, i) => {
      const on = chosen.includes(data.runs[i]);
      const same = data.runs[i].order === state.order;
      dot.setAttribute("transform", place(data.runs[i], on ? 8 : 4.5));
      dot.setAttribute("style", `cursor:pointer;fill:${data.marks[data.runs[i].order].colour};fill-opacity:${on ? 1 : same ? 0.6 : 0.25}`);
    });
    const inFront = (_, i) => chosen.includes(data.runs[i]);
    plane.append(...dots.filter((dot, i) => !inFront(dot, i)), ...dots.filter(inFront));
    const mean = name => (chosen.reduce((sum, run) => sum + run[name], 0) / chosen.length).toFixed(2);
    plane.setAttribute("aria-label", `${data.runs.length} organisms, seeing against hearing. ${state.order}, ${told(share)} conflict: sees ${mean("sees")}, hears ${mean("hears")}`);
    numbers.replaceChildren(element("table", {},
      element("caption", {}, `${state.order}, ${told(share)} conflict: fidelity on ${data.clips} clips whose sound is swapped, except where named`),
      element("thead", {}, element("tr", {}, element("th", {scope: "col"}, "run"), ...measures.map(name => element("th", {scope: "col"}, name)))),
      element("tbody", {}, ...chosen.map(run => element("tr", {}, element("th", {scope: "row"}, run.seed), ...measures.map(name => element("td", {}, run[name].toFixed(2))))))));
  };
});
