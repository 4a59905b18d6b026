"""InfoNCE loss of two towers."""

from keras import ops

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES
from keras_metric.losses.tower_pairs import TowerPairLoss, own_pairs
from keras_metric.tensors.averaging import mean_over_anchors
from keras_metric.tensors.masked import log_one_plus_sum_exp


def info_nce(
    similarities,
    relations,
    temperature=0.05,
    symmetric=False,
    hard_similarities=None,
    hard_weights=None,
):
    """Cross-entropy of each query's own key among the keys of the batch.

        loss[i] = −log softmax(s_ij / τ over keys j)[i] = log(1 + Σ_{j ≠ i} exp((s_ij − s_ii) / τ))

    Args:
        similarities: of queries and keys, shape (batch, batch); the own key is on the diagonal.
        relations: (batch, batch): +1 for equal ids (neither positive nor negative off the diagonal), −1 for others,
            0 for pairs of ignored rows.
        temperature: τ > 0.
        symmetric: whether to average with the loss of each key's own query among all queries.
        hard_similarities: of queries and further negatives, shape (batch, negatives), or None.
        hard_weights: 1 where these count, else 0.

    Returns:
        Losses of shape (batch,). Rows without a negative give 0 and do not count in their direction.

    References:
        van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018,
        arXiv:1807.03748, equation 4; symmetric: Radford et al., ICML 2021, arXiv:2103.00020.
    """
    logits = similarities / temperature
    negatives = ops.relu(-relations)
    own = ops.sum(ops.where(own_pairs(logits) > 0, logits, 0.0), axis=1)  # (B,)
    against, weights = logits, negatives
    if hard_similarities is not None:
        against = ops.concatenate([logits, hard_similarities / temperature], axis=1)
        weights = ops.concatenate([negatives, hard_weights], axis=1)
    loss = _one_direction(own, against, weights)
    if not symmetric:
        return loss
    return 0.5 * (loss + _one_direction(own, ops.transpose(logits), ops.transpose(negatives)))


def _one_direction(own, logits, negatives):
    values = log_one_plus_sum_exp(logits - own[:, None], negatives)
    return mean_over_anchors(values, ops.sum(negatives, axis=1))


@LOSSES.register("info_nce")
class InfoNCELoss(TowerPairLoss):
    """`info_nce` between the towers of a batch: in-batch negatives, and hard ones if given.

    Inputs: `y_true` item ids (batch,) (None: all differ), `y_pred` stacked embeddings (batch, towers, dimensions):
    query, item, and in columns 2, … hard negatives, which count for every row of the batch.

    Args:
        temperature, symmetric: see `info_nce`; the reverse direction sees queries only, no hard negatives.
        distance: name or `Distance`; its similarity is used.
        ignore_id: rows with this id, and their hard negatives, take part in nothing; None: all do.
        reduction, name, dtype: as for every Keras loss.

    See also: `layers.LearnedScale` learns the temperature; `SigmoidPairLoss` needs smaller batches.
    """

    def __init__(
        self, temperature=0.05, symmetric=False, distance: str | Distance = "cosine", **kwargs
    ):
        super().__init__(distance, **kwargs)
        self.temperature = checks.number(temperature, "temperature", "InfoNCELoss", above=0)
        self.symmetric = bool(symmetric)

    def of_pairs(self, similarities, relations, hard_similarities, hard_weights):
        """Losses (B,)."""
        return info_nce(
            similarities,
            relations,
            self.temperature,
            self.symmetric,
            hard_similarities,
            hard_weights,
        )

    def get_config(self):
        """Constructor arguments."""
        own = {"temperature": self.temperature, "symmetric": self.symmetric}
        return {**super().get_config(), **own}
