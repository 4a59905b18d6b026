"""What every registered loss promises, whatever it computes. A new loss is covered once it is registered."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import losses
from tests.losses.cases import (
    CLASSES,
    DIMENSIONS,
    LABELS,
    batch,
    embedding_losses,
    hard_batches,
    hard_embeddings,
    kind_of,
    make,
)
from tests.support import BACKEND, differentiated, numpy

EVERY = losses.LOSSES.names()
EMBEDDING = embedding_losses()
WITH_IDS = [name for name in EVERY if "ignore_id" in make(name).get_config()]
ONE_RELATION = [name for name in EMBEDDING if name != "matryoshka"]  # has its inner loss's


@pytest.mark.parametrize("name", EVERY)
def test_finite_on_the_torture_grid(name):
    variants = [{}]
    if "temperature" in make(name).get_config():
        variants.append({"temperature": 0.01})
    for arguments in variants:
        step = differentiated(make(name, **arguments))
        for case, (labels, x) in hard_batches(name).items():
            value, gradient = step(labels, x)
            assert np.isfinite(value), (case, arguments, value)
            assert np.isfinite(gradient).all(), (case, arguments)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"][: 1 if BACKEND == "jax" else 2])
@pytest.mark.parametrize("name", EVERY)
def test_half_precision_is_computed_in_float32(name, dtype):
    """The value is that of the same numbers in float32; so is the gradient, rounded."""
    cases = [batch(name)]
    if BACKEND != "jax":  # the same casts, compiled slowly there
        hard = hard_batches(name)
        cases += [hard[c] for c in ("opposite", "all zero", "norm 1e4", "norm 1e-6") if c in hard]
    for labels, points in cases:
        half = ops.cast(np.asarray(points, "float32"), dtype)
        same = numpy(ops.cast(half, "float32"))
        loss = make(name)
        value, gradient = differentiated(loss)(labels, same)
        through = differentiated(lambda y, e, f=loss: f(y, ops.cast(e, dtype)))(labels, same)
        assert np.isfinite(value) and np.isfinite(gradient).all()
        np.testing.assert_allclose(through[0], value, rtol=1e-6)
        # What float16 cannot hold (a slope of 1e6 at a row of length 1e-6) is infinite, never NaN.
        rounded = numpy(ops.cast(ops.cast(gradient.astype("float32"), dtype), "float32"))
        np.testing.assert_allclose(through[1], rounded, rtol=1e-2)


# A class by itself can still be drawn together or spread, and singletons can be pushed apart; elsewhere neither costs.
LEARNS_FROM = {
    "one class": {"contrastive", "sup_con", "margin", "recall_at_k_surrogate", "threshold_consistent_margin"},
    "all singletons": {"contrastive", "threshold_consistent_margin"},
}  # fmt: skip


@pytest.mark.parametrize("case", ["one row", "one class", "all singletons"])
@pytest.mark.parametrize("name", EMBEDDING)
def test_nothing_to_learn_costs_nothing(name, case):
    labels, x = hard_embeddings()[case]
    value, gradient = differentiated(make(name))(labels, x)
    if name in LEARNS_FROM.get(case, ()):
        assert value > 0
        assert gradient.any()
    else:
        assert value == 0
        assert not gradient.any()


@pytest.mark.parametrize("name", [n for n in WITH_IDS if n != "matryoshka"])
def test_rows_that_are_all_ignored_cost_nothing(name):
    y, x = batch(name)
    value, gradient = differentiated(make(name, ignore_id=7))(np.full(len(y), 7), x)
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("name", [n for n in WITH_IDS if n != "matryoshka"])
def test_ignored_rows_take_part_in_nothing(name):
    y, x = batch(name)
    kept = y != 5
    value, gradient = differentiated(make(name, ignore_id=5))(y, x)
    alone, gradient_alone = differentiated(make(name))(y[kept], x[kept])
    np.testing.assert_allclose(value, alone, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient[kept], gradient_alone, rtol=1e-3, atol=1e-5)
    assert not gradient[~kept].any()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", EVERY)
def test_a_row_that_is_not_finite_is_seen_in_the_loss(name, bad):
    """A mask or a floor must not turn a diverged encoder's embeddings into a plausible number."""
    y, x = batch(name)
    x[2] = bad
    assert not np.isfinite(numpy(make(name)(y, x)))


@pytest.mark.parametrize("name", EVERY)
def test_order_of_the_batch_does_not_matter(name):
    y, x = batch(name)
    order = np.random.default_rng(3).permutation(len(y))
    step = differentiated(make(name))
    value, gradient = step(y, x)
    shuffled, gradient_shuffled = step(y[order], x[order])
    np.testing.assert_allclose(shuffled, value, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(gradient_shuffled, gradient[order], rtol=1e-3, atol=1e-5)


SHIFTS = [2**24, 2**30] if BACKEND == "jax" else [2**24, 2**53]


@pytest.mark.parametrize("name", [n for n in WITH_IDS if kind_of(n) != "proxy"])
def test_large_ids_are_told_apart(name):
    y, x = batch(name)
    y = np.unique(y, return_inverse=True)[1].astype("int64")
    expected = numpy(make(name)(y, x))
    for shift in SHIFTS:
        for ids in (y + shift, (y + shift)[:, None], -y - shift, (y + shift).tolist()):
            np.testing.assert_allclose(numpy(make(name)(ids, x)), expected, rtol=1e-6)
        tensor = ops.convert_to_tensor(y + shift, dtype="int64")
        np.testing.assert_allclose(numpy(make(name)(tensor, x)), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "uint32", "float32"])
