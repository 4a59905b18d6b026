"""The pipelines of the data room in `fit`, as they are, on every backend."""

import keras
import numpy as np

from keras_metric import callbacks, data, layers, losses, models

RNG = np.random.default_rng(1)
Y = np.repeat(np.arange(6), 8)
X = RNG.normal(size=(6, 4))[Y].astype("float32") + 0.2 * RNG.normal(size=(48, 4)).astype("float32")


def encoder():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), layers.Normalize()])


def test_pk_batches_keep_one_shape():
    shapes = []

    class Watched(keras.layers.Layer):
        def call(self, inputs):
            shapes.append(tuple(inputs.shape))  # runs once for every trace
            return inputs

    model = keras.Sequential([Watched(), encoder()])
    jit = keras.backend.backend() != "torch"
    model.compile(keras.optimizers.Adam(0.05), losses.SupConLoss(), jit_compile=jit)
    batches = data.pk_batches(X, Y, 4, 2, seed=1)
    model.fit(batches, epochs=1, verbose=0)
    traced = len(shapes)
    history = model.fit(batches, epochs=3, verbose=0).history["loss"]
    assert set(shapes) <= {(8, 4), (None, 4)}
    if jit:
        assert len(shapes) == traced  # nothing is compiled again
    assert np.isfinite(history).all()


def test_pairs_with_siamese_pair():
    model = models.siamese_pair(encoder())
    model.compile(keras.optimizers.Adam(0.05), losses.SiameseContrastiveLoss())
    history = model.fit(data.pairs(X, Y, 12, seed=1), epochs=5, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_hard_triplets_are_refreshed():
    model = models.siamese_triplet(encoder())
    model.compile("adam", losses.SiameseTripletLoss())
    train = data.hard_triplets(X, Y, batch_size=12, rank_window=(0, 5), seed=1)
    model.fit(train, epochs=2, verbose=0, callbacks=[callbacks.RefreshHardNegatives(train)])
    assert train.hard_negatives.found == 48


def test_streams_and_views():
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(48, seed=1).repeat()
    model = encoder()
    model.compile("adam", losses.SupConLoss())
    batches = data.from_stream(stream, 3, 2, steps_per_epoch=6, seed=1)
    assert np.isfinite(model.fit(batches, epochs=2, verbose=0).history["loss"]).all()
    model.compile("adam", losses.NTXentLoss())
    plain = tf.data.Dataset.from_tensor_slices(X).batch(12)
    views = data.two_views(plain, lambda x: x + tf.random.normal(tf.shape(x), stddev=0.1))
    assert np.isfinite(model.fit(views, epochs=2, verbose=0).history["loss"]).all()
