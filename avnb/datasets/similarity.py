"""How alike captions are."""

from collections import Counter

import numpy as np
from scipy import sparse

from avnb.embedders import unit_vectors
from avnb.errors import AvnbError
from avnb.text import content


class CurationError(AvnbError):
    """A set cannot be made from these clips: says why and what to do."""


def similarity(captions, embed=None):
    """How alike captions are: the cosine similarity of their embeddings.

    Args:
        captions: n strings.
        embed: a model of sentence-transformers, by its name on the hub or its folder; or a function from a list of
            strings to an array [n, width]. Default is TF-IDF over word stems, which needs no model and knows no
            synonyms.

    Returns:
        float64 [n, n]; a caption without a meaningful word has similarity 0 to all.

    Raises:
        AvnbError: there is no such embedder, or its embeddings do not have the shape [n, width].

    Example:
        >>> similarity(["A siren wails.", "A siren."])[0, 1].round(2)
        np.float64(0.58)
    """
    vectors = embedded(captions, embed)
    return products(vectors, vectors)


def embedded(captions, embed=None):
    """The unit vectors of captions, [n, width]; those of TF-IDF are sparse, so that many captions fit into memory."""
    captions = list(captions)
    return _tf_idf(captions) if embed is None else unit_vectors(captions, embed)


def products(some, others):
    """The similarity of unit vectors, float64 [n_some, n_others]."""
    found = some @ others.T
    return (found.toarray() if sparse.issparse(found) else found).astype(np.float64)


def _tf_idf(texts):
    """Counts of word stems, weighted down by the number of texts that hold them, as unit rows: sparse [n, n_stems]."""
    counts = [Counter(content(text)) for text in texts]
    columns = {stem: i for i, stem in enumerate(sorted(set().union(*counts)))}
    table = count_table(counts, columns)
    n_holding = np.bincount(table.indices, minlength=len(columns))
    table = table @ sparse.diags_array(np.log((1 + len(texts)) / (1 + n_holding)) + 1)
    table = sparse.csr_array(table)
    # Norms are those of full rows, to the last bit: between equally good donors, the toybox's clips hang on it.
    norms = [np.linalg.norm(table[i : i + 500].toarray(), axis=1) for i in range(0, len(texts), 500)]
    table.data /= np.repeat(np.concatenate(norms or [[]]), np.diff(table.indptr))
    return table


def count_table(counts, columns):
    """Counts {name: n} as a sparse table, a row for each, a column for each name."""
    rows = np.repeat(np.arange(len(counts)), [len(count) for count in counts])
    values = [n for count in counts for n in count.values()]
    where = [columns[name] for count in counts for name in count]
    return sparse.csr_array((np.array(values, float), (rows, where)), shape=(len(counts), len(columns)))
