// What every piece shares: its data, its state, which stands in the address of the page, and its controls.

const root = document.currentScript.parentElement;
const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
const state = {};
const controls = {};  // name of a part of the state -> {valid(value), follow()}
let draw = () => {};

function made(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

const element = (tag, attributes = {}, ...children) => made(document.createElement(tag), attributes, children);
const drawing = (tag, attributes = {}, ...children) =>
  made(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// One of several texts: a group of radio buttons. `options` maps values to texts.
function choice(name, legend, options) {
  const group = element("fieldset", {class: "avnb-choice"}, element("legend", {}, legend));
  const inputs = Object.entries(options).map(([value, text]) => {
    const input = element("input", {type: "radio", name: `${PIECE}-${name}`, value, onchange: () => change({[name]: value})});
    group.append(element("label", {}, input, element("span", {}, text)));
    return input;
  });
  controls[name] = {
    valid: value => value in options,
    follow: () => inputs.forEach(input => { input.checked = input.value === state[name]; }),
  };
  return group;
}

// A whole number from `min` to `max`; `told` puts it into words, for the page and for those who listen to it.
function slider(name, legend, min, max, told) {
  const input = element("input", {type: "range", min, max, step: 1, oninput: () => change({[name]: input.value})});
  const output = element("output");
  controls[name] = {
    valid: value => /^\d+$/.test(value) && +value >= min && +value <= max,
    follow: () => {
      input.value = state[name];
      output.textContent = told(+state[name]);
      input.setAttribute("aria-valuetext", output.textContent);
    },
  };
  return element("label", {class: "avnb-slider"}, element("span", {}, legend, " ", output), input);
}

const button = (text, press, attributes = {}) => element("button", {type: "button", onclick: press, ...attributes}, text);

// Which colour means what.
const key = () => Object.entries(data.words).flatMap(([kind, text]) =>
  [element("i", {class: "avnb-cell", "data-kind": kind}), text.replace("names ", "")]);

// What an answer goes by, in words and not by colour alone.
const tag = kind => element("span", {class: "avnb-kind", "data-kind": kind}, data.words[kind]);
const bubble = (who, answer) =>
  element("div", {class: "avnb-said", "data-kind": answer.kind}, who ? element("b", {}, who) : "", element("q", {}, answer.text), tag(answer.kind));

function change(part) {
  Object.assign(state, part);
  history.replaceState(history.state, "", `#${PIECE}?${new URLSearchParams(state)}`);
  follow();
}

function follow() {
  for (const control of Object.values(controls)) control.follow();
  draw();
}

function start(defaults, build) {
  const body = element("div", {class: "avnb-live"});
  const read = () => {
    const [name, query] = location.hash.slice(1).split("?");
    const given = name === PIECE ? Object.fromEntries(new URLSearchParams(query)) : {};
    for (const [part, value] of Object.entries(defaults)) {
      const fits = part in given && (!controls[part] || controls[part].valid(given[part]));
      state[part] = fits ? given[part] : value;
    }
    follow();
    return name === PIECE;
  };
  draw = build(body);
  root.append(body);
  root.classList.add("avnb-lives");
  if (read()) root.scrollIntoView();
  addEventListener("hashchange", () => { if (location.hash.startsWith(`#${PIECE}?`)) read(); });
}