def test_ids_of_any_type(dtype):
    y, x = batch("nt_xent")
    expected = numpy(losses.NTXentLoss()(y, x))
    for ids in (y.astype(dtype), ops.convert_to_tensor(y.astype(dtype))):
        np.testing.assert_allclose(numpy(losses.NTXentLoss()(ids, x)), expected, rtol=1e-6)
        # An ignored id that the type cannot hold is no row's; cast to uint8, −247 would be 9.
        loss = losses.NTXentLoss(ignore_id=-247)
        np.testing.assert_allclose(numpy(loss(ids, x)), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ONE_RELATION)
def test_multi_hot_labels_with_one_class_each_are_ids(name):
    y, x = batch(name)
    multi_hot = np.eye(CLASSES)[y]
    loss = make(name, relation="overlap")
    np.testing.assert_allclose(numpy(loss(multi_hot, x)), numpy(make(name)(y, x)), rtol=1e-5)
    # Sharing one class of several makes a positive: rows 0 and 3 of other ids now share class 0.
    both = multi_hot.copy()
    both[[0, 3], 0] = 1
    assert abs(numpy(loss(both, x)) - numpy(loss(multi_hot, x))) > 1e-7
    # A row with no class but the ignored one takes part in nothing.
    ignoring = numpy(make(name, relation="overlap", ignore_id=5)(multi_hot, x))
    np.testing.assert_allclose(ignoring, numpy(make(name, ignore_id=5)(y, x)), rtol=1e-5)


def test_an_ignored_class_must_be_a_column():
    loss = losses.SupConLoss(relation="overlap", ignore_id=-1)
    with pytest.raises(
        ValueError, match="`ignore_id` of SupConLoss must be a column of the 10 classes"
    ):
        loss(np.eye(CLASSES)[LABELS], batch("sup_con")[1])


@pytest.mark.parametrize("name", EVERY)
def test_rows_reductions_and_sample_weights(name):
    """One value a row, whose mean is the loss; a weight multiplies what its row adds."""
    y, x = batch(name)
    rows = numpy(make(name, reduction="none")(y, x))
    assert rows.shape == (len(y),)
    np.testing.assert_allclose(rows.mean(), numpy(make(name)(y, x)), rtol=1e-5)
    np.testing.assert_allclose(rows.sum(), numpy(make(name, reduction="sum")(y, x)), rtol=1e-5)
    weights = np.linspace(0, 2, len(y)).astype("float32")
    weighted = numpy(make(name)(y, x, sample_weight=weights))
    np.testing.assert_allclose(weighted, np.mean(rows * weights), rtol=1e-5, atol=1e-7)
    averaged = numpy(make(name, reduction="mean_with_sample_weight")(y, x, sample_weight=weights))
    expected = np.sum(rows * weights) / weights.sum()
    np.testing.assert_allclose(averaged, expected, rtol=1e-5, atol=1e-7)


def unusual(name):
    """Arguments unlike the defaults, as far as they can be told from the config."""
    config = make(name).get_config()
    changed = {k: v * 0.75 for k, v in config.items() if isinstance(v, float) and v > 0}
    changed |= {k: not v for k, v in config.items() if isinstance(v, bool)}
    if "averaging" in config:
        changed["averaging"] = "anchors"
    if "ignore_id" in config and name != "matryoshka":
        changed["ignore_id"] = 5
    if "miner" in config:
        changed["miner"] = "easy_positive"
    return changed


@pytest.mark.parametrize("name", EVERY)
def test_config_round_trip(name):
    y, x = batch(name)
    changed = unusual(name)
    loss = make(name, **changed, reduction="sum", name="named", dtype="float32")
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    for again in (keras.saving.deserialize_keras_object(config), losses.get(config)):
        assert type(again) is type(loss)
        assert again.name == "named"
        assert again.get_config() == loss.get_config()
        np.testing.assert_array_equal(numpy(again(y, x)), numpy(loss(y, x)))
    kept = again.get_config()
    for argument, value in changed.items():
        if argument != "miner":
            assert kept[argument] == pytest.approx(value), argument


@pytest.mark.parametrize("name", [n for n in EVERY if n != "matryoshka"])
def test_found_by_short_name(name):
    assert losses.LOSSES.name_of(losses.get(name)) == name
    assert losses.get(name).name == name


