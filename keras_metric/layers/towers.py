"""The two ends of shared towers: many inputs into one batch, one batch into stacked embeddings."""

import keras
from keras import ops, tree

from keras_metric import checks
from keras_metric.layers.base import LAYERS


@LAYERS.register("join_batches")
class JoinBatches(keras.layers.Layer):
    """Puts the batches of several inputs one after another, so that a tower runs once for all of them.

    Call arguments:
        inputs: list of T inputs; each a tensor (B, …) or one nesting of tensors (dict, list), the same for all.

    Returns:
        The nesting of one input, with tensors (T·B, …): first all rows of the first input.

    Raises:
        ValueError: if the inputs differ in nesting, in rows or in any other axis.
    """

    def __init__(self, **kwargs):
        # What goes in is raw data: a cast to the compute dtype is for the tower to do.
        super().__init__(autocast=False, **kwargs)

    def call(self, inputs):
        """Concatenates along the batch."""
        first = inputs[0]
        for other in inputs[1:]:
            _check_alike(first, other, self.name)
        return tree.map_structure(lambda *parts: ops.concatenate(parts, axis=0), *inputs)

    def compute_output_spec(self, inputs):
        """Shapes (T·B, …)."""
        for other in inputs[1:]:
            _check_alike(inputs[0], other, self.name)
        rows = len(inputs)

        def joined(x):
            batch = None if x.shape[0] is None else rows * x.shape[0]
            return keras.KerasTensor((batch, *x.shape[1:]), dtype=x.dtype)

        return tree.map_structure(joined, inputs[0])


@LAYERS.register("stack_towers")
class StackTowers(keras.layers.Layer):
    """Takes joined batches apart again: embeddings (T·B, D) → (B, T, D).

    Args:
        towers: T, the number of inputs that were joined; or, where several towers give embeddings of their own, a
            list of numbers, one for each; the layer is then called on a list of embeddings (T_k·B, D).
    """

    def __init__(self, towers, **kwargs):
        super().__init__(autocast=False, **kwargs)
        parts = towers if isinstance(towers, (list, tuple)) else [towers]
        self.towers = [checks.whole(t, "towers", "StackTowers") for t in parts]

    def call(self, inputs):
        """Reshapes each batch to (T, B, D) and swaps the first two axes."""
        batches = self._batches(inputs)
        stacked = [_unstack(x, t) for x, t in zip(batches, self.towers, strict=True)]
        return stacked[0] if len(stacked) == 1 else ops.concatenate(stacked, axis=1)

    def compute_output_spec(self, inputs):
        """Shape (B, T, D); given here, since tracing a made-up batch would not divide by T."""
        batches = self._batches(inputs)
        rows = batches[0].shape[0]
        batch = None if rows is None else rows // self.towers[0]
        shape = (batch, sum(self.towers), batches[0].shape[-1])
        return keras.KerasTensor(shape, dtype=batches[0].dtype)

    def _batches(self, inputs):
        batches = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        if len(batches) != len(self.towers):
            raise ValueError(
                f"Layer {self.name!r} takes {len(self.towers)} batches of embeddings, one for each number in "
                f"towers={self.towers}. Received: {len(batches)}."
            )
        return [checks.embeddings(x, "embeddings", self.name) for x in batches]

    def get_config(self):
        """Constructor arguments."""
        return {**super().get_config(), "towers": self.towers}


def _unstack(x, towers):
    return ops.transpose(ops.reshape(x, (towers, -1, x.shape[-1])), (1, 0, 2))


def _check_alike(first, other, name):
    try:
        tree.assert_same_structure(first, other)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"All inputs of layer {name!r} must have the same nesting. Received: {first} and {other}."
        ) from error
    for a, b in zip(tree.flatten(first), tree.flatten(other), strict=True):
        if len(a.shape) != len(b.shape) or any(
            None not in (m, n) and m != n for m, n in zip(a.shape, b.shape, strict=True)
        ):
            raise ValueError(
                f"All inputs of layer {name!r} must have the same shape and number of rows to share a tower. "
                f"Received: {tuple(a.shape)} and {tuple(b.shape)}. Resize or pad them alike."
            )
