"""Safe numerics: the edges where a plain formula would give NaN or lose digits.

Decisions, tested in `tests/tensors/test_tensors.py`:

* float16 and bfloat16 are computed in float32: their squared distances are wrong in the third digit.
* A square root, a norm, an arc cosine has a zero gradient at its singular point, never NaN.
* In `where(condition, a, b)` both branches are finite, since backends differentiate both.
* Infinity never appears; `LARGE` stands in for it.
"""

import keras
from keras import ops

LARGE = (
    1e30  # stands for infinity: far above any distance, and still finite when it is halved or added
)


def as_float(x):
    """A floating tensor of at least 32 bits; integers become Keras' `floatx`."""
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    if dtype in ("float16", "bfloat16"):
        return ops.cast(x, "float32")
    if "float" not in dtype:
        return ops.cast(x, _at_least_32(keras.config.floatx()))
    return x


def _at_least_32(floatx):
    return "float32" if floatx in ("float16", "bfloat16") else floatx


def epsilon(x):
    """Machine epsilon of a float32 or float64 tensor."""
    return 2.3e-16 if keras.backend.standardize_dtype(x.dtype) == "float64" else 1.2e-7


def safe_sqrt(x, floor=0.0):
    """√x where x > floor, else exactly 0 with a zero gradient.

    The gradient needs the root only, so that nothing else of the size of x is kept for it.
    """

    def forward(x, floor):
        root = ops.sqrt(ops.where(x > floor, x, 0.0))

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream
            # Where the root is 0 the division is by 1, and the upstream gradient is left out.
            kept = ops.where(root > 0, upstream, 0.0)
            return 0.5 * kept / ops.where(root > 0, root, 1.0), ops.zeros_like(floor)

        return root, gradient

    return ops.custom_gradient(forward)(x, ops.cast(floor, x.dtype))


def absolute(x):
    """|x| with a gradient of 0 at 0 on every backend (JAX's own gives 1)."""
    return x * ops.stop_gradient(ops.sign(x))


def unit_rows(x):
    """Rows of length 1 along the last axis; a zero row stays zero, with a zero gradient.

    Each row is scaled by its largest entry first, so that rows of norm 1e-30 or 1e30 come out right too.
    """
    largest = ops.max(ops.abs(ops.stop_gradient(x)), axis=-1, keepdims=True, initial=0.0)
    nonzero = largest > 0
    # Scaling changes nothing in x / |x|, so its gradient is left out exactly.
    scaled = x / ops.where(nonzero, largest, ops.ones_like(largest))
    length = ops.sqrt(ops.sum(ops.where(nonzero, scaled * scaled, 1.0), axis=-1, keepdims=True))
    return ops.where(nonzero, scaled / length, ops.zeros_like(x))


def safe_arccos(cosines):
    """arccos of values in [-1, 1]; within rounding of ±1 the angle is 0 or π with a zero gradient."""
    limit = 1.0 - 4 * epsilon(cosines)
    inside = ops.abs(cosines) < limit
    angles = ops.arccos(ops.where(inside, cosines, ops.zeros_like(cosines)))
    at_end = ops.where(
        cosines > 0, ops.zeros_like(cosines), ops.full_like(cosines, 3.141592653589793)
    )
    return ops.where(inside, angles, at_end)


def nan_unless_finite(x):
    """Scalar to add to a loss: 0, or NaN if an entry is NaN or infinite.

    Masks and floors would hide such an entry: a diverged encoder would show a quiet, plausible loss.
    """
    zero = ops.zeros_like(ops.sum(x))
    return ops.where(ops.all(ops.isfinite(x)), zero, zero + float("nan"))


def row_count(x):
    """Number of rows as a floating scalar, also where the batch size is unknown when tracing."""
    rows = x.shape[0]
    return float(rows) if isinstance(rows, int) else ops.cast(ops.shape(x)[0], x.dtype)


def row_zeros(matrix, dtype=None):
    """Zeros (B,), one for each row of (B, N), without a pass over the matrix; also where it has no column."""
    return ops.zeros_like(ops.sum(matrix[:, :1], axis=1), dtype=dtype)


def mean_over_rows(x):
    """Mean of (B,); 0 for the batch without rows that a replica may get at the end of an epoch."""
    return ops.sum(x) / ops.maximum(row_count(x), 1.0)


def row_norms(x):
    """Lengths of the rows, (B, D) → (B, 1), without overflow; 0 with a zero gradient for a zero row."""
    largest = ops.max(ops.abs(ops.stop_gradient(x)), axis=-1, keepdims=True, initial=0.0)
    scale = ops.where(largest > 0, largest, ops.ones_like(largest))
    scaled = x / scale
    return safe_sqrt(ops.sum(scaled * scaled, axis=-1, keepdims=True)) * scale
