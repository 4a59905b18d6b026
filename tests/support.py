"""What the tests of all rooms share: gradients on every backend, and arrays of a kind."""

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()


def numpy(x):
    """A NumPy array of any backend's tensor."""
    return np.asarray(ops.convert_to_numpy(x))


def value_and_gradient(function, *arrays, dtype="float32"):
    """Value of `function(*tensors)` (summed if it is no scalar) and its gradients, as NumPy arrays.

    Args:
        function: from tensors to one tensor, written on `keras.ops`.
        *arrays: NumPy arrays, all differentiated.
        dtype: of the tensors.

    Returns:
        `(value, gradient)` for one array, `(value, [gradients])` for several.
    """
    if BACKEND == "tensorflow":
        value, gradients = _with_tensorflow(function, arrays, dtype)
    elif BACKEND == "jax":
        value, gradients = _with_jax(function, arrays, dtype)
    else:
        value, gradients = _with_torch(function, arrays, dtype)
    gradients = [
        np.zeros(a.shape) if g is None else numpy(g) for a, g in zip(arrays, gradients, strict=True)
    ]
    return numpy(value), gradients[0] if len(arrays) == 1 else gradients


def differentiated(function):
    """`(fixed, x) → (value, gradient by x)` of `function(fixed, x)`, as NumPy arrays.

    JAX compiles it once for all calls of one shape, which is far faster than operation by operation.
    """
    if BACKEND != "jax":
        return lambda fixed, x: value_and_gradient(lambda e: function(fixed, e), x)
    import jax

    step = jax.jit(jax.value_and_grad(lambda x, fixed: ops.sum(function(fixed, x))))

    def call(fixed, x):
        value, gradient = step(jax.numpy.asarray(x, "float32"), jax.numpy.asarray(fixed))
        return numpy(value), numpy(gradient)

    return call


def compiled(function):
    """`x → function(x)` as a NumPy array, compiled by XLA; not on PyTorch."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        step = tf.function(function, jit_compile=True)
        return lambda x: numpy(step(tf.constant(x)))
    import jax

    step = jax.jit(function)
    return lambda x: numpy(step(x))


def _with_tensorflow(function, arrays, dtype):
    import tensorflow as tf

    tensors = [tf.convert_to_tensor(a, dtype) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = ops.sum(function(*tensors))
    return value, tape.gradient(value, tensors)


def _with_jax(function, arrays, dtype):
    import jax

    tensors = [jax.numpy.asarray(a, dtype) for a in arrays]
    both = jax.value_and_grad(lambda *t: ops.sum(function(*t)), argnums=tuple(range(len(tensors))))
    return both(*tensors)


def _with_torch(function, arrays, dtype):
    import torch

    tensors = [torch.tensor(a, dtype=getattr(torch, dtype), requires_grad=True) for a in arrays]
    value = ops.sum(function(*tensors))
    if value.requires_grad:
        value.backward()
    return value.detach(), [t.grad for t in tensors]


def numeric_gradient(function, x, step=1e-6):
    """Central differences of a NumPy function of one array, in float64."""
    x = np.asarray(x, "float64")
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += step
        down[index] -= step
        gradient[index] = (function(up) - function(down)) / (2 * step)
    return gradient


def assert_slopes(function, x, gradient, directions=4, step=1e-6, rtol=1e-3, atol=1e-4):
    """Compares a gradient with central differences of a NumPy function along a few random directions.

    Costs two evaluations a direction instead of two an entry; a wrong entry shows in every direction.
    """
    x = np.asarray(x, "float64")
    rng = np.random.default_rng(12)
    for _ in range(directions):
        direction = rng.normal(size=x.shape)
        slope = (function(x + step * direction) - function(x - step * direction)) / (2 * step)
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=rtol, atol=atol)
