import numpy as np
import pytest

from keras_metric import data
from tests.data.support import drained


@pytest.fixture
def folder(tmp_path):
    image_module = pytest.importorskip("PIL.Image")
    for name, grey in (("b", 200), ("a", 100), ("c", 50)):
        (tmp_path / name).mkdir()
        for i in range(4):
            pixels = np.full((6, 5), grey + i, "uint8")
            image_module.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    (tmp_path / "notes.txt").write_text("passed over")
    return tmp_path


def test_ids_follow_the_names(folder):
    dataset = data.from_folder(
        folder, image_size=(3, 4), classes_per_batch=2, examples_per_class=3, seed=1
    )
    assert dataset.element_spec[0].shape == (6, 3, 4, 3)
    for x, y in drained(dataset):
        assert (x.max(axis=(1, 2, 3)) // 50 * 50 == np.array([100, 200, 50])[y]).all()


def test_broken_images_are_named(folder):
    (folder / "a" / "torn.png").write_bytes((folder / "a" / "0.png").read_bytes()[:40])
    (folder / "c" / "none.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 of 14 images.*torn\.png.*none\.jpg"):
        data.from_folder(folder)


def test_folders_without_images_are_named(folder, tmp_path):
    (folder / "empty class").mkdir()
    with pytest.raises(ValueError, match="'empty class'"):
        data.from_folder(folder)
    with pytest.raises(ValueError, match="no images"):
        data.from_folder(folder / "empty class")
    with pytest.raises(ValueError, match="must be a folder.*missing"):
        data.from_folder(tmp_path / "missing")
