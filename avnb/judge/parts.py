"""Which part of a caption is about what is seen, and which about what is heard.

1. A sentence or line with a word of hearing (hear, sound, audio ...) is about the sound, one with a word of seeing
   (see, video, shows ...) about the picture.
2. A sentence with both is divided at commas and at "and", "but", "while", "as", "with"; what then still holds both is
   about the sound, since "video" and "scene" also name the whole clip. "In the video" at its start does not count.
3. What holds neither goes on about what came before it; at the start of a divided sentence, about what follows.
4. Before the first such word of a caption, a sentence is about the sound if it names a sound ("barking"), otherwise
   about the picture. A caption without any such word is about the modality that is judged.
"""

import re

from avnb.text import stems
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


def says_nothing(caption, modality):
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


_PHRASES = {
    field: {stem for source in SOURCES.values() for phrase in getattr(source, field) for stem in stems(phrase)}
    for field in ("heard", "seen")
}
_SOUNDS = _PHRASES["heard"] - _PHRASES["seen"]


def _names_a_sound(text):
    return not _SOUNDS.isdisjoint(stems(text))
