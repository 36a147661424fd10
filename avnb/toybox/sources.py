"""The sound sources of the toybox world and the words that name them.

Every source can be seen (a picture in `drawings/`) and heard (a sound in `synthesis/`), independently of each other.
Here is only what is said about them, so that captions, tags and the event judge agree on one list.

    >>> from avnb.toybox.sources import SOURCES
    >>> SOURCES["dog"].family, SOURCES["dog"].heard[0]
    ('animals', 'a dog barking')
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One thing that can be seen and heard."""

    name: str  # the key used in manifests and tags
    family: str
    seen: tuple[str, ...]  # noun phrases for the picture, the most common first
    heard: tuple[str, ...]  # noun phrases for the sound, the most common first
    words: tuple[str, ...]  # words that, in any inflection, name this source and no other, in either kind of caption


def _source(name, family, seen, heard, words):
    return Source(name, family, tuple(seen.split(" | ")), tuple(heard.split(" | ")), tuple(words.split()))


SOURCES = {
    source.name: source
    for source in (
        _source("dog", "animals", "a dog | a puppy", "a dog barking | barking", "dog puppy bark"),
        _source("cat", "animals", "a cat | a kitten", "a cat meowing | meowing", "cat kitten meow"),
        _source("cow", "animals", "a cow", "a cow mooing | mooing", "cow moo"),
        _source("rooster", "animals", "a rooster", "a rooster crowing | crowing", "rooster crow"),
        _source("frog", "animals", "a frog", "a frog croaking | croaking", "frog croak"),
        _source("ambulance", "vehicles", "an ambulance", "a siren wailing | a wailing siren", "ambulance siren wail"),
        _source(
            "train",
            "vehicles",
            "a train | a locomotive",
            "a train whistle blowing | a chugging train",
            "train locomotive chug",
        ),
        _source("car", "vehicles", "a car", "a car honking | honking", "car honk"),
        _source(
            "helicopter", "vehicles", "a helicopter", "a helicopter whirring | whirring blades", "helicopter whir blade"
        ),
        _source("piano", "instruments", "a piano", "a piano melody | piano notes", "piano"),
        _source("guitar", "instruments", "a guitar", "a guitar strumming | strumming", "guitar strum"),
        _source("drum", "instruments", "a drum", "drumming | a drum beat", "drum"),
        _source(
            "trumpet", "instruments", "a trumpet", "a trumpet fanfare | a trumpet blaring", "trumpet fanfare blare"
        ),
        _source("bell", "instruments", "a bell | a church bell", "a bell tolling | tolling", "bell toll"),
        _source("telephone", "household", "a telephone", "a telephone ringing | a ringing telephone", "telephone ring"),
        _source("clock", "household", "a clock", "a clock ticking | ticking", "clock tick"),
        _source("kettle", "household", "a kettle", "a kettle hissing | a hissing kettle", "kettle hiss"),
        _source(
            "vacuum",
            "household",
            "a vacuum cleaner",
            "a vacuum cleaner humming | a humming vacuum cleaner",
            "vacuum hum",
        ),
        _source("rain", "weather", "rain | falling rain", "rain pattering | pattering rain", "rain patter"),
        _source(
            "thunder",
            "weather",
            "a thunderstorm | lightning",
            "thunder rumbling | rumbling thunder",
            "thunder thunderstorm lightning rumble",
        ),
        _source(
            "wind", "weather", "trees in the wind | a windy tree", "wind howling | howling wind", "wind windy howl"
        ),
        _source("baby", "people", "a baby", "a baby crying | crying", "baby cry"),
        _source("singer", "people", "a singer | a woman singing", "a woman singing | singing", "singer woman sing"),
        _source(
            "audience",
            "people",
            "clapping hands | people clapping",
            "applause | people applauding",
            "applause applaud clap",
        ),
    )
}

FAMILIES = tuple(dict.fromkeys(source.family for source in SOURCES.values()))
