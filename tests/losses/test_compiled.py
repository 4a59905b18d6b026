"""Every loss gives the same eagerly, in a graph and under XLA, and traces once for batches of one shape."""

import numpy as np
import pytest
from keras import ops

from keras_metric import losses
from keras_metric.miners import MINERS
from tests.losses.cases import batch, make
from tests.support import BACKEND, numpy

EVERY = losses.LOSSES.names()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize("name", EVERY)
def test_eager_equals_graph_equals_xla(name):
    """Value and gradient, with a known and with an unknown batch size."""
    import tensorflow as tf

    y, x = batch(name)
    loss = make(name)
    traces = []

    def gradient(labels, predictions):
        traces.append(1)
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            value = loss(labels, predictions)
        return value, tape.gradient(value, predictions)

    eager = gradient(tf.constant(y), tf.constant(x))
    other_y, other_x = batch(name, seed=1)
    for jit, rows in ((False, len(y)), (False, None), (True, None)):
        compiled = tf.function(
            gradient,
            jit_compile=jit,
            input_signature=[
                tf.TensorSpec([rows, *y.shape[1:]], y.dtype),
                tf.TensorSpec([rows, *x.shape[1:]], x.dtype),
            ],
        )
        result = compiled(tf.constant(y), tf.constant(x))
        np.testing.assert_allclose(result[0], eager[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(result[1], eager[1], rtol=1e-4, atol=1e-6)
        before = len(traces)
        compiled(tf.constant(other_y[::-1].copy()), tf.constant(other_x))
        assert len(traces) == before


TRIPLETS = [
    {"miner": miner, "margin": margin, "swap": swap}
    for miner in MINERS.names()
    for margin, swap in ((0.2, False), (0.2, True), (None, False))
]


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, {}) for name in EVERY] + [("triplet", arguments) for arguments in TRIPLETS],
    ids=str,
)
def test_a_replica_may_get_no_row(name, arguments):
    """`MirroredStrategy` gives some replicas an empty batch where the last one has fewer rows than there are."""
    import tensorflow as tf

    y, x = batch(name)
    loss = make(name, **arguments)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, *y.shape[1:]], y.dtype),
            tf.TensorSpec([None, *x.shape[1:]], x.dtype),
        ]
    )
    def gradient(labels, predictions):
        with tf.GradientTape() as tape:
            tape.watch(predictions)
            value = loss(labels, predictions)
        return value, tape.gradient(value, predictions)

    value, by_predictions = gradient(y[:0], x[:0])
    assert value == 0
    assert by_predictions.shape == x[:0].shape


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize(
    "arguments", [{"miner": "all"}, {"miner": "semi_hard"}, {"miner": "semi_hard", "swap": True}]
)
def test_branches_keep_nothing_for_the_gradient(arguments):
    """TensorFlow keeps what a differentiated branch held as variants, and warns where their types differ."""
    import tensorflow as tf

    loss = losses.TripletLoss(**arguments)

    @tf.function
    def gradient(labels, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(labels, x)
        return tape.gradient(value, x)

    y, x = batch("triplet")
    graph = gradient.get_concrete_function(tf.constant(y), tf.constant(x)).graph
    branches = [op for op in graph.get_operations() if op.type in ("If", "StatelessIf")]
    assert branches
    assert not any(out.dtype == tf.variant for op in branches for out in op.outputs)


@pytest.mark.skipif(BACKEND != "jax", reason="jax.jit is JAX's")
@pytest.mark.parametrize("name", EVERY)
def test_traces_under_jit(name):
    import jax

    y, x = batch(name)
    loss = make(name)
    traces = []

    def of(predictions, labels):
        traces.append(1)
        return loss(labels, predictions)

    step = jax.jit(jax.value_and_grad(of))
    value, gradient = step(x, ops.convert_to_tensor(y))
    np.testing.assert_allclose(value, numpy(loss(y, x)), rtol=1e-5, atol=1e-7)
    assert np.isfinite(gradient).all()
    before = len(traces)
    other_y, other_x = batch(name, seed=1)
    step(other_x, ops.convert_to_tensor(other_y[::-1].copy()))
    assert len(traces) == before
