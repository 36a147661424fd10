"""How much memory a model takes, from its configuration: weights, and keys and values of a clip.

>>> one = size_of("Qwen/Qwen2.5-Omni-7B")
>>> [round(gigabytes(one, precision), 1) for precision in BYTES]
[21.6, 12.2, 8.1]
"""

import json
from math import prod

from safetensors import safe_open

from avnb.models import asked, families

BYTES = {"bfloat16": 2, "8bit": 1, "4bit": 0.5625}  # a parameter; in 4 bit with its scale
_OVERHEAD = 1.2  # of what is computed beside the weights, over the weights alone
SECONDS = 10  # of the clip that is counted
_POSITIONS = 3_300  # of that clip in a model whose processor is not known


def size_of(name):
    """The `Checkpoint` of a published model, or one made from the configuration of a folder.

    Raises:
        ModelError: nothing is known of its size, because it is neither listed nor here.
    """
    wanted = asked.read(name).name
    for family in families.FAMILIES:
        for one in family.checkpoints:
            if one.name == wanted:
                return one
    folder = asked.folder(wanted)
    if folder is None or not (folder / "config.json").exists():
        raise asked.ModelError(
            f"the size of {wanted!r} is not known: it is not listed by `avnb models` and no folder with a config.json"
        )
    config = json.loads((folder / "config.json").read_text(encoding="utf8"))
    config = config.get("thinker_config", config)
    text = config.get("text_config", config)
    width = text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"]
    cache = 4 * text["num_hidden_layers"] * text.get("num_key_value_heads", text["num_attention_heads"]) * width
    kept = 2 * text["vocab_size"] * text["hidden_size"] / 1e9
    parameters = _n_parameters(folder) / 1e9
    return families.Checkpoint(wanted, parameters, text["num_hidden_layers"], kept, cache, _POSITIONS)


def _n_parameters(folder):
    """Those of the checkpoint in a folder; of a full Omni checkpoint, those of its thinker."""
    counts = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            counts |= {key: prod(weights.get_slice(key).get_shape()) for key in weights.keys()}  # noqa: SIM118
    thinker = {key: n for key, n in counts.items() if key.startswith("thinker.")}
    return sum((thinker or counts).values())


def weights(size, precision):
    """What the weights take alone (10^9 bytes); those that a quantisation leaves as they are stay in bfloat16.

    Args:
        size: a `Checkpoint`.
        precision: a key of `BYTES`.
    """
    return (size.parameters - size.kept) * BYTES[precision] + size.kept * BYTES["bfloat16"]


def cache(size, seconds=SECONDS):
    """What the keys and values of a clip take (10^9 bytes)."""
    return size.cache * size.positions * seconds / SECONDS / 1e9


def gigabytes(size, precision, seconds=SECONDS):
    """What a model takes while it answers about a clip (10^9 bytes): weights with what is computed beside them, and the
    keys and values of the clip.

    Args:
        size: a `Checkpoint`.
        precision: a key of `BYTES`.
        seconds: how long the clip is.
    """
    return _OVERHEAD * weights(size, precision) + cache(size, seconds)


def longest_clip(size, precision, free):
    """How many seconds of a clip fit into `free` gigabytes; 0 if the weights alone do not."""
    left = free - gigabytes(size, precision, 0)
    return max(0, int(left / (gigabytes(size, precision, 1) - gigabytes(size, precision, 0))))
