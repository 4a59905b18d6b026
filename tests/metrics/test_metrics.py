"""Metrics in `compile` against loops in NumPy: values, odd batches, compiled runs, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_metric import losses, metrics
from keras_metric.metrics.pair_base import bins_of
from tests.support import BACKEND, numpy

RETRIEVAL = {
    "hit@1": metrics.HitAtK(),
    "hit@3": metrics.HitAtK(3),
    "recall@2": metrics.RecallAtK(2),
    "precision@4": metrics.PrecisionAtK(4),
    "r_precision": metrics.RPrecision(),
    "map@r": metrics.MeanAveragePrecisionAtR(),
    "mrr": metrics.MeanReciprocalRank(),
}
PAIRS = {
    "auc": metrics.VerificationAUC(),
    "eer": metrics.EqualErrorRate(),
    "accuracy": metrics.PairAccuracy(0.8),
}


def fresh(metric, **changes):
    return type(metric).from_config({**metric.get_config(), **changes})


def loops(name, ids, x, relevant=None):
    """Values of the queries that count, in the order of the batch, and their rows; cosine distance in float64."""
    x = np.asarray(x, "float64")
    norms = np.sqrt((x * x).sum(axis=1))
    values, rows = [], []
    for q in range(len(x)):
        others = [j for j in range(len(x)) if j != q]
        distance = [
            1 - (x[q] @ x[j]) / (norms[q] * norms[j]) if norms[q] * norms[j] else 1 for j in others
        ]
        ranked = [others[i] for i in sorted(range(len(others)), key=lambda i: (distance[i], i))]
        rel = [int(relevant[q][j] if relevant is not None else ids[q] == ids[j]) for j in ranked]
        total = sum(rel)
        if not total:
            continue
        k = int(name.split("@")[1]) if name[-1].isdigit() else None
        if name.startswith("hit"):
            value = float(any(rel[:k]))
        elif name.startswith("recall"):
            value = sum(rel[:k]) / total
        elif name.startswith("precision"):
            value = sum(rel[:k]) / k
        elif name == "r_precision":
            value = sum(rel[:total]) / total
        elif name == "map@r":
            value = sum(rel[i] * sum(rel[: i + 1]) / (i + 1) for i in range(total)) / total
        else:
            value = 1 / (rel.index(1) + 1)
        values.append(value)
        rows.append(q)
    return np.array(values), rows


def batch(seed, rows=24, classes=6, dimensions=5):
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, classes, rows)
    return ids, (rng.normal(size=(rows, dimensions)) + 0.7 * ids[:, None] % 3).astype("float32")


@pytest.mark.parametrize("name", RETRIEVAL)
def test_retrieval_metrics_are_the_loops_over_all_batches(name):
    metric = fresh(RETRIEVAL[name])
    assert metric.name == name
    every = []
    for seed in range(3):
        ids, x = batch(seed)
        metric.update_state(ids, x)
        every.append(loops(name, ids, x)[0])
    np.testing.assert_allclose(float(metric.result()), np.concatenate(every).mean(), rtol=1e-5)
    metric.reset_state()
    metric.update_state(ids[:, None], x)
    np.testing.assert_allclose(float(metric.result()), every[-1].mean(), rtol=1e-5)


def test_by_hand():
    # Distances from row 0: row 1 (same) 0, row 2 (other) about 0.3, row 3 (same) 1: relevance 1, 0, 1.
    x = np.array([[1, 0], [2, 0], [1, 1], [0, 1]], "float32")
    ids, weights = np.array([7, 7, 8, 7]), np.array([1, 0, 0, 0], "float32")
    expected = {
        "hit@1": 1, "recall@2": 1 / 2, "precision@4": 2 / 4, "r_precision": 1 / 2, "map@r": 1 / 2, "mrr": 1,
    }  # fmt: skip
    for name, value in expected.items():
        metric = fresh(RETRIEVAL[name])
        metric.update_state(ids, x, weights)
        np.testing.assert_allclose(float(metric.result()), value, rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", RETRIEVAL)
def test_ties_rank_in_the_order_of_the_batch(name):
    rng = np.random.default_rng(4)
    x = np.eye(3, dtype="float32")[rng.integers(0, 3, 20)]  # distances of 0 and 1 only
    ids = rng.integers(0, 4, 20)
    metric = fresh(RETRIEVAL[name])
    metric.update_state(ids, x)
    np.testing.assert_allclose(float(metric.result()), loops(name, ids, x)[0].mean(), rtol=1e-5)


@pytest.mark.parametrize("name", RETRIEVAL)
def test_sample_weight_weighs_queries(name):
    ids, x = batch(3)
    weights = np.random.default_rng(0).random(len(ids)).astype("float32")
    metric = fresh(RETRIEVAL[name])
    metric.update_state(ids, x, weights)
    values, rows = loops(name, ids, x)
    expected = (values * weights[rows]).sum() / weights[rows].sum()
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-5)


@pytest.mark.parametrize("shift", [2**24, 2**53, -(2**53), 2**62])
def test_large_ids_stay_apart(shift):
    ids, x = batch(5)
    metric = fresh(RETRIEVAL["hit@1"])
    metric.update_state(ids + shift, x)
    np.testing.assert_allclose(float(metric.result()), loops("hit@1", ids, x)[0].mean(), rtol=1e-6)


def test_rows_without_a_relevant_item_do_not_count_and_nothing_gives_nan():
    x = np.eye(4, dtype="float32")
    metric = metrics.HitAtK(1)
    assert np.isnan(float(metric.result()))
    metric.update_state(np.arange(4), x)
    assert np.isnan(float(metric.result()))
    metric.update_state(np.array([0, 0, 1, 2]), x[[0, 0, 1, 2]])  # only two rows have a partner
    assert float(metric.result()) == 1.0


def test_a_nan_embedding_is_not_a_hit():
    ids, x = batch(6)
    x[3, 1] = np.nan
    metric = metrics.HitAtK(1)
    metric.update_state(ids, x)
    assert np.isnan(float(metric.result()))


def test_ignored_rows_and_shared_classes():
    ids, x = batch(7)
    kept = ids != 2
    metric = metrics.RPrecision(ignore_id=2)
    metric.update_state(ids, x)
    expected = loops("r_precision", ids[kept], x[kept])[0].mean()
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-5)
    hot = np.random.default_rng(1).integers(0, 2, (24, 4))
    metric = metrics.MeanAveragePrecisionAtR(relation="overlap", distance="euclidean")
    unit = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(
        "float32"
    )  # then Euclidean ranks as cosine
    metric.update_state(hot, unit)
    expected = loops("map@r", None, unit, hot @ hot.T > 0)[0].mean()
    np.testing.assert_allclose(float(metric.result()), expected, rtol=1e-5)


def pair_batch(seed, n=200):
    rng = np.random.default_rng(seed)
    same = rng.integers(0, 2, n)
    return same, (rng.gamma(4.0, 0.2, n) + 0.5 * (1 - same)).astype("float32")


def brute_auc(same, distances, weights):
    closer = distances[same == 1][:, None] < distances[same == 0][None, :]
    tied = distances[same == 1][:, None] == distances[same == 0][None, :]
    both = weights[same == 1][:, None] * weights[same == 0][None, :]
    return ((closer + 0.5 * tied) * both).sum() / both.sum()


def brute_eer(same, distances):
    points = [(0.0, 1.0)]
    for threshold in np.unique(distances):
        told = distances <= threshold
        points.append((told[same == 0].mean(), 1 - told[same == 1].mean()))
    for (far, frr), (next_far, next_frr) in zip(points, points[1:], strict=False):
        if next_far >= next_frr:
            step = (frr - far) / ((next_far - far) + (frr - next_frr))
            return far + step * (next_far - far)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_pair_metrics_are_the_loops_over_all_batches(shape):
    several = [pair_batch(seed) for seed in range(3)]
    same, distances = (np.concatenate(part) for part in zip(*several, strict=True))
    made = {name: fresh(metric) for name, metric in PAIRS.items()}
    for some_same, some_distances in several:
        for metric in made.values():
            metric.update_state(some_same.reshape(shape), some_distances.reshape(shape))
    expected = {
        "auc": brute_auc(same, distances, np.ones(len(same))),
        "eer": brute_eer(same, distances),
        "accuracy": ((distances <= 0.8) == (same == 1)).mean(),
    }
    for name, metric in made.items():
        assert metric.name == name
        np.testing.assert_allclose(float(metric.result()), expected[name], atol=1e-3, err_msg=name)


def test_pair_metrics_take_weights():
    same, distances = pair_batch(9)
    weights = np.random.default_rng(1).random(len(same)).astype("float32")
    auc, accuracy = fresh(PAIRS["auc"]), fresh(PAIRS["accuracy"])
    auc.update_state(same, distances, weights)
    accuracy.update_state(same, distances, weights)
    np.testing.assert_allclose(float(auc.result()), brute_auc(same, distances, weights), atol=1e-3)
    right = (((distances <= 0.8) == (same == 1)) * weights).sum() / weights.sum()
    np.testing.assert_allclose(float(accuracy.result()), right, rtol=1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_pair_metrics_do_not_hide_what_is_missing(name):
    metric = fresh(PAIRS[name])
    assert np.isnan(float(metric.result()))
    if name != "accuracy":
        metric.update_state(np.ones(3), np.arange(3.0))
        assert np.isnan(float(metric.result()))
    metric.reset_state()
    metric.update_state(np.array([1, 0, 1]), np.array([0.1, np.nan, 0.3], "float32"))
    assert np.isnan(float(metric.result()))
    metric.reset_state()
    metric.update_state(np.array([1, 0, 2]), np.array([0.1, 0.2, 0.3], "float32"))  # class ids
    assert np.isnan(float(metric.result()))


def test_perfect_reversed_and_equal_distances():
    same = np.array([1, 1, 0, 0, 0])
    for distances, auc, eer in [
        ([0.1, 0.2, 0.3, 0.4, 9e9], 1, 0),
        ([5, 6, 1, 2, -3], 0, 1),
        ([1.0] * 5, 0.5, 0.5),
    ]:
        for metric, value in ((metrics.VerificationAUC(), auc), (metrics.EqualErrorRate(), eer)):
            metric.update_state(same, np.array(distances, "float32"))
            np.testing.assert_allclose(float(metric.result()), value, atol=1e-6)


def test_bins_rise_with_the_distance_and_are_fine():
    distances = np.concatenate([[-1e7, -1.0, -1e-3, 0.0], np.geomspace(1e-3, 1e5, 5000), [1e30]])
    bins = numpy(bins_of(ops.convert_to_tensor(distances.astype("float32"))))
    assert (np.diff(bins) >= 0).all() and bins[0] >= 0 and bins[-1] < 2**15
    close = np.arange(0.9, 1.1, 0.0016).astype("float32")
    assert len(set(numpy(bins_of(ops.convert_to_tensor(close))))) >= 0.9 * len(close)


@pytest.mark.parametrize("metric", [*RETRIEVAL.values(), *PAIRS.values()], ids=lambda m: m.name)
def test_configs_and_names_round_trip(metric):
    config = keras.saving.serialize_keras_object(metric)
    again = keras.saving.deserialize_keras_object(config)
    assert type(again) is type(metric) and again.get_config() == metric.get_config()
    named = metrics.get(metric.name)
    assert type(named) is type(metric)
    if metric.name != "accuracy":
        assert named.get_config() == metric.get_config()
    assert metrics.get(metric) is metric


def test_changed_configs_round_trip():
    metric = metrics.HitAtK(
        4, distance="euclidean", relation="overlap", ignore_id=3, name="mine", dtype="float32"
    )
    again = metrics.HitAtK.from_config(metric.get_config())
    assert (again.k, again.relation, again.ignore_id, again.name) == (4, "overlap", 3, "mine")
    assert type(again.distance).__name__ == "EuclideanDistance"
    assert metrics.PairAccuracy.from_config(metrics.PairAccuracy(0.25).get_config()).threshold == 0.25  # fmt: skip


def test_names():
    assert metrics.get("recall@7").k == 7 and metrics.get("hit").k == 1
    assert type(metrics.get("hit_at_k")) is metrics.HitAtK
    assert type(metrics.get("equal_error_rate")) is metrics.EqualErrorRate
    with pytest.raises(ValueError, match="Unknown metric name 'hits'.*Did you mean 'hit'"):
        metrics.get("hits@3")


def test_wrong_input_is_refused():
    with pytest.raises(ValueError, match="`k` of HitAtK must be a whole number >= 1"):
        metrics.HitAtK(0)
    with pytest.raises(ValueError, match=r"`y_pred` of HitAtK must have the shape \(batch, dimen"):
        metrics.HitAtK().update_state(np.zeros(3, int), np.zeros((3, 2, 2), "float32"))
    with pytest.raises(ValueError, match="same number of rows"):
        metrics.HitAtK().update_state(np.zeros(2, int), np.zeros((3, 2), "float32"))
    with pytest.raises(
        ValueError, match=r"`y_pred` of EqualErrorRate must have the shape \(batch,"
    ):
        metrics.EqualErrorRate().update_state(np.zeros(3), np.zeros((3, 2), "float32"))
    with pytest.raises(ValueError, match="`threshold` of PairAccuracy"):
        metrics.PairAccuracy(float("nan"))


MODES = [{"run_eagerly": True}, {"jit_compile": False}]
MODES += [] if BACKEND == "torch" else [{"jit_compile": True}]


def evaluated(x, y, made, batch_size, **mode):
    """Logs of evaluating a model that passes x through."""
    inputs = keras.Input(x.shape[1:])
    outputs = keras.layers.Identity()(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(loss=lambda y_true, y_pred: 0.0 * ops.sum(y_pred, axis=1), metrics=made, **mode)
    return model.evaluate(x, y, batch_size=batch_size, verbose=0, return_dict=True)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_evaluate_gives_the_same_in_every_mode(mode):
    ids, x = batch(11, rows=40)
    made = [fresh(metric) for metric in RETRIEVAL.values()]
    logs = evaluated(x, ids, made, 16, **mode)  # the last batch is smaller
    for name in RETRIEVAL:
        parts = [loops(name, ids[i : i + 16], x[i : i + 16])[0] for i in (0, 16, 32)]
        np.testing.assert_allclose(
            logs[name], np.concatenate(parts).mean(), rtol=1e-5, err_msg=name
        )
    same, distances = pair_batch(12)
    logs = evaluated(distances[:, None], same, [fresh(m) for m in PAIRS.values()], 64, **mode)
    np.testing.assert_allclose(logs["auc"], brute_auc(same, distances, np.ones(200)), atol=1e-3)
    np.testing.assert_allclose(logs["eer"], brute_eer(same, distances), atol=1e-3)
    np.testing.assert_allclose(
        logs["accuracy"], ((distances <= 0.8) == (same == 1)).mean(), rtol=1e-5
    )


@pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.function is TensorFlow's")
@pytest.mark.parametrize("name", RETRIEVAL)
def test_a_replica_may_get_no_row(name):
    import tensorflow as tf

    metric = fresh(RETRIEVAL[name])
    update = tf.function(
        metric.update_state,
        input_signature=[tf.TensorSpec([None], "int64"), tf.TensorSpec([None, 5])],
    )
    ids, x = batch(14)
    update(ids, x)
    expected = numpy(metric.result())
    update(ids[:0], x[:0])
    assert numpy(metric.result()) == expected


def test_models_with_metrics_save_and_train(tmp_path):
    ids, x = batch(13, rows=48)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    model.compile("sgd", losses.TripletLoss(), metrics=[metrics.HitAtK(2), metrics.get("map@r")])
    history = model.fit(x, ids, batch_size=16, verbose=0, epochs=2)
    assert {"hit@2", "map@r"} <= set(history.history)
    assert 0 < history.history["hit@2"][-1] <= 1
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    first, second = (m.evaluate(x, ids, verbose=0, return_dict=True) for m in (model, again))
    assert first == pytest.approx(second, rel=1e-5)
