"""Hard negatives that keep up with the encoder."""

import keras

from keras_metric import checks
from keras_metric.callbacks.embedding import embed_batches
from keras_metric.data.hard_negatives import HardNegatives

OWNER = "RefreshHardNegatives"


class RefreshHardNegatives(keras.callbacks.Callback):
    """Embeds the training set and finds its hard negatives anew every n epochs, for the dataset that `fit` trains on.

        train = keras_metric.data.hard_triplets(images, labels, rank_window=(1, 20), margin=0.0)
        model.fit(train, epochs=20, callbacks=[keras_metric.callbacks.RefreshHardNegatives(train, every=2)])

    Model and dataset stay as they are. The embeddings come from the layer named `encoder`, if the model has one, else
    from the model itself.

    Args:
        dataset: what `data.hard_triplets` or `data.hard_pairs` gave, or its attribute `hard_negatives`.
        every: refresh at the end of every so many epochs.
        at_start: whether to refresh before the first epoch as well. None: if there are no hard negatives yet.
        batch_size: of embedding.

    Raises:
        TypeError: for a dataset without hard negatives, such as one that was mapped afterwards.
    """

    def __init__(self, dataset, every=1, at_start=None, batch_size=256):
        super().__init__()
        self.hard_negatives = getattr(dataset, "hard_negatives", dataset)
        if not isinstance(self.hard_negatives, HardNegatives):
            raise TypeError(
                f"`dataset` of {OWNER} must be what data.hard_triplets or data.hard_pairs gave, or its attribute "
                f"hard_negatives. Received: {type(dataset).__name__}."
            )
        self.every = checks.whole(every, "every", OWNER)
        self.at_start = at_start
        self.batch_size = checks.whole(batch_size, "batch_size", OWNER)

    def on_train_begin(self, logs=None):
        """Refreshes if wanted at the start."""
        if self.hard_negatives.found is None if self.at_start is None else self.at_start:
            self.refresh()

    def on_epoch_end(self, epoch, logs=None):
        """Refreshes every n epochs."""
        if (epoch + 1) % self.every == 0:
            self.refresh()

    def refresh(self):
        """Embeds and searches now."""
        batches = self.hard_negatives.batches(self.batch_size).as_numpy_iterator()
        embeddings, rows = embed_batches(self.model, batches, OWNER)
        self.hard_negatives.update_rows(embeddings, rows)
