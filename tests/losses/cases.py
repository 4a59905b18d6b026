"""One usual batch and the hard ones for every registered loss, so that a new loss is covered once it is registered."""

import numpy as np

from keras_metric import losses

DIMENSIONS = 8
CLASSES = 10
LABELS = np.array([3, 3, 3, 5, 5, 9, 9, 9, 9, 1, 1, 4])

# Arguments for losses that have none without a default.
ARGUMENTS = {"matryoshka": {"loss": "nt_xent", "dims": (2, 8)}}
GRADED = ("co_sent", "cosine_regression")


def embedding_losses():
    """Short names of losses from class ids and embeddings (batch, dimensions)."""
    return [name for name in losses.LOSSES.names() if kind_of(name) == "embedding"]


def make(short_name, /, **arguments):
    """The loss of a short name with its defaults."""
    return losses.get(short_name, **{**ARGUMENTS.get(short_name, {}), **arguments})


def kind_of(name):
    """`embedding`, `proxy`, `tower`, `pair` or `triplet`: what `y_pred` is."""
    cls = dict(losses.LOSSES.items())[name]
    for base, kind in (
        (losses.EmbeddingLoss, "embedding"),
        (losses.ProxyLoss, "proxy"),
        (losses.TowerLoss, "tower"),
        (losses.SiameseContrastiveLoss, "pair"),
        (losses.SiameseTripletLoss, "triplet"),
    ):
        if issubclass(cls, base):
            return kind
    raise LookupError(f"tests/losses/cases.py does not know what {name} takes")


def batch(name, rows=12, seed=0):
    """`(y_true, y_pred)` of a usual batch."""
    rng = np.random.default_rng(seed)
    kind = kind_of(name)
    if kind == "embedding":
        y, x = LABELS[:rows], rng.normal(size=(rows, DIMENSIONS))
    elif kind == "proxy":
        y, x = LABELS[:rows], with_norms(name, rng.uniform(-1, 1, size=(rows, CLASSES)))
    elif kind == "tower":
        y = rng.uniform(0, 5, size=rows).astype("float32") if name in GRADED else np.arange(rows)
        x = rng.normal(size=(rows, 2, DIMENSIONS))
    elif kind == "pair":
        y, x = (np.arange(rows) % 2).astype("float32"), rng.uniform(0, 2, size=(rows, 1))
    else:
        y, x = np.zeros(rows, "float32"), rng.uniform(0, 2, size=(rows, 2))
    return y, x.astype("float32")


def with_norms(name, cosines):
    """Cosines with a last column of norms, where a loss wants it."""
    if name != "ada_face":
        return cosines
    return np.concatenate([cosines, np.linspace(5, 30, len(cosines))[:, None]], axis=1)


def units(rng, rows=8):
    """Random rows of length 1."""
    x = rng.normal(size=(rows, DIMENSIONS))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def hard_embeddings():
    """Batches of embeddings on which careless formulas give NaN: name → (labels, embeddings)."""
    rng = np.random.default_rng(0)
    pairs = np.repeat(np.arange(4), 2)
    aligned = np.repeat(units(rng, 4), 2, axis=0)
    return {
        "aligned": (pairs, aligned),
        "opposite": (pairs, aligned * np.tile([1, -1], 4)[:, None]),
        "all equal": (pairs, np.repeat(units(rng, 1), 8, axis=0)),
        "all zero": (pairs, np.zeros((8, DIMENSIONS))),
        "some zero": (pairs, units(rng) * np.tile([0, 1], 4)[:, None]),
        "norm 1e4": (pairs, 1e4 * units(rng)),
        "norm 1e-6": (pairs, 1e-6 * units(rng)),
        "norms mixed": (pairs, units(rng) * np.logspace(-6, 4, 8)[:, None]),
        "one class": (np.zeros(8, int), units(rng)),
        "all singletons": (np.arange(8), units(rng)),
        "one row": (np.zeros(1, int), units(rng, 1)),
        "two rows, one class": (np.zeros(2, int), units(rng, 2)),
    }


def hard_batches(name):
    """The same for a loss of any kind: case → (y_true, y_pred)."""
    kind = kind_of(name)
    embeddings = hard_embeddings()
    if kind == "embedding":
        return embeddings
    if kind == "proxy":  # cosines to proxies, among them ±1 and 0
        rng = np.random.default_rng(0)
        proxies = np.concatenate([embeddings["aligned"][1][::2], units(rng, 6)])
        cases = {}
        for case, (labels, x) in embeddings.items():
            norms = np.linalg.norm(x, axis=1, keepdims=True)
            cosines = np.clip(x / np.where(norms > 0, norms, 1) @ proxies.T, -1, 1)
            last = [norms] if name == "ada_face" else []
            cases[case] = (labels, np.concatenate([cosines, *last], axis=1))
        return cases
    if kind == "tower":
        towers = {}
        for case, (labels, x) in embeddings.items():
            y = np.linspace(0, 1, len(x)) if name in GRADED else labels
            towers[case] = (y, np.stack([x, x[::-1]], axis=1))
            towers[f"{case}, twice"] = (y, np.stack([x, x], axis=1))
            towers[f"{case}, opposite"] = (y, np.stack([x, -x], axis=1))
        return towers
    width = 1 if kind == "pair" else 2
    distances = {"zero": 0.0, "huge": 1e4, "tiny": 1e-6, "at the margin": 1.0}
    return {c: (np.arange(4) % 2, np.full((4, width), d)) for c, d in distances.items()}
