"""A set as people bring it: clips of the toybox with captions in free words, and no list of what is seen or heard."""

from dataclasses import replace

from avnb import datasets

# What somebody who does not know the grammar of the toybox might write: (of the picture, of the sound).
_FREE = {
    "dog": ("A small brown dog stands on the grass", "A dog barks several times in the distance"),
    "cat": ("A cat sits and looks around", "A kitten meows loudly, then again"),
    "cow": ("A spotted cow in a meadow", "A cow moos slowly"),
    "rooster": ("A colourful rooster on a farm", "A rooster crows at dawn"),
    "frog": ("A green frog close to the camera", "Frogs croak near some water"),
    "ambulance": ("An ambulance parked on the road", "An emergency siren wails and fades"),
    "train": ("A locomotive on its rails", "A train blows its whistle and chugs along"),
    "car": ("A parked car", "Someone honks a car horn twice"),
    "helicopter": ("A helicopter in the sky", "Helicopter blades whirring overhead"),
    "piano": ("An upright piano in a room", "Somebody plays a soft melody on the piano"),
    "guitar": ("An acoustic guitar", "A guitar is strummed gently"),
    "drum": ("A snare drum", "A steady drum roll"),
    "trumpet": ("A shiny trumpet", "A trumpet plays a short fanfare"),
    "bell": ("A large bronze bell", "A church bell tolls"),
    "telephone": ("An old telephone on a table", "A phone rings and nobody answers"),
    "clock": ("A round clock on the wall", "A clock ticks steadily"),
    "kettle": ("A kettle on a stove", "Steam hisses out of a kettle"),
    "vacuum": ("A vacuum cleaner on the floor", "The motor of a vacuum cleaner hums"),
    "rain": ("It is raining", "Rain patters on a roof"),
    "thunder": ("Dark clouds and lightning", "Thunder rumbles far away"),
    "wind": ("Trees bend in the wind", "Strong wind howls"),
    "baby": ("A baby in a cot", "An infant is crying"),
    "singer": ("A performer on a stage", "A woman sings a high note"),
    "audience": ("People clap their hands", "A crowd applauds and cheers"),
}


def _written(events, i):
    """One caption for some events."""
    return (" while ".join(_FREE[event][i] for event in events) + ".",) if events else ()


def clips(n, seed=0):
    """Clips of the toybox, half of them counterfactual, of which captions alone are known."""
    return [
        replace(
            clip,
            seen=(),
            heard=(),
            video_captions=_written(clip.seen, 0),
            audio_captions=_written(clip.heard, 1),
            # The picture of a counterfactual clip came with the sounds of what it shows.
            replaced_captions=_written(clip.seen, 1) if clip.kind == "counterfactual" else (),
        )
        for clip in datasets.load("toybox", n=n, seed=seed)
    ]


def manifest(path, n, seed=0, **changes):
    """Such a set on disk; `changes` are put into every clip, e.g. video_captions=()."""
    return datasets.save([replace(clip, **changes) for clip in clips(n, seed)], path)
