"""Matrices of distances that no matrix product gives: one pass over the (B, N) matrix for each coordinate.

A broadcast would hold (B, N, D) numbers, and so would automatic differentiation of a loop. The passes below hold a few
(B, N) matrices, forward and backward, by a gradient of their own.
"""

from keras import ops


def over_coordinates(x, y, forward, slope):
    """A distance matrix with its gradient, in O(B·N) memory.

    Args:
        x: (B, D).
        y: (N, D).
        forward: function of `fold` that gives the distances (B, N) and what `slope` needs. `fold(step, state)`
            runs `state = step(state, difference, k)` over the coordinates, `difference` being (B, N).
        slope: function of `(difference, k, saved)`: the derivative of the distances by coordinate k of x, (B, N).
            The one by y is its negative.
    """

    @ops.custom_gradient
    def matrix(x, y):
        columns_x, columns_y = ops.transpose(x), ops.transpose(y)  # (D, B), (D, N)

        def difference(k):
            return ops.take(columns_x, k, axis=0)[:, None] - ops.take(columns_y, k, axis=0)[None, :]

        def fold(step, state):
            return ops.fori_loop(0, x.shape[1], lambda k, s: step(s, difference(k), k), state)

        distances, saved = forward(fold, _zeros(columns_x, columns_y))

        def gradient(*args, upstream=None):
            if upstream is None:
                (upstream,) = args

            def step(k, gradients):
                weighted = upstream * slope(difference(k), k, saved)
                by_x = ops.sum(weighted, axis=1)[None, :]
                by_y = -ops.sum(weighted, axis=0)[None, :]
                return (
                    ops.slice_update(gradients[0], (k, 0), by_x),
                    ops.slice_update(gradients[1], (k, 0), by_y),
                )

            start = (ops.zeros_like(columns_x), ops.zeros_like(columns_y))
            by_x, by_y = ops.fori_loop(0, x.shape[1], step, start)
            return ops.transpose(by_x), ops.transpose(by_y)

        return distances, gradient

    return matrix(x, y)


def _zeros(columns_x, columns_y):
    return ops.zeros_like(columns_x[0])[:, None] + ops.zeros_like(columns_y[0])[None, :]
