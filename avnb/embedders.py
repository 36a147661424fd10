"""Sentence embedders: any model of the package sentence-transformers by its name, or a function of one's own."""

from functools import cache

import numpy as np

from avnb.errors import AvnbError


@cache
def embedder(name):
    """A function from texts to unit vectors, float32 [n, width].

    Args:
        name: of a model of sentence-transformers on the hub, or its folder.

    Raises:
        AvnbError: the package or the model is not there.
    """
    try:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(name), device="cpu")  # as on every other machine
    except ImportError as error:
        raise AvnbError(f"the embedder {name!r} needs sentence-transformers; pip install avnb[embed]") from error
    except (OSError, ValueError) as error:
        raise AvnbError(f"{name!r} is no sentence embedder that can be loaded ({error}); check the name") from error
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)


def unit_vectors(texts, embed):
    """Texts as vectors of length 1, float32 [n, width]; of zeros where the embedder gives zeros.

    Args:
        texts: n strings.
        embed: an embedder's name, or a function from a list of strings to an array [n, width].

    Raises:
        AvnbError: there is no such embedder, or what it gives has another shape.

    Example:
        >>> unit_vectors(["dog", "cats"], lambda texts: [[len(text), 0] for text in texts]).tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """
    texts = list(texts)
    vectors = np.asarray((embed if callable(embed) else embedder(embed))(texts), dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != len(texts):
        raise AvnbError(f"the embedder gave an array {list(vectors.shape)} for {len(texts)} texts; need [n, width]")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(norms == 0, 1, norms)