@pytest.mark.parametrize("name", EVERY)
def test_wrong_shapes_are_refused(name):
    y, x = batch(name)
    loss = make(name)
    with pytest.raises(ValueError, match="y_pred"):
        loss(y, np.zeros((12, 2, 2, DIMENSIONS), "float32"))
    if kind_of(name) != "triplet" and name not in ("vic_reg", "barlow_twins"):
        with pytest.raises(ValueError, match="rows|y_true"):
            loss(y[:-1], x)
        if kind_of(name) != "pair" and name not in ("info_nce", "sigmoid_pair"):
            with pytest.raises(ValueError, match="`y_true` of .* must be given"):
                loss(None, x)
    if name in WITH_IDS:
        with pytest.raises(ValueError, match="y_true"):
            loss(np.eye(CLASSES)[y % CLASSES], x)
        with pytest.raises(ValueError, match="whole"):
            loss(y + 0.5, x)
        with pytest.raises(ValueError, match="dense_ids"):
            loss(np.array([f"class {i}" for i in y]), x)


@pytest.mark.parametrize("name", ["vic_reg", "barlow_twins", "siamese_triplet"])
def test_losses_without_targets_take_none(name):
    y, x = batch(name)
    np.testing.assert_array_equal(numpy(make(name)(None, x)), numpy(make(name)(y, x)))


def test_siamese_contrastive_takes_same_and_different_only():
    loss, distances = losses.SiameseContrastiveLoss(), np.ones((2, 1), "float32")
    for wrong in ([1, -1], [3, 4]):
        with pytest.raises(
            ValueError, match="`y_true` of SiameseContrastiveLoss must be 1 for same"
        ):
            loss(np.array(wrong), distances)
    with pytest.raises(ValueError, match="must be given"):
        loss(None, distances)


@pytest.mark.parametrize("wrong", ["5", 0.5, float("nan"), [5], True])
def test_ignored_ids_are_whole_numbers(wrong):
    for cls in (losses.SupConLoss, losses.CosFaceLoss, losses.InfoNCELoss):
        with pytest.raises(ValueError, match="`ignore_id` of .* must be a whole number or None"):
            cls(ignore_id=wrong)


def test_arguments_that_would_not_be_used_are_refused():
    made = losses.TripletLoss()
    for loss in (made, keras.saving.serialize_keras_object(made)):
        with pytest.raises(TypeError, match="Arguments go with the name or class of a loss"):
            losses.get(loss, margin=0.5)
    assert losses.get(losses.TripletLoss, margin=0.5).margin == 0.5


def test_unknown_names_and_objects_are_refused():
    with pytest.raises(ValueError, match="Unknown loss name 'tripletloss'.*Did you mean 'triplet'"):
        losses.get("tripletloss")
    with pytest.raises(ValueError, match="Did you mean 'nt_xent'"):
        losses.get("NTXentLoss")
    with pytest.raises(TypeError, match="A loss must be one of"):
        losses.get(3)
    with pytest.raises(ValueError, match="Unknown miner name 'batch_all'"):
        losses.TripletLoss(miner="batch_all")
    with pytest.raises(ValueError, match="Unknown distance name 'l2'"):
        losses.TripletLoss(distance="l2")


@pytest.mark.parametrize("name", ONE_RELATION)
def test_references_besides_the_batch(name):
    """Against more references each anchor gets what it gets in the whole batch; unfilled slots do not count."""
    y, x = batch(name)
    loss = make(name)
    signs = np.where(y[:, None] == y[None, :], 1.0, -1.0).astype("float32")
    np.fill_diagonal(signs, 0)
    x, relations = ops.convert_to_tensor(x), ops.convert_to_tensor(signs)
    whole = numpy(loss.compare(x, x, relations, reference_relations=relations))
    padded = ops.concatenate([x, 3 * ops.ones((5, DIMENSIONS))], axis=0)
    wide, square = np.pad(signs, ((0, 0), (0, 5))), np.pad(signs, ((0, 5), (0, 5)))
    result = loss.compare(
        x, padded, ops.convert_to_tensor(wide), reference_relations=ops.convert_to_tensor(square)
    )
    np.testing.assert_allclose(numpy(result), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ONE_RELATION)
def test_moving_a_positive_closer_never_costs(name):
    """From a batch in two tight groups with one row astray, the way home lowers the loss."""
    rng = np.random.default_rng(6)
    centers = np.eye(DIMENSIONS)[:2]
    labels = np.repeat([0, 1], 4)
    x = centers[labels] + 0.05 * rng.normal(size=(8, DIMENSIONS))
    astray = np.eye(DIMENSIONS)[2]
    values = []
    for share in (0.0, 0.5, 1.0):
        x[0] = (1 - share) * astray + share * centers[0]
        values.append(float(numpy(make(name)(labels, units_of(x)))))
    assert values[0] > values[2], values
    # Smooth ranks of the other positives ripple a little.
    assert values[0] >= values[1] >= values[2] - 0.005, values


def units_of(x):
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype("float32")
