"""Figures of whole sets in the logs, before anyone looks at them."""

import keras
import numpy as np
import pytest

from keras_metric import callbacks, evaluation, losses, models

NAMES = ("hit@1", "map@r", "eer", "tar@far=0.1")


def data(seed=0, rows=120, classes=6):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    means = np.random.default_rng(99).normal(size=(classes, 8))
    return (means[y] + rng.normal(size=(rows, 8))).astype("float32"), y


def encoder(width=4):
    return keras.Sequential([keras.Input((8,)), keras.layers.Dense(width)])


def trained(model, extra, epochs=2, **arguments):
    x, y = data(1)
    model.compile(keras.optimizers.SGD(0.05), losses.ContrastiveLoss())
    return model.fit(
        x, y, batch_size=60, epochs=epochs, verbose=0, callbacks=extra, shuffle=False, **arguments
    )


class Reader(keras.callbacks.Callback):
    """Keeps the logs that it sees, and the embeddings that the model gave then."""

    def __init__(self, x):
        super().__init__()
        self.x, self.seen, self.embeddings = x, [], []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(dict(logs))
        self.embeddings.append(np.asarray(self.model.predict(self.x, verbose=0)))


@pytest.mark.parametrize("place", ["first", "last"])
def test_figures_are_those_of_the_set_and_are_there_before_others_look(place):
    x, y = data(2)
    reader, own = Reader(x), callbacks.RetrievalEvaluation(x, y, metrics=NAMES)
    order = [own, reader] if place == "first" else [reader, own]
    history = trained(encoder(), order, validation_data=data(3))
    assert len(reader.seen) == 2
    for logs, embeddings in zip(reader.seen, reader.embeddings, strict=True):
        found = evaluation.retrieval(embeddings, y, metrics=("hit@1", "map@r"))
        pairs = evaluation.verification_from_embeddings(embeddings, y, far=(0.1,))
        for name in NAMES:
            expected = (found if name in found else pairs)[name]
            assert logs["val_" + name] == pytest.approx(expected, abs=1e-6)
    assert {"loss", "val_loss", *(f"val_{name}" for name in NAMES)} <= set(history.history)
    assert history.history["val_hit@1"][-1] == reader.seen[-1]["val_hit@1"]
    assert own.result["hit@1"] == reader.seen[-1]["val_hit@1"] and own.verification.pairs[0] > 0


def test_checkpoints_and_early_stopping_work_with_mode_auto_wherever_it_stands(tmp_path):
    x, y = data(2)
    best = keras.callbacks.ModelCheckpoint(
        str(tmp_path / "best.keras"), monitor="val_map@r", save_best_only=True
    )
    stop = keras.callbacks.EarlyStopping(monitor="val_eer", patience=1, min_delta=1.0)
    own = callbacks.RetrievalEvaluation(x, y, metrics=("map@r", "eer"))
    history = trained(encoder(), [stop, best, own], epochs=5)
    assert len(history.history["loss"]) == 2  # nothing gets better by 1
    kept = keras.models.load_model(tmp_path / "best.keras")
    found = evaluation.retrieval(np.asarray(kept.predict(x, verbose=0)), y, metrics=("map@r",))
    assert found["map@r"] == pytest.approx(max(history.history["val_map@r"]), abs=1e-6)


def test_the_layer_named_encoder_is_evaluated_against_a_gallery():
    x, y = data(2)
    gallery, gallery_y = data(4, rows=50)
    inner = encoder()
    model = models.with_proxies(inner, num_classes=6)
    own = callbacks.RetrievalEvaluation(
        x, y, gallery, gallery_y, metrics=("hit@1", "mrr"), distance="euclidean", prefix="seen_"
    )
    model.compile("sgd", losses.NormalizedSoftmaxLoss())
    history = model.fit(*data(1), epochs=1, verbose=0, callbacks=[own])
    expected = evaluation.retrieval(
        np.asarray(inner.predict(x, verbose=0)), y,
        np.asarray(inner.predict(gallery, verbose=0)), gallery_y,
        metrics=("hit@1", "mrr"), distance="euclidean",
    )  # fmt: skip
    for name in expected:
        assert history.history["seen_" + name] == [pytest.approx(expected[name], abs=1e-6)]


def test_every_leaves_epochs_out():
    x, y = data(2)
    reader = Reader(x)
    own = callbacks.RetrievalEvaluation(x, y, metrics="hit@1", every=2)
    trained(encoder(), [reader, own], epochs=5)
    assert ["val_hit@1" in logs for logs in reader.seen] == [False, True, False, True, False]


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def pipeline(batches):
    tf = pytest.importorskip("tensorflow")
    rows = tuple(np.concatenate(part) for part in zip(*batches, strict=True))
    return tf.data.Dataset.from_tensor_slices(rows).batch(50)


@pytest.mark.parametrize("kind", [list, Batches, pipeline])
def test_batches_with_their_labels(kind):
    x, y = data(2)
    batches = kind([(x[i : i + 50], y[i : i + 50]) for i in range(0, len(x), 50)])
    own = callbacks.RetrievalEvaluation(batches, metrics=NAMES)
    other = callbacks.RetrievalEvaluation(x, y.astype(str), metrics=NAMES, prefix="text_")
    logs = trained(encoder(), [own, other], epochs=1).history
    for name in NAMES:
        assert logs[f"val_{name}"] == pytest.approx(logs[f"text_{name}"], abs=1e-6)


def test_training_goes_on_as_without_it():
    x, y = data(2)
    weights = []
    for extra in ([], [callbacks.RetrievalEvaluation(x, y)]):
        keras.utils.set_random_seed(5)
        model = encoder()
        trained(model, extra, epochs=3)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_wrong_input_is_refused_before_training():
    x, y = data()
    with pytest.raises(ValueError, match="`x` and `y` of RetrievalEvaluation .* 120 and 119"):
        callbacks.RetrievalEvaluation(x, y[:-1])
    with pytest.raises(ValueError, match="`gallery_labels` of RetrievalEvaluation must be given"):
        callbacks.RetrievalEvaluation(x, y, gallery=x)
    with pytest.raises(ValueError, match="Unknown metric 'hits@1' in `metrics` of RetrievalEval"):
        callbacks.RetrievalEvaluation(x, y, metrics=("hits@1",))
    with pytest.raises(ValueError, match="must name FAR targets as numbers"):
        callbacks.RetrievalEvaluation(x, y, metrics=("tar@far=low",))
    with pytest.raises(ValueError, match="`every` of RetrievalEvaluation must be a whole number"):
        callbacks.RetrievalEvaluation(x, y, every=0)
    with pytest.raises(ValueError, match="`y` of RetrievalEvaluation must be given with an array"):
        callbacks.RetrievalEvaluation(x)
    with pytest.raises(ValueError, match="`y` of RetrievalEvaluation must be None where `x` gives"):
        callbacks.RetrievalEvaluation(iter([(x, y)]), y)
    with pytest.raises(ValueError, match="Received: single examples. Give x.batch"):
        callbacks.RetrievalEvaluation([(x[0], y[0])]).evaluate(encoder())
    images = keras.Sequential([keras.Input((8,)), keras.layers.Reshape((2, 4))])
    own = callbacks.RetrievalEvaluation(x, y)
    with pytest.raises(ValueError, match="needs embeddings .* Name the layer that gives embed"):
        own.evaluate(images)
