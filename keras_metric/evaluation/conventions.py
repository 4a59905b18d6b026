"""What other libraries divide by where they use our words: one ranking, three values of MAP@5.

    library                  map@k             precision@k        map@5 below   their words
    this one                 sum / min(k, R)   hits / k           0.28
    "pml"                    sum / R           hits / k           0.14          precision_at_1 is hit@1
    "sentence-transformers"  sum / min(k, R)   hits / k           0.28          accuracy@k is hit@k
    "oml"                    sum / hits        hits / min(k, R)   0.70          cmc is hit@k

`sum` is sum_{i<=k} rel_i precision@i, `hits` is sum_{i<=k} rel_i; "oml" says 0 where there are no hits. The example
is a query of R = 10 relevant items; of five items shown, the first and the last are relevant: sum = 1 + 2/5.

All other metrics mean the same in all of them, where they have them: `map@r`, `r_precision` and `mrr` are those of
"pml" with all neighbours (`k=None`; with a k, its MRR is `mrr@k` here); `mrr@k` and `ndcg@k` those of
"sentence-transformers".

What no convention changes: the query is left out by row; ties come in the order of the gallery (there: as the search
happens to give them, or by the text of their ids); queries with R = 0 are left out (there too, but "oml" counts them
as 1 if nothing was retrieved either, and "pml" holds labels as floats, so that classes beyond 2^24 merge); a k beyond
the gallery is NaN (there: cut short).

Versions compared: pytorch-metric-learning 2.9.0, sentence-transformers 6.2.0, open-metric-learning 4.0.0.
"""

import numpy as np

CONVENTIONS = ("keras-metric", "pml", "sentence-transformers", "oml")


def map_denominator(convention, k, counts, hits):
    """What `map@k` divides the sum of precisions by, (n,).

    Args:
        convention: one of `CONVENTIONS`.
        k: ranks that are looked at.
        counts: relevant items of each query, (n,).
        hits: relevant items among the first k, (n,).
    """
    if convention == "pml":
        return counts
    return np.maximum(hits, 1) if convention == "oml" else np.minimum(k, counts)


def precision_denominator(convention, k, counts):
    """What `precision@k` divides the hits by: a number or (n,)."""
    return np.minimum(k, counts) if convention == "oml" else k
