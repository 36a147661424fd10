"""How alike captions are."""

from collections import Counter

import numpy as np

from avnb.errors import AvnbError
from avnb.text import content


class CurationError(AvnbError):
    """A set cannot be made from these clips: says why and what to do."""


def similarity(captions, embed=None):
    """How alike captions are: the cosine similarity of their embeddings.

    Args:
        captions: n strings.
        embed: a function from a list of strings to an array [n, width], such as `SentenceTransformer(...).encode`;
            default is TF-IDF over word stems, which needs no model and knows no synonyms.

    Returns:
        float64 [n, n]; a caption without a meaningful word has similarity 0 to all.

    Raises:
        CurationError: the embeddings do not have the shape [n, width].

    Example:
        >>> similarity(["A siren wails.", "A siren."])[0, 1].round(2)
        np.float64(0.58)
    """
    captions = list(captions)
    vectors = np.asarray((embed or _tf_idf)(captions), dtype=float)
    if vectors.ndim != 2 or len(vectors) != len(captions):
        raise CurationError(f"embed gave an array {list(vectors.shape)} for {len(captions)} captions; need [n, width]")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = vectors / np.where(norms == 0, 1, norms)
    return vectors @ vectors.T


def _tf_idf(texts):
    """Counts of word stems, weighted down by the number of texts that hold them: [n, n_stems]."""
    counts = [Counter(content(text)) for text in texts]
    columns = {stem: i for i, stem in enumerate(sorted(set().union(*counts)))}
    table = np.zeros((len(texts), len(columns)))
    for row, count in zip(table, counts, strict=True):
        for stem, n in count.items():
            row[columns[stem]] = n
    n_holding = (table > 0).sum(axis=0)
    return table * (np.log((1 + len(texts)) / (1 + n_holding)) + 1)
