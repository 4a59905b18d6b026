"""Episodes: given ones, random ones, and the fixed runs of Omniglot."""

import io
import math
import zipfile

import keras
import numpy as np
import pytest

from keras_metric.evaluation import few_shot, omniglot_runs, one_shot
from tests.shared_data import shared


def episodes(seed=0, noise=0.8):
    random = np.random.default_rng(seed)
    support = random.normal(size=(12, 6, 5))
    answers = np.stack([random.permutation(6) for _ in range(12)])
    queries = np.take_along_axis(support, answers[:, :, None], axis=1)
    return support, queries + noise * random.normal(size=queries.shape), answers


# -- given episodes ------------------------------------------------------------------------------------------------


def test_against_loops():
    support, queries, answers = episodes()
    expected = []
    for s, q, a in zip(support, queries, answers, strict=True):
        right = 0
        for one, answer in zip(q, a, strict=True):
            cosines = [v @ one / np.linalg.norm(v) / np.linalg.norm(one) for v in s]
            right += int(np.argmax(cosines)) == answer
        expected.append(right / 6)
    result = one_shot(support, queries, answers)
    np.testing.assert_allclose(result.per_episode, expected)
    assert result["accuracy"] == pytest.approx(np.mean(expected)) and 0.3 < result["accuracy"] < 1
    half = 1.959964 * np.std(expected, ddof=1) / math.sqrt(12)
    assert result["high"] - result["accuracy"] == pytest.approx(half, rel=1e-6)
    assert result["accuracy"] - result["low"] == pytest.approx(half, rel=1e-6)
    np.testing.assert_allclose((result.predictions == answers).mean(axis=1), expected)


def test_distances_and_confidence():
    support, queries, answers = episodes()
    plain = one_shot(support, queries, answers, "euclidean")
    scaled = one_shot(support, queries * 9, answers, "euclidean")
    assert plain["accuracy"] > scaled["accuracy"]
    wide = one_shot(support, queries, answers, confidence=0.99)
    narrow = one_shot(support, queries, answers, confidence=0.5)
    assert wide["low"] < narrow["low"] < narrow["high"] < wide["high"]


def test_one_episode_has_no_interval():
    support, queries, answers = episodes(noise=0.0)
    result = one_shot(support[:1], queries[:1], answers[:1])
    assert result["accuracy"] == 1 and math.isnan(result["low"]) and math.isnan(result["high"])


def test_the_first_of_equals_wins():
    result = one_shot(np.ones((2, 4, 3)), np.ones((2, 4, 3)), np.tile(np.arange(4), (2, 1)))
    assert result["accuracy"] == 0.25


def test_bad_episodes():
    support, queries, answers = episodes()

    def refused(match, *args, **kwargs):
        with pytest.raises(ValueError, match=match):
            one_shot(*args, **kwargs)

    refused("as many episodes and dimensions", support[:3], queries, answers)
    refused("as many episodes and dimensions", support[..., :2], queries, answers)
    refused(
        r"`answers` of one_shot must have the shape \(12, 6\)", support, queries, answers[:, 1:]
    )
    refused("whole numbers from 0 to 5", support, queries, answers + 1)
    refused(r"\(episodes, items, dimensions\)", support[0], queries, answers)
    refused("`confidence` of one_shot", support, queries, answers, confidence=95)
    queries[2, 3] = np.nan
    refused("`queries` of one_shot must be finite", support, queries, answers)


# -- random episodes -----------------------------------------------------------------------------------------------


def classes(spread=0.1, per_class=12, number=9, seed=0):
    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(number), per_class))
    return random.normal(size=(number, 8))[labels] + spread * random.normal(
        size=(len(labels), 8)
    ), labels


@pytest.mark.parametrize("prototype", ["mean", "nearest"])
@pytest.mark.parametrize("distance", ["cosine", "euclidean", "manhattan"])
def test_separated_classes(prototype, distance):
    x, labels = classes(0.02)
    result = few_shot(
        x, labels, shots=2, queries=3, episodes=4, prototype=prototype, distance=distance
    )
    assert result["accuracy"] == result["low"] == result["high"] == 1
    assert result.per_episode.shape == (4,)


def test_chance_without_classes():
    random = np.random.default_rng(0)
    x, labels = random.normal(size=(400, 8)), np.arange(400) % 20
    result = few_shot(x, labels, ways=5, shots=1, queries=10, episodes=300, confidence=0.999)
    assert result["low"] < 0.2 < result["high"]
    assert result["high"] - result["low"] < 0.05


def test_more_shots_help():
    x, labels = classes(2.0, per_class=30)
    one, five = (few_shot(x, labels, shots=k, episodes=200)["accuracy"] for k in (1, 5))
    assert five > one + 0.05


def test_the_seed_decides():
    x, labels = classes(1.5, per_class=20)
    first, again, other = (few_shot(x, labels, episodes=20, seed=s, shots=1) for s in (1, 1, 2))
    np.testing.assert_array_equal(first.per_episode, again.per_episode)
    assert (first.per_episode != other.per_episode).any()


