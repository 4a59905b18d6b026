"""The demo's data: scikit-learn's handwritten digits, and new classes made from them."""

import numpy as np

from keras_metric import extras
from keras_metric.cli.sources import Examples


def load():
    """1,797 scans of handwritten digits, 8 × 8 pixels of 0 to 16, float32 (N, 8, 8, 1)."""
    bundle = extras.require("sklearn.datasets", extra="evaluation").load_digits()
    x = bundle.images.astype("float32")[..., None]
    y = bundle.target.astype("int64")
    return Examples(x, y, [str(digit) for digit in range(10)], [f"row {i}" for i in range(len(x))])


def with_made_up_classes(x, y, seed, least=4):
    """The digits and many classes of shapes that are no digits.

    An encoder that sees seven classes learns what parts those seven and forgets the rest; hundreds of classes force
    it to look at shape as such, which is what unseen classes need. Made up are, each as a class of its own: every
    digit turned by 90, 180 and 270 degrees and mirrored (7 more for each digit), and every pair of digits joined
    at the horizontal or the vertical middle.

    Args:
        x: images (N, H, W, 1).
        y: digits (N,).
        seed: decides which images are joined.
        least: made-up classes with fewer images are left out.

    Returns:
        `(x, y)` of all classes; the digits keep their ids.
    """
    random = np.random.default_rng(seed)
    turned = [np.rot90(x, turns, axes=(1, 2)) for turns in range(4)]
    images = turned + [image[:, :, ::-1] for image in turned]
    labels = [y + 10 * number for number in range(8)]
    height, width = x.shape[1] // 2, x.shape[2] // 2
    for offset, halves in ((100, np.s_[:, height:]), (200, np.s_[:, :, width:])):
        other = random.permutation(len(x))
        joined = x.copy()
        joined[halves] = x[other][halves]
        differ = y != y[other]
        images.append(joined[differ])
        labels.append((offset + 10 * y + y[other])[differ])
    images, labels = np.concatenate(images), np.concatenate(labels)
    classes, counts = np.unique(labels, return_counts=True)
    kept = np.isin(labels, classes[counts >= least])
    return images[kept], labels[kept]
