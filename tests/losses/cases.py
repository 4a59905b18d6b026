"""One usual batch for every registered loss, so that a new loss is covered once it is registered."""

import numpy as np

from keras_metric import losses

DIMENSIONS = 8
LABELS = np.array([3, 3, 3, 5, 5, 9, 9, 9, 9, 1, 1, 4])

# Arguments for losses that have none without a default.
ARGUMENTS = {"matryoshka": {"loss": "nt_xent", "dims": (2, 8)}}

# Arguments unlike the defaults, to see them come back from a config.
UNUSUAL = {"margin": 0.35, "scale": 7.0, "temperature": 0.25, "averaging": "anchors", "swap": True}


def embedding_losses():
    """Short names of losses from class ids and embeddings (batch, dimensions)."""
    return [n for n, cls in losses.LOSSES.items() if issubclass(cls, losses.EmbeddingLoss)]


def make(name, **arguments):
    """The loss of a short name with its defaults."""
    return losses.get(name, **{**ARGUMENTS.get(name, {}), **arguments})


def kind_of(name):
    """`embedding`, `proxy`, `tower`, `pair` or `triplet`: what `y_pred` is."""
    cls = dict(losses.LOSSES.items())[name]
    if issubclass(cls, losses.EmbeddingLoss):
        return "embedding"
    module = cls.__module__.rpartition(".")[2]
    if module == "siamese_contrastive":
        return "pair"
    if module == "siamese_triplet":
        return "triplet"
    bases = {base.__name__ for base in cls.__mro__}
    return "proxy" if "ProxyLoss" in bases else "tower"


def batch(name, rows=12, seed=0):
    """`(y_true, y_pred)` of a usual batch."""
    rng = np.random.default_rng(seed)
    kind = kind_of(name)
    if kind == "embedding":
        return LABELS[:rows], rng.normal(size=(rows, DIMENSIONS)).astype("float32")
    if kind == "proxy":
        x = rng.uniform(-1, 1, size=(rows, 10 + (name == "ada_face"))).astype("float32")
        if name == "ada_face":
            x[:, -1] = rng.uniform(5, 30, size=rows)
        return LABELS[:rows], x
    if kind == "tower":
        y = (
            rng.uniform(0, 5, size=rows)
            if name in ("co_sent", "cosent", "cosine_regression")
            else np.arange(rows)
        )
        return y.astype("float32" if y.dtype.kind == "f" else y.dtype), rng.normal(
            size=(rows, 2, DIMENSIONS)
        ).astype("float32")
    if kind == "pair":
        return (np.arange(rows) % 2).astype("float32"), rng.uniform(0, 2, size=(rows, 1)).astype(
            "float32"
        )
    return np.zeros(rows, "float32"), rng.uniform(0, 2, size=(rows, 2)).astype("float32")
