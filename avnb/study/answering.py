"""Work on clips that asks a model: what several pieces of it ask is answered as one tree."""

import contextlib
import logging

from avnb.errors import AvnbError
from avnb.models.shared import shared
from avnb.questions import MAX_NEW_TOKENS

MOST_CLIPS = 8  # at once; more would save little, and lose more when a run is killed
_POSITIONS = 4096  # of a prompt that is reckoned with

logger = logging.getLogger(__name__)


def answered(works) -> list:
    """What each piece of work gives, or the error that it ended in.

    Args:
        works: functions without arguments, in which models are asked.

    Example:
        >>> answered([lambda: 1, lambda: 1 / 0])
        [1, ZeroDivisionError('division by zero')]
    """
    from avnb.engine.branches import DeferredError, deferred

    done = {}
    with shared():
        try:
            with deferred():
                for i, work in enumerate(works):
                    with contextlib.suppress(DeferredError, AvnbError, ValueError):
                        done[i] = work()
        except Exception as error:  # for want of memory, say; below each tries by itself, and fails by itself
            logger.info("not answered together: %s", error)
        for i, work in enumerate(works):
            if i not in done:
                try:
                    done[i] = work()
                except Exception as error:
                    done[i] = error
    return [done[i] for i in range(len(works))]


def clips_at_once(model) -> int:
    """How many clips may be before a model at once, by the memory that is free for it.

    Example:
        >>> 1 <= clips_at_once(avnb.load("toy-omni")) <= 8
        True
    """
    from avnb.engine.memory import free_bytes
    from avnb.engine.needs import needs

    size = model.hf.get_output_embeddings().weight.element_size()
    each = needs(model.decoder.config, _POSITIONS, MAX_NEW_TOKENS, element_size=size).prompt
    return max(1, min(MOST_CLIPS, int(free_bytes(model.device) // each)))
