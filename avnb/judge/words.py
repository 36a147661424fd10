"""The words that name an event, the events that a text names, and clips that have nothing in common."""

from avnb.text import content, stems
from avnb.toybox.sources import SOURCES


def words_of(event):
    """The words that name an event: those of the toybox if it knows the event, else the event's own name.

    Example:
        >>> words_of("bell"), words_of("chain saw")
        (('bell', 'toll'), ('chain saw',))
    """
    return SOURCES[event].words if event in SOURCES else (event,)


def world_of(clip):
    """The events that an answer about a clip can be found to name.

    In the toybox, and of a clip of which no event is listed, these are all its sources. What else a caption of another
    clip may name cannot be known, so that there only the clip's own events count.
    """
    own = tuple(dict.fromkeys((*clip.seen, *clip.heard)))
    return tuple(SOURCES) if set(own) <= SOURCES.keys() else own


def mentioned(text, world=tuple(SOURCES)):
    """The events of a world that a text names, by their picture or by their sound, in the order of the world.

    An event of the toybox is named by any of its words, another one by all words of its name together; inflections
    count.

    Example:
        >>> mentioned("There is a dog. I hear ringing.")
        ('dog', 'telephone')
        >>> mentioned("Chain saws are running.", ["dog", "chain saw"])
        ('chain saw',)
    """
    found = set(stems(text))
    return tuple(event for event in world if any(found.issuperset(some) for some in _spellings(event)))


def by_stem(names, words_of=words_of):
    """What a single word names: {stem: name}; of the words of a name, all that carry meaning."""
    named = {}
    for event in names:
        for word in words_of(event):
            for stem in content(word):
                named.setdefault(stem, event)
    return named


def sounds_like(other, clip):
    """Whether something is heard in another clip that is heard or seen in this one.

    The events of the clips say so; where one of them has none listed, the words of their captions.

    Example:
        >>> dog, bell = (avnb.Clip(name, "", audio_captions=(f"A {name}.",)) for name in ("dog", "bell"))
        >>> sounds_like(bell, dog), sounds_like(dog, dog)
        (False, True)
    """
    if _listed(clip) and _listed(other):
        return not {*clip.seen, *clip.heard}.isdisjoint(other.events("audio"))
    return not (_said(clip, "video") | _said(clip, "audio")).isdisjoint(_said(other, "audio"))


def share(clip, other):
    """Whether something is heard or seen in both of two clips, as in `sounds_like`."""
    if _listed(clip) and _listed(other):
        return not {*clip.seen, *clip.heard}.isdisjoint({*other.seen, *other.heard})
    a, b = (_said(one, "video") | _said(one, "audio") for one in (clip, other))
    return not a.isdisjoint(b)


def _spellings(event):
    """Sets of stems, of which one names the event if all of it is there."""
    return [set(stems(word)) for word in words_of(event)] if event in SOURCES else [set(content(event))]


def _listed(clip):
    return bool(clip.seen or clip.heard)


def _said(clip, modality):
    """Stems of all that is known of one modality of a clip."""
    texts = [*clip.captions(modality), *(word for event in clip.events(modality) for word in words_of(event))]
    return {stem for text in texts for stem in content(text)} - {"sound", "hear", "see", "video", "nois", "pictur"}
