"""Two towers: queries and items in one embedding space."""

import keras

from keras_metric import checks
from keras_metric.layers import JoinBatches, StackTowers
from keras_metric.models.encoders import checked_encoder, embed, inputs_like


def two_tower(query_encoder, item_encoder, negatives=0):
    """A model from a query, its item and hard negative items to stacked embeddings.

        model = two_tower(query_encoder, item_encoder)
        model.compile("adam", loss=keras_metric.losses.InfoNCELoss())
        model.fit([queries, items], item_ids)

    Each tower runs once: the item tower on the items and all negatives together.

    Args:
        query_encoder: model or layer from a query to embeddings (B, D); becomes the layer `query_encoder`.
        item_encoder: the same for items; becomes the layer `item_encoder`. If it is the query encoder itself, the
            model has one layer `encoder`, which runs once on everything.
        negatives: number of hard negatives given with each row, >= 0; each is one more input like the item.

    Returns:
        A functional `keras.Model` with the inputs `[query, item, negative_1, …]` and the output (B, 2 + negatives, D).

    Raises:
        TypeError: if an encoder is no Keras layer.
        ValueError: if an input shape is unknown, an output is not (B, D), or the two towers differ in D.
    """
    owner = "two_tower"
    query_encoder = checked_encoder(query_encoder, owner, "query_encoder")
    item_encoder = checked_encoder(item_encoder, owner, "item_encoder")
    negatives = checks.whole(negatives, "negatives", owner, at_least=0)
    query = inputs_like(query_encoder, "query")
    items = [inputs_like(item_encoder, "item")]
    items += [inputs_like(item_encoder, f"negative_{k + 1}") for k in range(negatives)]
    if query_encoder is item_encoder:
        everything = JoinBatches(name="join")([query, *items])
        stacked = StackTowers(2 + negatives, name="towers")(embed(item_encoder, everything, owner))
        return keras.Model([query, *items], stacked, name=owner)
    queries = embed(query_encoder, query, owner, "query_encoder")
    joined = JoinBatches(name="join")(items) if negatives else items[0]
    embedded = embed(item_encoder, joined, owner, "item_encoder")
    if queries.shape[-1] != embedded.shape[-1]:
        raise ValueError(
            "`query_encoder` and `item_encoder` of two_tower must give embeddings of the same number of dimensions. "
            f"Received: {queries.shape[-1]} and {embedded.shape[-1]}. End both with a Dense layer of one width."
        )
    stacked = StackTowers([1, 1 + negatives], name="towers")([queries, embedded])
    return keras.Model([query, *items], stacked, name=owner)
