"""The metric-learning losses of TensorFlow Addons 0.23: the same names, arguments, defaults and values.

    from keras_metric.compat import addons as tfa

    model.compile("adam", loss=tfa.losses.TripletSemiHardLoss())

What is deliberately different, because the original gives NaN, crashes or trains on nothing:

* A batch without a positive pair, or without a negative, gives 0 with a zero gradient.
* Rows without a positive or a negative are left out of value and denominator; `TripletHardLoss` of Addons counts them.
* The soft margin does not overflow.
* Class ids are compared as integers of any size. Functions given to `compile` get ids that Keras has cast to float:
  for ids from 2^24 up use the classes.
* `reduction` is kept instead of swallowed. Classes return one value a row, whose mean is the original's scalar, so that
  `sample_weight` works: the weight of a row multiplies what that row adds as an anchor, and Keras divides by the number
  of rows. The functions return the original's scalar (`contrastive_loss`: one value a row).
* float64 works; float16 and bfloat16 are computed, and returned, in float32.

Import this module before loading a `.keras` file that holds one of its classes.
"""

from keras_metric.compat.addons import losses
from keras_metric.compat.addons.contrastive import ContrastiveLoss, contrastive_loss
from keras_metric.compat.addons.lifted_struct import LiftedStructLoss, lifted_struct_loss
from keras_metric.compat.addons.npairs import NpairsLoss, npairs_loss
from keras_metric.compat.addons.npairs_multilabel import (
    NpairsMultilabelLoss,
    npairs_multilabel_loss,
)
from keras_metric.compat.addons.triplet_hard import TripletHardLoss, triplet_hard_loss
from keras_metric.compat.addons.triplet_semihard import TripletSemiHardLoss, triplet_semihard_loss

__all__ = [
    "ContrastiveLoss",
    "LiftedStructLoss",
    "NpairsLoss",
    "NpairsMultilabelLoss",
    "TripletHardLoss",
    "TripletSemiHardLoss",
    "contrastive_loss",
    "lifted_struct_loss",
    "losses",
    "npairs_loss",
    "npairs_multilabel_loss",
    "triplet_hard_loss",
    "triplet_semihard_loss",
]
