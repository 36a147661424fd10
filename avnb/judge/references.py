"""Captions to compare with: what would be right to answer about a clip, and what its other modality would suggest."""

from avnb.media.clip import ClipError
from avnb.questions import modalities_of
from avnb.toybox.captions import Writer
from avnb.toybox.sources import SOURCES


def references(clip, question) -> dict:
    """The right answer to a question about one modality, and a distractor where one is known.

    Right is what is heard (of a question to hear), said as heard; the distractor is what is seen, said as heard too,
    where the two have nothing in common. A question to see has them the other way round. Of clips with other events
    than the toybox's, or none listed, the first reference caption is right; the distractor of what is heard is then the
    first caption of the sound that the picture came with (`Clip.replaced_captions`), and of what is seen there is none.

    Returns:
        dict: "right", and "distractor" if there is one.

    Raises:
        ClipError: the clip has neither known events nor a caption of what is asked for.
        ValueError: the question asks to see and to hear.

    Example:
        >>> clip = avnb.Clip("0", "", kind="counterfactual", seen=("dog",), heard=("bell",))
        >>> references(clip, "Describe what you hear.")
        {'right': 'I hear a bell tolling.', 'distractor': 'I hear a dog barking.'}
        >>> clip = avnb.Clip("0", "", audio_captions=("A saw cuts.",), replaced_captions=("A hen clucks.",))
        >>> references(clip, "Describe what you hear.")
        {'right': 'A saw cuts.', 'distractor': 'A hen clucks.'}
    """
    modality, *more = modalities_of(question)
    if more:
        raise ValueError(f"question {question!r} asks to see and to hear; ask for one, whose captions are compared")
    own, other = (clip.heard, clip.seen) if modality == "audio" else (clip.seen, clip.heard)
    if own and {*own, *other} <= SOURCES.keys():
        write = getattr(Writer(), modality)
        found = {"right": write(own)}
        return found | {"distractor": write(other)} if other and not {*own} & {*other} else found
    if not (captions := clip.captions(modality)):
        raise ClipError(f"{clip.id}: it has no known {modality} events and no {modality} caption; leave it out")
    replaced = clip.replaced_captions if modality == "audio" else ()
    found = {"right": captions[0]}
    return found | {"distractor": replaced[0]} if replaced and replaced[0] != captions[0] else found
