"""Caption fidelity: which of a clip's known events a caption names, for one modality (offline, deterministic).

The event judge reads only what a caption says about one modality and compares the events that this part names, N, with
the events of the clip, E: value = |N & E| / |N | E| = matched / (matched + missed + invented), the Jaccard index. It is
1 only if every event is named and nothing else, and inventing an event never helps. Where nothing is to be named and
nothing is named, it is 1.

Which part is about which modality:

1. A sentence or line with a word of hearing (hear, sound, audio ...) is about the sound, one with a word of seeing
   (see, video, shows ...) about the picture.
2. A sentence with both is divided at commas and at "and", "but", "while", "as", "with"; what then still holds both is
   about the sound, since "video" and "scene" also name the whole clip. "In the video" at its start does not count.
3. What holds neither goes on about what came before it; at the start of a divided sentence, about what follows.
4. Before the first such word of a caption, a sentence is about the sound if it names a sound ("barking"), otherwise
   about the picture. A caption without any such word is about the modality that is judged.

Limits: the events are those of the toybox world, by the words of `toybox.sources`; negations are not understood ("I
hear no dog" names a dog). A clip without known events needs another judge.

    >>> clip = avnb.Clip("0", "0.mp4", seen=("dog",), heard=("bell", "rain"))
    >>> score("I see a dog. I hear a bell and a drum.", clip, "audio")
    Score(value=0.333..., matched=('bell',), missed=('rain',), invented=('drum',), modality='audio')
"""

import re
from dataclasses import dataclass

import snowballstemmer

from avnb.errors import AvnbError
from avnb.judge.words import mentioned
from avnb.toybox.sources import SOURCES

_CUES = {
    "audio": re.compile(r"\b(hear[sd]?|hearing|sound(s|ing)?|audio|audible|noises?|noisy|listen\w*|quiet|silen\w+)\b"),
    "video": re.compile(
        r"\b(see[ns]?|seeing|videos?|visible|visual\w*|show[ns]?|showing|scenes?|pictures?|images?|look(s|ing)?)\b"
    ),
}
_SENTENCE_END = re.compile(r"[.!?;\n]+")
_CLAUSE_END = re.compile(r",|\b(?:and|but|while|as|with)\b")
_WHOLE_CLIP = re.compile(r"^\W*in (?:the|this) (?:video|scene|picture|image)\b")
# How a caption says that nothing is there, and what else it may then hold: any other word names something.
_NOTHING = {
    "audio": re.compile(r"\b(nothing|quiet|silent|silence|no (audible )?(sounds?|audio|noises?))\b"),
    "video": re.compile(r"\b(nothing|empty|no (visible )?(pictures?|images?|videos?))\b"),
}
_FILLERS = re.compile(
    r"\b(a|all|an|any|at|audible|audio|be|can|clip|completely|entirely|hear|heard|here|i|in|is|it|of|picture|recording|scene|"
    r"see|seen|sounds?|special|the|there|this|to|total|video|visible)\b"
)
_STEMMER = snowballstemmer.stemmer("english")


class JudgeError(AvnbError):
    """A caption of this clip cannot be judged; names the clip, and says why and what to do."""


@dataclass(frozen=True)
class Score:
    """What a caption gets for one modality, with the events that explain it (names from `toybox.sources`)."""

    value: float  # fidelity in 0..1
    matched: tuple[str, ...]  # named and there
    missed: tuple[str, ...]  # there, not named
    invented: tuple[str, ...]  # named, not there
    modality: str  # "audio" or "video"


def score(caption, clip, modality):
    """The fidelity of a caption for one modality of a clip with known events.

    Args:
        caption: any text; what it says about the other modality is ignored (see the module).
        clip: a clip with `heard` or `seen` events; a mute clip holds no sound, whatever it lists.
        modality: "audio" or "video".

    Returns:
        `Score`; matched and missed in the order of the clip, invented in the order of `SOURCES`.

    Raises:
        JudgeError: the events of this modality are not known, or one of them has no words in `toybox.sources`.
        ValueError: another modality.

    Source: arXiv 2604.02605, caption fidelity (there judged by a language model).

    Example:
        >>> dog = avnb.Clip("0", "0.mp4", seen=("dog",), heard=("dog",))
        >>> score("The video shows a bell. There is the sound of a puppy.", dog, "audio").value
        1.0
    """
    there = events(clip, modality)
    named = mentioned(about(caption, modality))
    matched = tuple(event for event in there if event in named)
    missed = tuple(event for event in there if event not in named)
    invented = tuple(event for event in named if event not in there)
    n_events = len(matched) + len(missed) + len(invented)
    return Score(len(matched) / n_events if n_events else 1.0, matched, missed, invented, modality)


