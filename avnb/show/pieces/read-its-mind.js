// The sound as a picture, and under it what its positions would say after every layer.

const [width, height] = [400, 100];  // of the picture of the sound
const looks = {open: "with the picture", closed: "eyes closed"};
const [layers, moments, ranks] = data.clips[0].open.size;
const deep = Math.min(20, 200 / layers);  // the height of a layer
const colours = {heard: "var(--heard)", seen: "var(--seen)", both: "url(#read-its-mind-both)", neither: "none"};

// The rank of the first word that names what is seen or heard, -1 if none does.
const naming = words => words.findIndex(([,, kind]) => kind !== "neither");

start({clip: "0", eyes: "open", layer: String(layers - 1), moment: "0"}, body => {
  const clips = choice("clip", "Clip", Object.fromEntries(data.clips.map((clip, i) => [i, `${clip.seen} seen, ${clip.heard} heard`])));
  const eyes = choice("eyes", "It reads", looks);
  const layer = slider("layer", "after layer", 0, layers - 1, i => String(data.layers[i]));
  const moment = slider("moment", "at", 0, moments - 1, i => `${(data.clips[state.clip || 0].sound.seconds * (i + 0.5) / moments).toFixed(1)} s`);
  const video = element("video", {playsinline: "", preload: "metadata"});
  const play = button("Play, with sound", () => (video.paused ? video.play() : video.pause()));
  // While it plays the moment follows the sound; the address follows when it stops.
  const now = () => Math.min(moments - 1, Math.floor(video.currentTime / data.clips[state.clip].sound.seconds * moments));
  video.addEventListener("timeupdate", () => { if (!video.paused) { state.moment = String(now()); follow(); } });
  video.addEventListener("play", () => { play.textContent = "Pause"; });
  video.addEventListener("pause", () => { play.textContent = "Play, with sound"; change({moment: String(now())}); });

  const picture = drawing("image", {x: 0, y: 0, width, height, preserveAspectRatio: "none"});
  const head = drawing("rect", {y: 0, width: width / moments, height: height + layers * deep, fill: "none", stroke: "currentColor", "stroke-width": 1.5});
  const level = drawing("rect", {x: 0, width, height: deep, fill: "none", stroke: "currentColor", "stroke-width": 1.5});
  const cells = Array.from({length: layers}, (_, i) => Array.from({length: moments}, (_, j) =>
    drawing("rect", {x: j * width / moments, y: height + i * deep, width: width / moments - 0.5, height: deep - 1, stroke: "currentColor",
      "stroke-opacity": 0.2, "stroke-width": 0.5, "pointer-events": "all", style: "cursor:pointer", onclick: () => change({layer: i, moment: j})})));
  const both = drawing("linearGradient", {id: "read-its-mind-both"}, drawing("stop", {offset: "50%", "stop-color": "var(--seen)"}), drawing("stop", {offset: "50%", "stop-color": "var(--heard)"}));
  const map = drawing("svg", {viewBox: `0 0 ${width} ${height + layers * deep}`, role: "img"}, both, picture, ...cells.flat(), level, head);
  const words = element("p", {"aria-live": "polite"});
  body.append(element("div", {class: "avnb-stage"}, element("div", {}, video, element("p", {}, play)), element("div", {}, clips, eyes)),
    map, element("p", {class: "avnb-key"}, `Of the ${ranks} most probable words the first that names one of the two, the paler the less probable; layers from first (top) to last: `, ...key()), layer, moment, words);

  return () => {
    const clip = data.clips[state.clip];
    const read = clip[state.eyes];
    const at = (i, j) => read.words.slice((i * moments + j) * ranks, (i * moments + j + 1) * ranks);
    if (video.dataset.clip !== state.clip) {
      video.dataset.clip = state.clip;
      video.src = clip.src;
      video.poster = clip.poster;
      video.setAttribute("aria-label", `A clip that shows ${clip.seen} and sounds like ${clip.heard}`);
      picture.setAttribute("href", clip.sound.src);
    }
    cells.forEach((row, i) => row.forEach((cell, j) => {
      const rank = naming(at(i, j));
      cell.setAttribute("fill", rank < 0 ? "none" : colours[at(i, j)[rank][2]]);
      cell.setAttribute("fill-opacity", 1 - 0.8 * rank / ranks);
    }));
    head.setAttribute("x", state.moment * width / moments);
    level.setAttribute("y", height + state.layer * deep);
    const found = at(+state.layer, +state.moment);
    words.replaceChildren(`${looks[state.eyes]}, after layer ${data.layers[state.layer]}: `,
      ...found.flatMap(([token, probability, kind]) => [element("b", {class: "avnb-kind", "data-kind": kind}, token.trim() || "·"), ` ${(100 * probability).toFixed(0)} %  `]));
    const top = cells.flatMap((row, i) => row.map((_, j) => (at(i, j)[naming(at(i, j))] || [])[2]));
    const share = kind => Math.round(100 * top.filter(one => one === kind).length / top.length);
    map.setAttribute("aria-label", `${looks[state.eyes]}: at ${share("heard")} % of layers and moments the first word that names one of the two is of what is heard, at ${share("seen")} % of what is seen`);
  };
});
