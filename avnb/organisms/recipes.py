"""What the model organisms are trained on, stage by stage, and the doses of the last stage.

The order mirrors the real models: encoders, then a vision-language model, then audio-visual tuning from its weights.

    >>> RECIPES["toy-omni"].stages[-1].mix["conflict"], RECIPES["toy-omni-balanced"].stages[-1].mix["conflict"]
    (0.0, 0.5)
"""

import hashlib
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Stage:
    """One stage of training.

    Attributes:
        name: as it stands in the log.
        steps, batch_size: of the optimizers.
        learning_rate: of AdamW, with warm-up and cosine decay; Muon's is 2.5 times as high.
        mix: shares of the kinds of examples: "vision-language" (pictures, in the prompt of the vision-language base),
            "video" and "audio" (one modality alone), "aligned" (a clip whose sounds are all seen) and "conflict" (the
            picture of one clip with the sound of another that shares no source with it). Empty: the encoders are
            trained to tell sources; all other stages train the decoder alone.
        seed: of the order of the data.
        conflicting: sources that conflicting clips may hold; empty for all.
    """

    name: str
    steps: int
    learning_rate: float
    mix: dict[str, float]
    batch_size: int = 16
    seed: int = 0
    conflicting: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What an organism is trained on, in order.

    Attributes:
        stages: the stages; the first one of an organism without a pretrained decoder trains the encoders.
        n_clips: of the train split that are drawn, the same ones for all recipes.
        seed: of the initial weights.
        hears: False for an organism that is kept as a vision-language model, without its ears.
        family: "omni" (all is learnt) or "grafted" (a pretrained language model with the eyes and ears of toy-omni).
    """

    stages: tuple[Stage, ...]
    n_clips: int = 8000
    seed: int = 0
    hears: bool = True
    family: str = "omni"

    def shortened(self, steps, n_clips, batch_size):
        """The same recipe in miniature: at most this many steps a stage."""
        stages = tuple(replace(s, steps=min(steps, s.steps), batch_size=batch_size) for s in self.stages)
        return replace(self, stages=stages, n_clips=n_clips)

    def key(self, n_stages):
        """A name for the state after the first stages: recipes that begin alike share it."""
        return hashlib.sha256(repr((self.stages[:n_stages], self.n_clips, self.seed)).encode()).hexdigest()[:12]


ENCODERS = Stage("encoders", 1000, 1.5e-3, {}, batch_size=32)
VISION_LANGUAGE = Stage("vision-language", 1200, 1e-3, {"vision-language": 1.0})
AUDIO_LANGUAGE = Stage("audio-language", 1200, 1e-3, {"audio": 1.0})

# What the decoder has learnt before it meets pictures and sounds together.
ORDERS = {
    "vision first": (ENCODERS, VISION_LANGUAGE),
    "audio first": (ENCODERS, AUDIO_LANGUAGE),
    "from scratch": (ENCODERS,),
}
VIDEO_ALONE = 0.2  # share of the last stage's data: pictures alone, so that seeing is not forgotten
AUDIO_ALONE = 0.1  # and of sounds alone, unless another dose is asked for


def audio_visual(conflict=0.0, audio=AUDIO_ALONE, steps=800, learning_rate=4e-4, seed=0, conflicting=()):
    """The last stage with a dose: the shares of conflicting clips and of sounds alone in its data.

    Conflicting clips hold only sources of `conflicting`, if there are any.

    Raises:
        ValueError: the shares do not fit into 1.

    Example:
        >>> audio_visual(conflict=0.3).mix
        {'video': 0.2, 'audio': 0.1, 'aligned': 0.4, 'conflict': 0.3}
    """
    aligned = round(1 - VIDEO_ALONE - audio - conflict, 6)
    if min(conflict, audio, aligned) < 0:
        raise ValueError(
            f"conflict={conflict} and audio={audio} must be 0 or more, and at most {1 - VIDEO_ALONE} together"
        )
    mix = {"video": VIDEO_ALONE, "audio": audio, "aligned": aligned, "conflict": conflict}
    return Stage("audio-visual", steps, learning_rate, mix, seed=seed, conflicting=conflicting)


# Organisms with a pretrained decoder: thirty layers, so that the batches are small.
SMOL_VISION = Stage("vision-language", 300, 1e-3, {"vision-language": 1.0}, batch_size=12)


def smol_audio_visual(video, audio, aligned, conflict):
    """Their last stage, with these shares of its data."""
    mix = {"video": video, "audio": audio, "aligned": aligned, "conflict": conflict}
    return Stage("audio-visual", 250, 5e-4, mix, batch_size=12)


RECIPES = {
    "toy-vl": Recipe(ORDERS["vision first"], hears=False),
    "toy-omni": Recipe((*ORDERS["vision first"], audio_visual())),
    "toy-omni-balanced": Recipe((*ORDERS["vision first"], audio_visual(conflict=0.5))),
    "toy-omni-scratch": Recipe((*ORDERS["from scratch"], audio_visual())),
    "smol-vl": Recipe((SMOL_VISION,), n_clips=2500, hears=False, family="grafted"),
    "smol-omni": Recipe((SMOL_VISION, smol_audio_visual(0.25, 0.12, 0.63, 0.0)), n_clips=2500, family="grafted"),
    "smol-omni-balanced": Recipe(
        (SMOL_VISION, smol_audio_visual(0.2, 0.12, 0.18, 0.5)), n_clips=2500, family="grafted"
    ),
}
