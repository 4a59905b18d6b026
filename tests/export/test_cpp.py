"""The exported model run from C++, by the call with which TensorFlow Serving loads models."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_metric import export
from keras_metric.export import cpp, verification
from keras_metric.index import Index

needs_compiler = pytest.mark.skipif(
    cpp.cpp_compiler() is None, reason="there is no C++ compiler, or no libtensorflow_cc.so.2"
)


@pytest.fixture(scope="module")
def files():
    raw = np.random.default_rng(0).integers(0, 256, (4, 9, 7, 1)).astype("uint8")
    return np.array([tf.io.encode_png(one).numpy() for one in raw], object)


@pytest.fixture(scope="module")
def encoder():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((6, 6, 1)), keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(3, 3),
         keras.layers.Flatten(), keras.layers.Dense(5)]
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(encoder, files, tmp_path_factory):
    """A model with everything in it: files of images, tables of texts, search and match."""
    preprocessing = export.EncodedImages(6, 6, channels=1)
    index = Index("euclidean")
    x = np.asarray(encoder(preprocessing(tf.constant(files))))
    index.add(x, ids=["a", "b", "é", ""], labels=[7, -8, 2**40, 9])
    return export.saved_model(
        encoder, tmp_path_factory.mktemp("cpp"), preprocessing=preprocessing, index=index,
        threshold=0.5, k=3, warmup=files,
    )  # fmt: skip


@needs_compiler
def test_every_signature_gives_the_same_in_cpp(encoder, written, files):
    report = export.verify(written, encoder, files, run_cpp=True)
    names = {"serving_default", "embed", "similarity", "search", "match"}
    both = names | {f"{name} in C++" for name in (*names, "preprocess")}
    assert set(report.differences) == both
    assert max(report.differences.values()) <= 1e-5
    assert names <= set(report.in_cpp.signatures)
    assert report.in_cpp.compiler in str(report)
    outputs = export.run_in_cpp(written, [("match", {"inputs": files})]).outputs[0]
    assert export.as_text(outputs["ids"]).tolist() == ["a", "b", "é", ""]
    assert outputs["labels"].tolist() == [7, -8, 2**40, 9] and outputs["matched"].all()


@needs_compiler
def test_what_fails_there_is_told(encoder, written, files, tmp_path):
    with pytest.raises(RuntimeError, match="fails in C.*no signature lookup"):
        export.run_in_cpp(written, [("lookup", {"inputs": files})])
    with pytest.raises(RuntimeError, match="fails in C.*embed takes no images"):
        export.run_in_cpp(written, [("embed", {"images": files})])
    with pytest.raises(RuntimeError, match="fails in C.*neither a JPEG nor a PNG"):
        export.run_in_cpp(written, [("embed", {"inputs": np.array([b"GIF89a"], object)})])

    class Module(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2), name="inputs")])
        def embed(self, inputs):
            return {"embedding": tf.numpy_function(lambda x: x, [inputs], tf.float32)}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"embed": module.embed})
    with pytest.raises(RuntimeError, match="fails in C"):
        export.run_in_cpp(tmp_path, [("embed", {"inputs": np.ones((1, 2), "float32")})])


@pytest.mark.parametrize("name", ["embedding", "ids"])
def test_another_answer_in_cpp_is_found_out(name):
    calls = [("search", {"inputs": np.ones((2, 3))})]
    expected = {"embedding": np.ones((2, 3), "float32"), "ids": np.array([[b"a"], [b"b"]], object)}
    checker = verification._Checker(1e-5)
    verification._compare_cpp(checker, calls, [expected], [expected])
    assert checker.largest == {"search in C++": 0.0}
    other = {**expected, name: expected[name][::-1] + expected[name]}
    with pytest.raises(export.VerificationError, match="search in C"):
        verification._compare_cpp(checker, calls, [expected], [other])
    with pytest.raises(export.VerificationError, match="`outputs` of search in C"):
        verification._compare_cpp(checker, calls, [expected], [{name: expected[name]}])


def test_without_a_compiler_it_says_so(written, monkeypatch):
    monkeypatch.setattr(cpp, "COMPILERS", ("no-such-compiler",))
    assert export.cpp_compiler() is None
    with pytest.raises(RuntimeError, match="needs a C.. compiler"):
        export.run_in_cpp(written, [])
    assert [one.name for one in dataclasses.fields(export.InCpp)] == [
        "outputs",
        "signatures",
        "compiler",
    ]
