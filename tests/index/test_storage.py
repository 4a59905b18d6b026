import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from keras_metric.index import Index


def gallery(count=20, seed=0, distance="cosine", **more):
    index = Index(distance)
    x = np.random.default_rng(seed).normal(size=(count, 5)).astype("float32")
    index.add(
        x, ids=[f"photo é {row}" for row in range(count)], labels=np.arange(count) % 3, **more
    )
    return index


def assert_same(a, b):
    np.testing.assert_array_equal(a.vectors, b.vectors)
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.labels, b.labels)
    assert a.payload == b.payload
    x, y = (one.search(a.vectors[:4], k=5) for one in (a, b))
    np.testing.assert_array_equal(x.ids, y.ids)
    np.testing.assert_array_equal(x.distances, y.distances)


@pytest.mark.parametrize("mmap", [False, True])
def test_there_and_back(tmp_path, mmap):
    index = gallery(payload=[{"row": row, "tags": ["a", None]} for row in range(20)])
    index.save(tmp_path / "deep" / "gallery")
    assert_same(index, Index.load(tmp_path / "deep" / "gallery", mmap=mmap))


def test_the_distance_comes_back_with_its_arguments(tmp_path):
    from keras_metric.distances import MinkowskiDistance

    gallery(distance=MinkowskiDistance(p=4.0)).save(tmp_path / "g")
    back = Index.load(tmp_path / "g")
    assert type(back.distance) is MinkowskiDistance and back.distance.p == 4.0


def test_another_back_end(tmp_path):
    pytest.importorskip("faiss")
    index = gallery()
    index.save(tmp_path / "g")
    back = Index.load(tmp_path / "g", backend="faiss")
    assert back.backend == "faiss"
    assert_same(index, back)


def test_a_mapped_index_can_be_changed_without_its_file(tmp_path):
    index = gallery()
    index.save(tmp_path / "g")
    mapped = Index.load(tmp_path / "g", mmap=True)
    assert isinstance(mapped._items.vectors, np.memmap)
    mapped.upsert(np.ones((1, 5)), ids=["photo é 3"], labels=[9])
    mapped.add(np.ones((1, 5)), ids=["new"], labels=[9])
    mapped.remove(["photo é 0"])
    assert_same(index, Index.load(tmp_path / "g"))
    mapped.save(tmp_path / "g")
    assert_same(mapped, Index.load(tmp_path / "g"))


def test_an_empty_index(tmp_path):
    Index("euclidean").save(tmp_path / "g")
    back = Index.load(tmp_path / "g")
    assert len(back) == 0
    back.add(np.eye(2))
    emptied = gallery()
    emptied.remove(emptied.ids)
    emptied.save(tmp_path / "g")
    assert len(Index.load(tmp_path / "g", mmap=True)) == 0


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path):
    gallery().save(tmp_path / "g")
    other = gallery(seed=1)
    other.save(tmp_path / "g")
    assert_same(other, Index.load(tmp_path / "g"))
    assert len(list((tmp_path / "g").iterdir())) == 2


def test_nothing_foreign_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="notes.txt"):
        gallery().save(tmp_path)
    with pytest.raises(FileExistsError, match="a file"):
        gallery().save(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_leaves_the_old_index(tmp_path, monkeypatch):
    index = gallery()
    index.save(tmp_path / "g")

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(np, "save", full)
    for path in (tmp_path / "g", tmp_path / "new"):
        with pytest.raises(OSError, match="no space"):
            gallery(seed=1).save(path)
    assert_same(index, Index.load(tmp_path / "g"))
    assert len(list((tmp_path / "g").iterdir())) == 2
    assert not (tmp_path / "new").exists()
    monkeypatch.undo()
    with pytest.raises(TypeError, match="`payload`.*JSON"):
        gallery(payload=[{1, 2}] * 20).save(tmp_path / "g")
    assert_same(index, Index.load(tmp_path / "g"))


KILLED = """
import sys
import numpy as np
from keras_metric.index import Index
print("ready", flush=True)
seed = 0
while True:
    seed += 1
    index = Index()
    index.add(np.full((2000, 64), seed), payload=[seed] * 2000)
    index.save(sys.argv[1])
    print(seed, flush=True)
"""


def test_killed_at_any_moment_it_holds_a_whole_index(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "g")],
        stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    random = np.random.default_rng(0)
    try:
        while child.stdout.readline().strip() != "1":
            pass
        for _ in range(12):
            time.sleep(random.uniform(0, 0.02))
            child.send_signal(signal.SIGSTOP)
            # What a reader finds now is what it would find had the process been killed here.
            shutil.copytree(tmp_path / "g", tmp_path / "copy")
            index = Index.load(tmp_path / "copy")
            assert set(index.payload) == {int(index.vectors[0, 0])} and len(index) == 2000
            shutil.rmtree(tmp_path / "copy")
            child.send_signal(signal.SIGCONT)
    finally:
        child.kill()
        child.wait()


