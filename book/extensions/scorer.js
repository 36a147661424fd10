// How results of a search are ranked: as Sphinx does, but first the chapter whose file name holds the word that is sought.
var Scorer = {
  score: ([page, , anchor, , score]) => {
    const sought = new URLSearchParams(window.location.search).get("q").toLowerCase().split(/\s+/);
    const subject = /^notebooks\/\d+_(\w+)/.exec(page);
    const found = subject && !anchor && sought.some((word) => subject[1].split("_").includes(word));
    return found ? score + 1000 : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
