"""The alarm rings once for collapsed embeddings, and not for others."""

import warnings

import keras
import numpy as np
import pytest

from keras_metric import callbacks, losses, models
from keras_metric.callbacks.collapse_alarm import value_at_collapse


def data(rows=64, classes=4):
    rng = np.random.default_rng(0)
    y = np.arange(rows) % classes
    return (np.eye(classes)[y] * 3 + rng.normal(size=(rows, classes))).astype("float32"), y


def encoder(dead=False, offset=0.0):
    start = keras.initializers.Constant(0.0) if dead else "glorot_uniform"
    bias = keras.initializers.Constant(offset or 1.0)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=start, bias_initializer=bias)]
    )


def warnings_of(model, loss, alarm, epochs=5, rate=0.0, y=None):
    x, classes = data()
    model.compile(keras.optimizers.SGD(rate), loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(x, classes if y is None else y, epochs=epochs, verbose=0, callbacks=[alarm])
    return [str(one.message) for one in caught if "collapsed" in str(one.message)]


HARDEST = losses.TripletLoss(miner="hardest")  # compiles fastest


@pytest.mark.parametrize(
    "loss, given",
    [
        (HARDEST, True),
        (HARDEST, False),
        (losses.ContrastiveLoss(), False),
        (losses.SupConLoss(), False),
    ],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_it_rings_once_for_a_dead_encoder(loss, given):
    alarm = callbacks.CollapseAlarm(data()[0] if given else None, patience=2)
    messages = warnings_of(encoder(dead=True), loss, alarm)
    assert len(messages) == 1
    assert "margin=None" in messages[0]


def test_it_says_that_the_loss_stands_at_the_margin():
    messages = warnings_of(
        encoder(dead=True), losses.TripletLoss(0.3, miner="hardest"), callbacks.CollapseAlarm()
    )
    assert "the loss stands at 0.3, its margin" in messages[0]


def test_it_waits_for_its_patience():
    alarm = callbacks.CollapseAlarm(data()[0], patience=3)
    assert not warnings_of(encoder(dead=True), HARDEST, alarm, epochs=2)
    assert len(warnings_of(encoder(dead=True), HARDEST, alarm, epochs=3)) == 1
    assert not warnings_of(encoder(dead=True), HARDEST, alarm, epochs=4)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("loss", [HARDEST, losses.SupConLoss()], ids=lambda la: la.name)
def test_it_is_silent_for_training_and_for_an_untrained_encoder(loss, given):
    x = data()[0] if given else None
    alarm = callbacks.CollapseAlarm(x, patience=1)
    assert not warnings_of(encoder(), loss, alarm, rate=0.0 if given else 0.05)


def test_embeddings_far_from_the_origin_have_not_collapsed():
    # Their cosines are all 1, but the loss measures their Euclidean distances.
    alarm = callbacks.CollapseAlarm(data()[0], patience=1)
    assert not warnings_of(encoder(offset=1000.0), HARDEST, alarm)


def test_siamese_models():
    x, _ = data()
    model = models.siamese_triplet(encoder(dead=True))
    model.compile("sgd", losses.SiameseTripletLoss(0.2))
    for alarm in (callbacks.CollapseAlarm(patience=2), callbacks.CollapseAlarm(x, patience=2)):
        with pytest.warns(UserWarning, match="collapsed"):
            model.fit((x, x, x), np.zeros(len(x)), epochs=3, verbose=0, callbacks=[alarm])


@pytest.mark.parametrize(
    "loss, value",
    [
        (losses.TripletLoss(margin=0.4, miner="hardest"), 0.4),
        (losses.TripletLoss(margin=None, miner="all"), np.log(2)),
        (losses.ContrastiveLoss(negative_margin=0.5), 0.25),
        (losses.SiameseTripletLoss(0.7), 0.7),
        (losses.SupConLoss(), None),  # depends on the batch
        ("mse", None),
    ],
    ids=lambda one: getattr(one, "name", str(one)),
)
def test_values_at_collapse(loss, value):
    model = encoder()
    model.compile("sgd", loss)
    found = value_at_collapse(model)
    assert found == (None if value is None else pytest.approx(value, abs=1e-5))


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="`patience` of CollapseAlarm must be a whole number >= 1"):
        callbacks.CollapseAlarm(patience=0)
    with pytest.raises(ValueError, match="`x` of CollapseAlarm must have at least 2 rows"):
        callbacks.CollapseAlarm(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="`x` of CollapseAlarm must be an array or nested arrays"):
        callbacks.CollapseAlarm(iter([np.zeros((8, 4))]))