def test_two_that_save_at_the_same_time_leave_a_whole_index(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    one, other = gallery(seed=1), gallery(seed=2)
    beside = threading.Thread(target=other.save, args=[tmp_path / "g"])
    replace = os.replace

    def meanwhile(*paths):
        if not beside.ident:
            beside.start()
            beside.join(0.3)  # all of its saving, if nothing holds it
        replace(*paths)

    monkeypatch.setattr(os, "replace", meanwhile)
    one.save(tmp_path / "g")
    beside.join()
    assert_same(other, Index.load(tmp_path / "g"))
    assert len(list((tmp_path / "g").iterdir())) == 2


@pytest.mark.parametrize("name", ["vectors.npy", "ids.npy", "labels.npy", "payload.json"])
def test_truncated_changed_and_missing_files(tmp_path, name):
    gallery(payload=list(range(20))).save(tmp_path / "g")
    (file,) = (tmp_path / "g").glob(f"data-*/{name}")
    content = file.read_bytes()
    file.write_bytes(content[:-3])
    with pytest.raises(ValueError, match=f"{name} has {len(content) - 3} bytes instead of"):
        Index.load(tmp_path / "g")
    file.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])
    with pytest.raises(ValueError, match=f"{name} was changed"):
        Index.load(tmp_path / "g")
    file.unlink()
    with pytest.raises(ValueError, match=f"{name} is missing"):
        Index.load(tmp_path / "g")


def test_a_truncated_file_is_seen_when_it_is_mapped(tmp_path):
    gallery().save(tmp_path / "g")
    (file,) = (tmp_path / "g").glob("data-*/vectors.npy")
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ValueError, match="vectors.npy has"):
        Index.load(tmp_path / "g", mmap=True)


@pytest.mark.parametrize("swap", [False, True])
def test_damage_anywhere_in_a_large_file_is_seen(tmp_path, swap):
    random = np.random.default_rng(0)
    index = Index()
    index.add(random.normal(size=(9000, 64)))  # 2.2 MB, more than two of the parts that are summed
    index.save(tmp_path / "g")
    (file,) = (tmp_path / "g").glob("data-*/vectors.npy")
    content = file.read_bytes()
    for at in [200, *random.integers(200, len(content) - 16, 12).tolist(), len(content) - 16]:
        changed = bytearray(content)
        changed[at] ^= 64
        if swap:  # two neighbouring words change places
            changed[at : at + 16] = content[at + 8 : at + 16] + content[at : at + 8]
        file.write_bytes(changed)
        with pytest.raises(ValueError, match="vectors.npy was changed"):
            Index.load(tmp_path / "g")
    file.write_bytes(content)
    assert len(Index.load(tmp_path / "g")) == 9000


@pytest.mark.parametrize("mmap", [False, True])
def test_a_changed_header_is_seen(tmp_path, mmap):
    gallery().save(tmp_path / "g")
    (file,) = (tmp_path / "g").glob("data-*/vectors.npy")
    file.write_bytes(file.read_bytes().replace(b"<f4", b"<i4"))
    with pytest.raises(ValueError, match="vectors.npy was changed"):
        Index.load(tmp_path / "g", mmap=mmap)


def test_what_is_no_index(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, why in ((tmp_path, "has no index.json"), (tmp_path / "file", "is no folder"),
                      (tmp_path / "nowhere", "is missing")):  # fmt: skip
        with pytest.raises(FileNotFoundError, match=why):
            Index.load(path)
    for text in ("{", "[]", '{"format": "other"}', '{"format": "keras_metric.index"}'):
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(ValueError, match="cannot be read"):
            Index.load(tmp_path)


@pytest.mark.parametrize("folder", ["../secret", "/etc", "data-../../x", "data-0000000g"])
def test_a_head_leads_nowhere_else(tmp_path, folder):
    gallery().save(tmp_path / "g")
    head = json.loads((tmp_path / "g" / "index.json").read_text())
    head["folder"] = folder
    (tmp_path / "g" / "index.json").write_text(json.dumps(head))
    with pytest.raises(ValueError, match="damaged"):
        Index.load(tmp_path / "g")


def test_no_pickle_is_read(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "bang"), "w"))

    gallery().save(tmp_path / "g")
    (file,) = (tmp_path / "g").glob("data-*/labels.npy")
    file.write_bytes(pickle.dumps(Bomb()))
    head = json.loads((tmp_path / "g" / "index.json").read_text())
    head["files"]["labels.npy"]["bytes"] = file.stat().st_size
    (tmp_path / "g" / "index.json").write_text(json.dumps(head))
    with pytest.raises(ValueError, match="labels.npy is no array"):
        Index.load(tmp_path / "g")
    assert not (tmp_path / "bang").exists()
