"""The questions of the study, and what a question asks for.

>>> modalities_of(HEAR)
('audio',)
"""

import re

MODALITIES = ("audio", "video")
OTHER = {"audio": "video", "video": "audio"}

SEE = "Describe what you see."
HEAR = "Describe what you hear."
BOTH = "Describe what you see and hear."
QUESTIONS = (BOTH, SEE, HEAR)

MAX_NEW_TOKENS = 64  # where an answer is cut off

_ASKS = {"video": re.compile(r"\bsee\b", re.IGNORECASE), "audio": re.compile(r"\bhear\b", re.IGNORECASE)}


def modalities_of(question):
    """What a question asks for: "video" if it says "see", "audio" if it says "hear", as a tuple.

    Raises:
        ValueError: it says neither.

    Example:
        >>> modalities_of("Describe what you see and hear.")
        ('video', 'audio')
    """
    asked = tuple(modality for modality, word in _ASKS.items() if word.search(question))
    if not asked:
        raise ValueError(f'question {question!r} asks neither to see nor to hear; say "see", "hear" or both')
    return asked
