"""An encoder as a step of a scikit-learn pipeline. Loaded at first use: this module needs scikit-learn."""

import numpy as np
from keras import ops

from keras_metric import checks
from keras_metric.evaluation import rows
from keras_metric.extras import require
from keras_metric.models.encoders import encoder_of, with_texts

OWNER = "EmbeddingTransformer"

_base = require("sklearn.base", "evaluation")


class EmbeddingTransformer(_base.TransformerMixin, _base.BaseEstimator):
    """Turns inputs of an encoder into its embeddings, for example in front of a scikit-learn classifier.

        pipeline = make_pipeline(EmbeddingTransformer(encoder), SVC())
        cross_val_score(pipeline, images, labels)

    The encoder is trained already: `fit` does nothing, and clones share it. Pickled, as `n_jobs` does for its
    processes, the encoder goes along as a `.keras` file.

    Args:
        encoder: Keras model from inputs to embeddings (N, D), or its layer `encoder` if it has one; or any function
            of a batch.
        batch_size: rows that go through a Keras model at once.
    """

    def __init__(self, encoder, batch_size=32):
        self.encoder = encoder
        self.batch_size = batch_size

    def fit(self, x, y=None):
        """Does nothing: the encoder is trained already."""
        return self

    def transform(self, x):
        """Embeddings (N, D).

        Raises:
            ValueError: if the encoder is none, gives another rank, or values that are not finite.
        """
        checks.whole(self.batch_size, "batch_size", OWNER)
        if not callable(self.encoder):
            checks.fail("encoder", OWNER, "be a Keras model or a function", self.encoder)
        encoder = encoder_of(self.encoder)
        x = np.asarray(x) if isinstance(x, (list, tuple)) else x
        if hasattr(encoder, "predict"):
            embeddings = encoder.predict(with_texts(x), batch_size=self.batch_size, verbose=0)
        else:
            embeddings = ops.convert_to_numpy(encoder(x))
        return rows.as_matrix(embeddings, "output of the encoder", OWNER)

    def __sklearn_clone__(self):
        return type(self)(self.encoder, self.batch_size)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.three_d_array = True
        return tags
