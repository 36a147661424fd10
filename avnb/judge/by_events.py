"""The event judge: which of a clip's known events a caption names, for one modality (offline, deterministic).

It reads only what a caption says about one modality (`parts.about`) and compares the events that this part names, N,
with the events of the clip, E: value = |N & E| / |N | E| = matched / (matched + missed + invented), the Jaccard index.
It is 1 only if every event is named and nothing else, and inventing an event never helps. Where nothing is to be named
and nothing is named, it is 1.

Words of the toybox's events are known; any other event is named by its own words. What is invented can be told within
the toybox alone: of other clips, only their own events are looked for (`words.world_of`). Negations are not understood
("I hear no dog" names a dog).
"""

from avnb.judge.parts import about, says_nothing
from avnb.judge.scored import Score
from avnb.judge.words import mentioned, words_of, world_of


class Events:
    """Judges clips whose events are listed."""

    name = "events"

    def check(self, clip, modality):
        """Why a caption of this clip cannot be judged; "" if it can."""
        listed = clip.events(modality)
        if listed or (modality == "audio" and clip.kind == "mute"):
            return ""
        # An empty list is either "nothing is there" or "nobody wrote it down"; only the first can be judged.
        captions = clip.captions(modality)
        silent = all(says_nothing(text.lower(), modality) for text in captions) if captions else clip.seen or clip.heard
        attribute = "heard" if modality == "audio" else "seen"
        return "" if silent else f"no {modality} events are known of it; set {attribute}=(...)"

    def holds(self, clip, modality):
        """The clip's events of a modality."""
        return clip.events(modality)

    def words_of(self, name):
        """The words that name an event."""
        return words_of(name)

    def score(self, answer, clip, modality):
        """The `Score` of an answer for one modality; matched and missed in the order of the clip."""
        if reason := self.check(clip, modality):
            return Score.unscored(reason)
        there = clip.events(modality)
        named = mentioned(about(answer, modality), world_of(clip))
        matched = tuple(event for event in there if event in named)
        missed = tuple(event for event in there if event not in named)
        invented = tuple(event for event in named if event not in there)
        n_events = len(matched) + len(missed) + len(invented)
        return Score(len(matched) / n_events if n_events else 1.0, matched, missed, invented)
