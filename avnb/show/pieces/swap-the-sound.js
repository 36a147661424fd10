// Any picture with any sound: a guess, then what the models say.

const events = Object.keys(data.clips);
const models = Object.keys(data.answers);
const named = Object.fromEntries(events.map(event => [event, event]));

start({picture: events[0], sound: events[1], shown: "no"}, body => {
  const opened = new Set();
  let guess = "";
  const video = element("video", {playsinline: "", loop: "", preload: "metadata"});
  video.muted = true;
  const sound = element("audio", {loop: "", preload: "metadata"});
  const play = button("Play, with sound", () => {
    if (video.paused) { sound.currentTime = video.currentTime = 0; video.play(); sound.play(); } else { video.pause(); sound.pause(); }
  });
  video.addEventListener("play", () => { play.textContent = "Pause"; });
  video.addEventListener("pause", () => { play.textContent = "Play, with sound"; });

  const pair = part => { guess = ""; change({...part, shown: state.shown === "all" ? "all" : "no"}); };
  const pictures = choice("picture", "Picture", named);
  const sounds = choice("sound", "Sound", named);
  for (const group of [pictures, sounds]) group.addEventListener("change", () => pair({}));
  controls.shown = {valid: value => ["no", "yes", "all"].includes(value), follow: () => {}};

  const ask = element("p");
  const guesses = element("p");
  const said = element("div", {"aria-live": "polite"});
  const all = button("Show all pairs", () => change({shown: state.shown === "all" ? "yes" : "all"}));
  const grids = models.map(model => {
    const cells = events.map(picture => events.map(other =>
      element("td", {class: "avnb-cell", onclick: () => pair({picture, sound: other})})));
    const head = element("tr", {}, element("td", {class: "none"}), ...events.map(event => element("th", {scope: "col"}, event)));
    const rows = cells.map((row, i) => element("tr", {}, element("th", {scope: "row"}, events[i]), ...row));
    return {model, cells, table: element("table", {class: "avnb-grid"}, element("caption", {}, model), element("thead", {}, head), element("tbody", {}, ...rows))};
  });
  const legend = element("p", {class: "avnb-key"}, "Rows are pictures, columns sounds. ", ...key());
  body.append(element("div", {class: "avnb-stage"}, element("div", {}, video, sound, element("p", {}, play)), element("div", {}, pictures, sounds)),
    ask, guesses, said, element("div", {class: "avnb-grids"}, ...grids.map(grid => grid.table)), legend, element("p", {}, all));

  return () => {
    const [row, column] = [events.indexOf(state.picture), events.indexOf(state.sound)];
    const playing = !video.paused;
    for (const [media, event] of [[video, state.picture], [sound, state.sound]]) {
      if (media.dataset.event !== event) {
        media.dataset.event = event;
        media.src = data.clips[event].src;
        if (media === video) { video.poster = data.clips[event].poster; video.setAttribute("aria-label", `A video of ${event}`); }
        if (playing) media.play();
      }
    }
    const open = state.shown !== "no";
    if (open) opened.add(`${row} ${column}`);
    ask.textContent = `Asked what it hears, what does ${models[0]} say?`;
    const options = [...new Set([state.picture, state.sound, "something else"])];
    guesses.hidden = open;
    guesses.replaceChildren(...options.flatMap(option => [button(option, () => { guess = option; change({shown: "yes"}); }), " "]));
    const truth = data.answers[models[0]][row][column];
    const right = {heard: [state.sound], seen: [state.picture], both: [state.picture, state.sound], neither: ["something else"]}[truth.kind];
    said.replaceChildren(...(open ? [
      ...(guess ? [element("p", {}, right.includes(guess) ? `You guessed ${guess}: right.` : `You guessed ${guess}: it names ${right.join(" and ")}.`)] : []),
      ...models.map(model => bubble(model, data.answers[model][row][column]))] : []));
    for (const {model, cells} of grids) {
      cells.forEach((line, i) => line.forEach((cell, j) => {
        const answer = data.answers[model][i][j];
        const visible = state.shown === "all" || opened.has(`${i} ${j}`);
        cell.dataset.kind = visible ? answer.kind : "";
        cell.classList.toggle("chosen", i === row && j === column);
        cell.title = visible ? answer.text : `picture of ${events[i]}, sound of ${events[j]}`;
      }));
    }
    all.textContent = state.shown === "all" ? "Hide the pairs not tried" : "Show all pairs";
  };
});
