"""Random numbers and permutations as functions of a key: nothing to carry, so any step can be computed alone.

Everything is arithmetic on uint64 tensors. TensorFlow's global seed has no part in it.
"""

import random

import tensorflow as tf

from keras_metric import checks

_GOLDEN = 0x9E3779B97F4A7C15
_FACTORS = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_BITS = 2**64 - 1
_ROUNDS = 6


def own_seed(seed, owner):
    """The seed as an int; None draws one from Python's `random` (which `keras.utils.set_random_seed` sets)."""
    if seed is None:
        return random.getrandbits(62)
    return checks.whole(seed, "seed", owner, at_least=0) % 2**64


def unsigned(x):
    """An integer or tensor as uint64."""
    return tf.constant(x, tf.uint64) if isinstance(x, int) else tf.cast(x, tf.uint64)


def _shift(x, bits):
    return tf.bitwise.right_shift(x, tf.constant(bits, tf.uint64))


def mix(x):
    """Scrambles uint64 values one to one (the finaliser of SplitMix64, Steele et al. 2014)."""
    first, second = _FACTORS
    if isinstance(x, int):
        x = (x ^ x >> 30) * first & _BITS
        x = (x ^ x >> 27) * second & _BITS
        return x ^ x >> 31
    x = tf.bitwise.bitwise_xor(x, _shift(x, 30)) * unsigned(first)
    x = tf.bitwise.bitwise_xor(x, _shift(x, 27)) * unsigned(second)
    return tf.bitwise.bitwise_xor(x, _shift(x, 31))


def make_key(*parts):
    """One uint64 key from several integers or integer tensors, which broadcast."""
    key = 0
    for part in parts:
        if isinstance(key, int) and isinstance(part, int):  # here and now: the graph stays small
            key = mix((key + part + 1) * _GOLDEN & _BITS)
        else:
            key = mix((unsigned(key) + unsigned(part)) * unsigned(_GOLDEN) + unsigned(_GOLDEN))
    return unsigned(key)


def _scaled(bits, bound):
    """Random bits brought to 0 … bound − 1; the bias is below bound / 2^32."""
    return _shift(_shift(bits, 32) * bound, 32)


def below(bound, *key):
    """Uniform int64 in [0, bound), a function of the key; `bound` broadcasts with it."""
    return tf.cast(_scaled(make_key(*key), unsigned(bound)), tf.int64)


def permuted(index, size, key):
    """Image of `index` under a random permutation of 0 … size − 1 that the key picks.

    A Feistel network on a rectangle of about `size` cells, walked on until it lands below `size`. It costs the
    same for any size and stores nothing.

    Args:
        index: int64 tensor, 0 ≤ index < size.
        size: int64 tensor or int ≥ 1; broadcasts with `index`.
        key: uint64 tensor; broadcasts with `index`.

    References:
        Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002, section 5.
    """
    x = unsigned(index) + tf.zeros_like(unsigned(size)) + tf.zeros_like(key)
    shape = tf.shape(x)
    x, size, key = (tf.reshape(tf.broadcast_to(a, shape), (-1,)) for a in (x, unsigned(size), key))
    return tf.reshape(tf.cast(_permuted_flat(x, size, key), tf.int64), shape)


# A function of its own: it is traced once, however often samplers call it, so that datasets are made quickly. Every
# epoch optimises its graph anew, which takes longer than the first batch: hence one loop with little in it.
@tf.function(input_signature=[tf.TensorSpec((None,), tf.uint64)] * 3, autograph=False)
def _permuted_flat(x, size, key):
    rows = unsigned(tf.math.ceil(tf.sqrt(tf.cast(size, tf.float64))))
    columns = (size + rows - unsigned(1)) // rows

    def walk(images, place, x, size, rows, columns, key):
        x = _feistel(x, rows, columns, key)
        images = tf.tensor_scatter_nd_update(images, place[:, None], x)
        outside = tf.where(x >= size)[:, 0]  # few; only those walk on
        return images, *(tf.gather(a, outside) for a in (place, x, size, rows, columns, key))

    def walking(images, place, *_):
        return tf.size(place) > 0

    state = (x, tf.range(tf.size(x)), x, size, rows, columns, key)
    return tf.while_loop(walking, walk, state, (tf.TensorShape((None,)),) * len(state))[0]


def _feistel(x, rows, columns, key):
    """Image of x under a permutation of 0 … rows · columns − 1."""

    def shifted(value, other, bound, round_key):
        moved = value + _scaled(mix(other * unsigned(_GOLDEN) + round_key), bound)
        return tf.where(moved >= bound, moved - bound, moved)

    # A loop instead of unrolled rounds: a small graph is what makes an epoch start quickly.
    def one_round(i, row, column):
        round_key = mix(key + unsigned(i) * unsigned(_GOLDEN))
        column = shifted(column, row, columns, round_key)
        row = shifted(row, column, rows, round_key + unsigned(1))
        return i + 1, row, column

    row = x // columns
    column = x - row * columns
    state = (tf.constant(1), row, column)
    _, row, column = tf.while_loop(lambda i, *_: i <= _ROUNDS, one_round, state)
    return row * columns + column
