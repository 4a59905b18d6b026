"""Triplet loss."""

from keras_metric import checks
from keras_metric.distances import Distance
from keras_metric.losses.base import LOSSES, EmbeddingLoss
from keras_metric.miners import Miner
from keras_metric.tensors.averaging import average, check_averaging
from keras_metric.tensors.triplet_sums import sums_of_all_triplets


def triplet_loss(sums, averaging="active_terms"):
    """Averages the sums of triplet terms that a miner gives.

        term = [d_ap − d_an + margin]+        or, with margin=None, log(1 + exp(d_ap − d_an))

    Args:
        sums: `TripletSums` of each anchor, (batch,) each, from `Miner.triplet_sums`.
        averaging: `"active_terms"`, `"terms"` or `"anchors"`.

    Returns:
        Losses of shape (batch,), whose mean is the wanted average. Anchors without a triplet give 0.

    References:
        Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering", CVPR
        2015, arXiv:1503.03832, equation 2; soft margin: Hermans, Beyer and Leibe, "In Defense of the Triplet Loss",
        2017, arXiv:1703.07737, section 2. With swap: Balntas et al., "Learning local feature descriptors with triplets
        and shallow convolutional neural networks", BMVC 2016, section 2.2.
    """
    return average(sums.sums, sums.counts, sums.active, averaging)


@LOSSES.register("triplet")
class TripletLoss(EmbeddingLoss):
    """Pulls a positive closer to the anchor than a negative by a margin.

    Inputs: `y_true` class ids (batch,), `y_pred` embeddings (batch, dimensions); batches with 2 or more
    examples of a class (`data.pk_batches`).

    Args:
        margin: >= 0, in units of the distance; None for the soft margin, log(1 + exp(d_ap − d_an)).
        distance: name or `Distance`.
        miner: name or `Miner`: `"semi_hard"`, `"all"`, `"hardest"`, `"easy_positive"`, …
        swap: replace d_an by min(d_an, d_pn), after mining.
        averaging: `"active_terms"` mean over triplets that cost something; `"terms"` over all chosen ones; `"anchors"`
            mean over anchors of each one's mean. With `margin=None` every term is active.
        relation, ignore_id, reduction, name, dtype: as in `EmbeddingLoss`.

    Equal to other libraries:
        `miner="semi_hard", margin=1.0, distance="squared_euclidean", averaging="terms"` is TensorFlow Addons'
        `TripletSemiHardLoss` with "squared-L2"; `miner="hardest", averaging="terms"` is its `TripletHardLoss` where
        every class has two examples (theirs also counts anchors that have no positive).

    See also: `MultiSimilarityLoss` and `CircleLoss` weigh pairs themselves; `losses.SiameseTripletLoss` takes the
    distances of given triplets.
    """

    def __init__(
        self,
        margin: float | None = 0.2,
        distance: str | Distance = "euclidean",
        miner: str | Miner = "semi_hard",
        swap=False,
        averaging="active_terms",
        **kwargs,
    ):
        super().__init__(distance, miner, **kwargs)
        owner = "TripletLoss"
        self.margin = None if margin is None else checks.number(margin, "margin", owner, at_least=0)
        self.swap = bool(swap)
        self.averaging = check_averaging(averaging, owner)

    def per_anchor(self, distances, relations, rows):
        """Losses (B,) from distances and relations (B, N)."""
        between = None
        if self.swap:
            references = rows[1]
            between = distances if rows[0] is references else self.distance.pairwise(references)
        if type(self.miner).triplet_sums is Miner.triplet_sums:
            # By similarities, as `mine_pairs` says: an ε on cosines is none on angles.
            pairs = self.mine_pairs(distances, relations, rows)
            sums = sums_of_all_triplets(distances, pairs, self.margin, between)
        else:
            sums = self.miner.triplet_sums(distances, relations, self.margin, rows, between)
        return triplet_loss(sums, self.averaging)

    def get_config(self):
        """Constructor arguments."""
        own = {"margin": self.margin, "swap": self.swap, "averaging": self.averaging}
        return {**super().get_config(), **own}
