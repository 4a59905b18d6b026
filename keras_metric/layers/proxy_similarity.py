"""Learned class proxies and the cosines to them."""

import keras
from keras import ops

from keras_metric import checks
from keras_metric.layers.base import LAYERS
from keras_metric.tensors.numerics import as_float, row_norms, unit_rows

POOLINGS = ("max", "soft")


@LAYERS.register("proxy_similarity")
class ProxySimilarity(keras.layers.Layer):
    """Cosine of each embedding with each class's learned proxies: what proxy losses take.

        K = 1:            s_c = cos(x, p_c)
        pooling="max":    s_c = max_k cos(x, p_ck)                          (sub-centre ArcFace)
        pooling="soft":   s_c = Σ_k softmax_k(cos(x, p_ck) / γ) cos(x, p_ck)   (SoftTriple)

    Computes in float32 also under a mixed precision policy. `encoder` alone is what you evaluate and export; this
    layer stays behind.

    Args:
        num_classes: C, >= 1.
        centers_per_class: K, >= 1.
        pooling: `"max"` or `"soft"`, over the K centres of a class.
        gamma: γ of soft pooling, > 0.
        return_norms: whether a last column holds the norms of the embeddings, for `AdaFaceLoss`.
        learning_rate_multiplier: by how much faster than the rest the proxies learn, > 0; exact for SGD and for Adam.
            Proxies usually want 10 to 100.
        initializer: of the proxies; default: normal rows of length about 1.

    Call arguments:
        embeddings: (B, D); their length does not matter.

    Returns:
        Cosines (B, C), or (B, C + 1) with `return_norms`.

    References:
        Deng et al., "Sub-center ArcFace", ECCV 2020; Qian et al., "SoftTriple Loss: Deep Metric Learning Without
        Triplet Sampling", ICCV 2019, arXiv:1909.05235.
    """

    def __init__(
        self,
        num_classes,
        centers_per_class=1,
        pooling="max",
        gamma=0.1,
        return_norms=False,
        learning_rate_multiplier=1.0,
        initializer=None,
        **kwargs,
    ):
        super().__init__(autocast=False, **kwargs)
        owner = "ProxySimilarity"
        self.num_classes = checks.whole(num_classes, "num_classes", owner)
        self.centers_per_class = checks.whole(centers_per_class, "centers_per_class", owner)
        self.pooling = checks.choice(pooling, "pooling", owner, POOLINGS)
        self.gamma = checks.number(gamma, "gamma", owner, above=0)
        self.return_norms = bool(return_norms)
        self.learning_rate_multiplier = checks.number(
            learning_rate_multiplier, "learning_rate_multiplier", owner, above=0
        )
        self.initializer = keras.initializers.get(initializer) or _rows_of_length_one()

    def build(self, input_shape):
        """Creates `proxies` (C·K, D): the K centres of a class stand together."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "`embeddings` of ProxySimilarity must have the shape (batch, dimensions), dimensions known. "
                f"Received: shape {tuple(input_shape)}."
            )
        multiplier = self.learning_rate_multiplier
        self.proxies = self.add_weight(
            autocast=False,
            name="proxies",
            shape=(self.num_classes * self.centers_per_class, input_shape[-1]),
            initializer=lambda shape, dtype=None: self.initializer(shape, dtype=dtype) / multiplier,
        )

    def unit_proxies(self):
        """The proxies as rows of length 1, (C·K, D), as they are compared with."""
        stored = ops.convert_to_tensor(self.proxies)
        # The value is multiplier · stored, the gradient that of 1 · stored: a step of any optimiser on `stored` then
        # moves the value by multiplier times what it would without.
        scaled = stored + ops.stop_gradient((self.learning_rate_multiplier - 1.0) * stored)
        return unit_rows(scaled)

    def call(self, embeddings):
        """Cosines (B, C), and norms if wanted."""
        embeddings = as_float(embeddings)
        proxies = ops.cast(self.unit_proxies(), embeddings.dtype)
        cosines = ops.matmul(unit_rows(embeddings), ops.transpose(proxies))  # (B, C·K)
        if self.centers_per_class > 1:
            shape = (-1, self.num_classes, self.centers_per_class)
            cosines = self._pool(ops.reshape(cosines, shape))
        if self.return_norms:
            cosines = ops.concatenate([cosines, row_norms(embeddings)], axis=1)
        return cosines

    def _pool(self, cosines):
        if self.pooling == "max":
            return ops.max(cosines, axis=-1)
        return ops.sum(ops.softmax(cosines / self.gamma, axis=-1) * cosines, axis=-1)

    def compute_output_spec(self, embeddings):
        """Shape (B, C) or (B, C + 1)."""
        width = self.num_classes + int(self.return_norms)
        dtype = "float64" if embeddings.dtype == "float64" else "float32"
        return keras.KerasTensor((embeddings.shape[0], width), dtype=dtype)

    def get_config(self):
        """Constructor arguments."""
        own = {
            "num_classes": self.num_classes,
            "centers_per_class": self.centers_per_class,
            "pooling": self.pooling,
            "gamma": self.gamma,
            "return_norms": self.return_norms,
            "learning_rate_multiplier": self.learning_rate_multiplier,
            "initializer": keras.initializers.serialize(self.initializer),
        }
        return {**super().get_config(), **own}


def _rows_of_length_one():
    return keras.initializers.VarianceScaling(1.0, "fan_out", "untruncated_normal")