def test_a_query_is_never_an_example():
    # Every row is alone in space: only a row that met itself would be told better than by chance.
    x, labels = np.eye(40), np.arange(40) % 4
    result = few_shot(x, labels, ways=4, shots=5, queries=5, episodes=30, prototype="nearest")
    assert result["accuracy"] == pytest.approx(0.25)


def test_small_classes_take_no_part():
    x, labels = classes(per_class=6)
    labels[labels == 0] = np.arange(100, 106)
    few_shot(x, labels, ways=8, shots=1, queries=5, episodes=2)
    with pytest.raises(ValueError, match=r"9 classes \(`ways`\) of 6 rows or more.*Received: 8"):
        few_shot(x, labels, ways=9, shots=1, queries=5, episodes=2)


def test_bad_arguments():
    x, labels = classes()
    for name, value in (("ways", 1), ("shots", 0), ("queries", 0), ("episodes", 0), ("shots", 1.5)):
        with pytest.raises(ValueError, match=f"`{name}` of few_shot must be a whole number"):
            few_shot(x, labels, **{name: value})
    with pytest.raises(ValueError, match="`prototype` of few_shot"):
        few_shot(x, labels, queries=2, prototype="median")
    with pytest.raises(ValueError, match="`x` and `labels` of few_shot"):
        few_shot(x, labels[1:])


# -- the runs of Omniglot ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs():
    pytest.importorskip("PIL")
    return omniglot_runs(shared("omniglot", "all_runs.zip"))


def test_shapes_of_the_runs(runs):
    assert runs.support.shape == runs.queries.shape == (20, 20, 105, 105, 1)
    assert runs.support.dtype == np.uint8 and set(np.unique(runs.support)) == {0, 255}
    assert 0.9 < (runs.support == 255).mean() < 0.95  # paper
    np.testing.assert_array_equal(np.sort(runs.answers), np.tile(np.arange(20), (20, 1)))
    # As written in run01/class_labels.txt.
    assert runs.answers[0, :3].tolist() == [7, 8, 1]


def test_the_demo_of_the_repository(runs):
    # Its modified Hausdorff distance errs at 38.8 % over all runs; the first three are enough to know the answers by.
    wrong = []
    for support, queries, answers in zip(*(part[:3] for part in runs), strict=True):
        support, queries = ([_ink(image) for image in part] for part in (support, queries))
        for query, answer in zip(queries, answers, strict=True):
            wrong.append(int(np.argmin([_hausdorff(query, one) for one in support])) != answer)
    assert 0.2 < np.mean(wrong) < 0.6  # by chance 0.95


def _ink(image):
    points = np.argwhere(image[:, :, 0] == 0)[::4].astype("float32")
    return points - points.mean(axis=0)


def _hausdorff(a, b):
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
    gaps = np.sqrt(np.maximum(squares, 0))
    return max(gaps.min(axis=0).mean(), gaps.min(axis=1).mean())


def test_an_encoder_on_the_runs(runs):
    encoder = keras.Sequential(
        [keras.Input((105, 105, 1)), keras.layers.AveragePooling2D(5), keras.layers.Flatten()]
    )
    result = one_shot(*runs.embedded(encoder, lambda images: 1 - images / 255))
    pixels = one_shot(*runs.embedded(lambda images: images.reshape(len(images), -1) < 128))
    assert result["accuracy"] > pixels["accuracy"] > 0.15  # by chance 0.05
    with pytest.raises(ValueError, match=r"`encoder` of embedded must give .* \(800, dimensions\)"):
        runs.embedded(lambda images: images)


def test_the_unpacked_folder(runs, tmp_path):
    with zipfile.ZipFile(shared("omniglot", "all_runs.zip")) as archive:
        archive.extractall(tmp_path, [n for n in archive.namelist() if n.startswith("run0")])
    some = omniglot_runs(tmp_path)
    assert len(some.answers) == 9
    np.testing.assert_array_equal(some.queries, runs.queries[:9])
    np.testing.assert_array_equal(some.answers, runs.answers[:9])


def _zip(path, **files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_files_that_are_no_runs(tmp_path):
    with pytest.raises(FileNotFoundError):
        omniglot_runs(tmp_path / "nothing.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ValueError, match="must be a zip file or a folder"):
        omniglot_runs(tmp_path / "text.zip")
    with pytest.raises(ValueError, match="must hold folders run01"):
        omniglot_runs(_zip(tmp_path / "other.zip", readme="nothing"))
    labels = "run01/test/item01.png run01/training/class01.png\n"
    with pytest.raises(ValueError, match=r"run01 of omniglot_runs is not whole.*class01.png"):
        omniglot_runs(_zip(tmp_path / "few.zip", **{"run01/class_labels.txt": labels}))
    broken = {"run01/test/item01.png": b"x", "run01/training/class01.png": io.BytesIO().getvalue()}
    with pytest.raises(ValueError, match="run01 of omniglot_runs is not whole"):
        omniglot_runs(_zip(tmp_path / "broken.zip", **{"run01/class_labels.txt": labels, **broken}))
