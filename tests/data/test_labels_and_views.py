import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import data
from tests.data.support import drained


@pytest.mark.parametrize(
    "labels",
    [
        ["b", "a", "b"],
        np.array([2**62 + 1, 2**62, 2**62 + 1]),
        [-5, -7, -5],
        np.array([[3.0], [1.0], [3.0]]),
        [b"b", b"a", b"b"],
        [2**53 + 1, 2**53, 2**53 + 1],
    ],
)
def test_dense_ids_of_any_labels(labels):
    ids, vocabulary = data.dense_ids(labels)
    assert ids.dtype == "int64" and ids.tolist() == [1, 0, 1]
    assert vocabulary[ids].tolist() == np.asarray(labels).reshape(-1).tolist()


@pytest.mark.parametrize(
    "labels", [[1, "a"], ["a", 1.0], [1, None], [float("nan"), 1.0], [], [[1, 2]]]
)
def test_dense_ids_refuses(labels):
    with pytest.raises(ValueError, match="labels` of dense_ids"):
        data.dense_ids(labels)


def test_two_views_are_two_draws_in_training_mode():
    x = np.random.default_rng(0).normal(size=(6, 4, 4, 1)).astype("float32")
    source = tf.data.Dataset.from_tensor_slices((x, np.arange(6))).batch(3, drop_remainder=True)
    views = data.two_views(source, keras.layers.GaussianNoise(0.1, seed=1))
    assert [spec.shape for spec in views.element_spec] == [(6, 4, 4, 1), (6,)]
    for batch, (both, ids) in enumerate(drained(views)):
        assert ids.tolist() == [0, 1, 2] * 2 and ids.dtype == "int64"
        clean = x[3 * batch : 3 * batch + 3]
        for view in (both[:3], both[3:]):
            assert 0 < np.abs(view - clean).max() < 1
        assert np.abs(both[:3] - both[3:]).min(axis=(1, 2, 3)).max() > 0


def test_two_views_takes_plain_x_and_a_remainder():
    source = tf.data.Dataset.from_tensor_slices(np.arange(5)).batch(3)
    result = drained(data.two_views(source, lambda x: x))
    assert [ids.tolist() for _, ids in result] == [[0, 1, 2, 0, 1, 2], [0, 1, 0, 1]]
    assert [x.tolist() for x, _ in result] == [[0, 1, 2, 0, 1, 2], [3, 4, 3, 4]]


def test_an_augmentation_that_cannot_run_in_the_graph_is_told():
    source = tf.data.Dataset.from_tensor_slices(np.arange(5)).batch(3)
    with pytest.raises(TypeError, match="augment` of two_views must run inside tf.data"):
        data.two_views(source, lambda x: np.asarray(x) + 1)  # as Keras layers do on other backends