def about(caption, modality):
    """The part of a caption that is about one modality, in lower case, by the rules of the module.

    Example:
        >>> about("I see a dog and a cat, and I hear ringing. There is also a drum.", "audio")
        'i hear ringing. there is also a drum'
    """
    clauses = _clauses(caption.lower())
    first = next((i for i, (_, topic) in enumerate(clauses) if topic), None)
    parts, current = [], modality
    for i, (clause, topic) in enumerate(clauses):
        if first is not None and i < first:
            current = "audio" if _names_a_sound(clause) else "video"
        current = topic or current
        if current == modality:
            parts.append(clause)
    return ". ".join(parts)


def events(clip, modality):
    """The known events of one modality of a clip, which a caption is compared with.

    Args:
        clip: a clip; a mute one holds no sound, whatever it lists.
        modality: "audio" or "video".

    Returns:
        tuple of names, without repetition; empty if it is known that there are none.

    Raises:
        JudgeError, ValueError: as in `score`.

    Example:
        >>> events(avnb.Clip("0", "0.mp4", seen=("dog", "bell", "dog")), "video")
        ('dog', 'bell')
    """
    if modality not in _CUES:
        raise ValueError(f"modality {modality!r} is unknown; use one of {', '.join(_CUES)}")
    if modality == "audio" and clip.kind == "mute":
        return ()
    attribute = "heard" if modality == "audio" else "seen"
    names = tuple(dict.fromkeys(getattr(clip, attribute)))
    if unknown := [name for name in names if name not in SOURCES]:
        raise JudgeError(
            f"clip {clip.id}: the event judge has no words for {unknown[0]!r}; "
            "use names from avnb.toybox.sources.SOURCES"
        )
    # An empty list is either "nothing is there" or "nobody wrote it down"; only the first can be scored.
    captions = clip.audio_captions if modality == "audio" else clip.video_captions
    silent = all(_says_nothing(text.lower(), modality) for text in captions) if captions else clip.seen or clip.heard
    if not names and not silent:
        raise JudgeError(
            f"clip {clip.id} has no known {modality} events, which the event judge compares with; "
            f"set {attribute}=(...) or leave the clip out (reference captions alone need a language model as judge)"
        )
    return names


def _says_nothing(caption, modality):
    """Whether all of a caption says that nothing is there: "It is quiet.", but not "A quiet hum."."""
    rest, n_found = _NOTHING[modality].subn(" ", caption)
    return n_found > 0 and not re.search(r"\w", _FILLERS.sub(" ", rest))


def _clauses(text):
    """(clause, "audio", "video" or None) for each part of a text, in order."""
    clauses = []
    for sentence in filter(str.strip, _SENTENCE_END.split(text)):
        sentence = _WHOLE_CLIP.sub("", sentence).strip()
        if not all(cue.search(sentence) for cue in _CUES.values()):
            clauses.append((sentence, _topic(sentence)))
            continue
        parts = [part.strip() for part in _CLAUSE_END.split(sentence) if part.strip()]
        topics = [_topic(part) for part in parts]
        n_before = next((i for i, topic in enumerate(topics) if topic), 0)
        topics[:n_before] = [topics[n_before]] * n_before
        clauses += zip(parts, topics, strict=True)
    return clauses


def _topic(text):
    """The modality that the words of a text announce, or None; hearing goes before seeing."""
    return next((modality for modality, cue in _CUES.items() if cue.search(text)), None)


def _stems(text):
    return set(_STEMMER.stemWords(re.findall("[a-z]+", text)))


_SOUNDS = _stems(" ".join(phrase for source in SOURCES.values() for phrase in source.heard)) - _stems(
    " ".join(phrase for source in SOURCES.values() for phrase in source.seen)
)


def _names_a_sound(text):
    return not _SOUNDS.isdisjoint(_stems(text))
