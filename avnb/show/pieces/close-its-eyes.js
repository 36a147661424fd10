// One clip, one switch, one answer.

start({picture: "on"}, body => {
  const video = element("video", {playsinline: "", loop: "", preload: "metadata", src: data.clip.src, poster: data.clip.poster,
    "aria-label": `A clip that shows ${data.seen} and sounds like ${data.heard}`});
  const cover = element("div", {class: "avnb-cover"}, "No picture: only the sound");
  const play = button("Play, with sound", () => (video.paused ? video.play() : video.pause()));
  video.addEventListener("play", () => { play.textContent = "Pause"; });
  video.addEventListener("pause", () => { play.textContent = "Play, with sound"; });
  const flip = button("", () => change({picture: state.picture === "on" ? "off" : "on"}), {role: "switch"});
  const said = element("div", {"aria-live": "polite"});
  controls.picture = {valid: value => ["on", "off"].includes(value), follow: () => {}};
  body.append(element("div", {class: "avnb-stage"},
    element("div", {class: "avnb-screen"}, video, cover),
    element("div", {},
      element("p", {}, "The picture shows ", element("b", {class: "avnb-kind", "data-kind": "seen"}, data.seen.join(", ")), ", the sound is of ",
        element("b", {class: "avnb-kind", "data-kind": "heard"}, data.heard.join(", ")), ". Asked what it hears, the model says:"),
      said, element("p", {}, play, " ", flip))));
  return () => {
    const on = state.picture === "on";
    cover.hidden = on;
    flip.textContent = on ? "Picture: on" : "Picture: off";
    flip.setAttribute("aria-checked", on);
    said.replaceChildren(bubble("", data.answers[on ? 0 : 1]));
  };
});
