"""Sentence embedders by name: any model of the package sentence-transformers, from the hub or from a folder."""

from functools import cache

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
        raise AvnbError("an embedder needs sentence-transformers; pip install avnb[embed]") from error
    except (OSError, ValueError) as error:
        raise AvnbError(f"{name!r} is no sentence embedder that can be loaded ({error}); check the name") from error
    return lambda texts: model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
