import numpy as np
import pytest

from keras_metric import data
from tests.shared_data import cifar100, prepared_tfds


@pytest.mark.parametrize(
    "name, split, shape, classes",
    [
        ("fashion_mnist", "test", (28, 28, 1), 10),
        ("spoken_digit", "train", None, 10),
        ("omniglot", "small1[:40%]", (105, 105, 3), None),
        ("cifar100", "test[:20%]", (32, 32, 3), 100),
    ],
)
def test_real_builders(name, split, shape, classes):
    folder = prepared_tfds(name)
    dataset = data.from_tfds(
        name, split, data_dir=folder, classes_per_batch=5, examples_per_class=4, seed=1
    )
    x, y = next(dataset.as_numpy_iterator())
    assert len(set(y.tolist())) == 5 and (np.unique(y, return_counts=True)[1] == 4).all()
    assert x.shape[0] == 20 and (shape is None or x.shape[1:] == shape)
    assert classes is None or y.max() < classes


def test_labels_stay_with_their_images():
    images, ids, _ = cifar100("test")
    known = {image.tobytes(): label for image, label in zip(images, ids, strict=True)}
    dataset = data.from_tfds("cifar100", "test[:10%]", data_dir=prepared_tfds("cifar100"), seed=1)
    x, y = next(dataset.as_numpy_iterator())
    assert [known[image.tobytes()] for image in x] == y.tolist()


def test_a_data_set_that_is_not_there_is_one_clear_line(tmp_path):
    pytest.importorskip("tensorflow_datasets")
    with pytest.raises(ValueError, match="no_such_set.*data_dir") as caught:
        data.from_tfds("no_such_set", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_feature_is_named():
    with pytest.raises(ValueError, match="y_key.*'label'.*'nothing'"):
        data.from_tfds(
            "fashion_mnist", "test", y_key="nothing", data_dir=prepared_tfds("fashion_mnist")
        )
