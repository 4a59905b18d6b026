import numpy as np
import pytest

from keras_metric import data
from keras_metric.cli import sources
from keras_metric.data import inspection
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


def test_sixteen_bits_are_read_as_tensorflow_reads_them(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    pixels = (np.arange(64).reshape(8, 8) * 1040).astype("uint16")
    for name, content in (("a", pixels), ("b", pixels[::-1])):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(content).save(tmp_path / name / f"{number}.png")
    x, y, *_ = data.load_folder(tmp_path, image_size=8)
    assert np.array_equal(x[0, ..., 0], pixels // 256)
    graph = data.load_image(8)(str(tmp_path / "a" / "0.png"))
    assert np.array_equal(graph, x[0])
    found = inspection.inspect_folder(tmp_path)
    assert np.array_equal(found.pictures["a"][0][..., 0], pixels // 256)
    assert (
        sources.read(tmp_path, image_size=(8, 8)).x[0, ..., 0].tolist() == (pixels // 256).tolist()
    )


def test_few_pixels_fill_a_contact_sheet():
    x = np.full((4, 8, 8), 255, "uint8")
    x[:, 0, 0] = 0
    sheet = inspection.contact_sheet(inspection.inspect_arrays(x, [0, 0, 1, 1]))
    assert not sheet[20:28, 4:12].any() and sheet[28:84, 4:68].all()
