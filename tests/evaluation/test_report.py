import base64
import hashlib
import io
import json
import re
import shutil
import subprocess
import wave
from html.parser import HTMLParser

import keras
import numpy as np
import pytest

from keras_metric import callbacks, evaluation
from keras_metric.distances import CosineDistance
from keras_metric.evaluation.reporting import findings, items, places
from keras_metric.evaluation.reporting.embedded import embedded
from keras_metric.evaluation.reporting.writing import write_text
from tests.evaluation.test_plots import all_distances, clusters
from tests.support import BACKEND

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

EVIL = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a & b $x_1$ {title} ${title}",
    "plain --> ]]> 'quoted'",
]


class Page(HTMLParser):
    """What a browser would see: tags with their attributes, text, and cells by attribute."""

    VOID = {"meta", "link", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.cells = [], [], [], []
        self.script = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag in ("td", "dd"):
            self.cells.append([attrs, ""])

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.script += data
        elif self.open[-1:] != ["style"]:
            self.words.append(data)
            if self.open[-1:] in (["td"], ["dd"]):
                self.cells[-1][1] += data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Embeddings, labels, the path of their report, what it returned, and the parsed page."""
    x, labels = clusters(spread=0.9)
    images = np.random.default_rng(2).uniform(size=(len(x), 9, 7, 3))
    path = tmp_path_factory.mktemp("report") / "page.html"
    told = evaluation.report(
        None,
        (x, labels),
        path,
        class_names=EVIL,
        items=images,
        origins=[f'{row}"><b>.png' for row in range(len(x))],
        title="<i>Mine</i>",
        k=5,
    )
    return x, labels, path, told, Page(path.read_text(encoding="utf-8"))


def test_the_page_loads_nothing(written):
    page, text = written[4], written[2].read_text(encoding="utf-8")
    links = [
        attrs[name]
        for _, attrs in page.tags
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster")
        if name in attrs
    ]
    assert len(links) > 50
    assert {re.split("[:#]", link)[0] for link in links} == {"data", ""}
    assert "http:" not in text and "https:" not in text and "@import" not in text
    assert set(re.findall(r"url\(([^)]?)", text)) <= {"#"}
    policy = next(attrs["content"] for tag, attrs in page.tags if "http-equiv" in attrs)
    digest = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}'" in policy


def test_pictures_can_be_seen(written):
    sources = [a["src"] for tag, a in written[4].tags if tag == "img"]
    assert len(sources) >= 12 * 6
    for source in sources:
        kind, _, data = source.partition(";base64,")
        assert kind == "data:image/png"
        assert Image.open(io.BytesIO(base64.b64decode(data, validate=True))).size == (7, 9)


def test_labels_are_text_and_nothing_else(written):
    page = written[4]
    text = " ".join(page.words)
    for name in EVIL:
        assert name in text
    assert "<i>Mine</i>" in text
    worst = written[3]["queries"]["worst"][0]
    assert worst["origin"] == f'{worst["row"]}"><b>.png' and worst["origin"] in text
    assert worst["neighbors"][0]["origin"] in {attrs.get("title") for _, attrs in page.tags}
    tags = [tag for tag, _ in page.tags]
    assert tags.count("script") == 1 and "i" not in tags
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    used = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert len(used) == sum("id" in attrs for _, attrs in page.tags)


def test_the_numbers_are_those_of_the_json(written):
    x, labels, path, told, page = written
    assert json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) == told
    shown = {}
    for attrs, text in page.cells:
        if "data-figure" in attrs:
            assert text == f"{told['figures'][attrs['data-figure']]['value']:.4f}"
            shown[attrs["data-figure"]] = text
        elif attrs.get("data-interval") and text:
            figure = told["figures"][attrs["data-interval"]]
            assert text == f"{figure['low']:.4f} to {figure['high']:.4f}"
    assert set(shown) == set(told["figures"])
    values = [float(attrs["data-value"]) for attrs, _ in page.cells if attrs.get("data-value")]
    for one in told["classes"]:
        assert one["hit@1"] in values and one["map@r"] in values and one["items"] in values
    for one in told["confused"]:
        assert one["times"] in values and one["share"] in values


@pytest.mark.filterwarnings("ignore:.*too narrow")
def test_the_numbers_are_those_of_evaluation(written):
    x, labels, _, told, _ = written
    expected = {
        **evaluation.retrieval(x, labels),
        **evaluation.verification_from_embeddings(x, labels, strategy="f1"),
    }
    assert {name: one["value"] for name, one in told["figures"].items()} == expected
    for k, share in told["hit_at_k"].items():
        assert share == evaluation.retrieval(x, labels, metrics=(f"hit@{k}",))[f"hit@{k}"]
    intervals = {
        **evaluation.bootstrap_retrieval(evaluation.retrieval(x, labels), labels, replicates=500),
        **evaluation.bootstrap_verification(
            x, labels, replicates=500, threshold=expected["threshold"]
        ),
    }
    assert {name for name, one in told["figures"].items() if one["low"] is None} == {"threshold"}
    for name, (low, high) in intervals.items():
        assert (told["figures"][name]["low"], told["figures"][name]["high"]) == (low, high)


def test_queries_classes_and_confusions_against_loops(written):
    x, labels, _, told, _ = written
    every = all_distances(x, "cosine")
    np.fill_diagonal(every, np.inf)
    order = np.argsort(every, axis=1, kind="stable")
    result = evaluation.retrieval(x, labels, metrics=("map@r",))
    ap = result.per_query["map@r"]
    worst, best = told["queries"]["worst"], told["queries"]["best"]
    assert worst[0]["map@r"] == ap.min() and best[0]["map@r"] == ap.max()
    assert len({one["class"] for one in worst}) == len({one["class"] for one in best}) == 4
    for one in worst + best:
        assert [near["row"] for near in one["neighbors"]] == order[one["row"], :5].tolist()
        for near in one["neighbors"]:
            assert near["hit"] == (labels[near["row"]] == labels[one["row"]])
            assert near["distance"] == pytest.approx(every[one["row"], near["row"]], abs=1e-6)
    counted = {}
    for row, near in enumerate(order[:, 0]):
        if labels[row] != labels[near]:
            pair = int(labels[row]), int(labels[near])
            counted.setdefault(pair, []).append((every[row, near], row, int(near)))
    assert {(one["class"], one["taken_for"]): one["times"] for one in told["confused"]} == {
        pair: len(rows) for pair, rows in counted.items()
    }
    for one in told["confused"]:
        rows = counted[one["class"], one["taken_for"]]
        assert tuple(one["example"]) == min(rows)[1:]
        assert one["share"] == len(rows) / 12
    times = [one["times"] for one in told["confused"]]
    assert times == sorted(times, reverse=True)
    scores = [one["map@r"] for one in told["classes"]]
    assert scores == sorted(scores)
    assert scores == [result.per_class["map@r"][one["class"]] for one in told["classes"]]
    assert [one["name"] for one in told["classes"]] == [EVIL[one["class"]] for one in told["classes"]]  # fmt: skip


def encoder():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4, 4, 1))
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(inputs)))


def test_arrays_and_batches_give_the_same(tmp_path):
    x = np.random.default_rng(0).uniform(0, 200, size=(30, 4, 4, 1)).astype("float32")
    y = np.arange(30) % 3 + 2**60  # ids that no float holds
    model = encoder()
    one = evaluation.report(model, (x, y), tmp_path / "a.html", map="pca")
    batches = [(x[i : i + 8], y[i : i + 8]) for i in range(0, 30, 8)]
    other = evaluation.report(model, batches, tmp_path / "b.html", map="pca")
    assert [one["class"] for one in one["classes"]] == [one["class"] for one in other["classes"]]
    assert {row["class"] for row in one["classes"]} == {2**60, 2**60 + 1, 2**60 + 2}
    for name, figure in one["figures"].items():
        assert other["figures"][name]["value"] == pytest.approx(figure["value"], abs=1e-5)
    again = evaluation.report(model, (x, y), tmp_path / "c.html", map="pca")
    assert again == one
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "c.html").read_bytes()


def test_more_inputs_than_are_kept_are_not_shown(monkeypatch):
    monkeypatch.setattr("keras_metric.evaluation.reporting.embedded.KEPT", 2**9)
    batches = [(np.ones((4, 4, 4, 1), "float32"), np.arange(4))] * 3
    with pytest.warns(UserWarning, match="inputs of batches to show them. These are more: give"):
        found = embedded(encoder(), batches, 4)
    assert found.inputs is None and len(found.embeddings) == 12


def test_the_encoder_within_a_model_is_used():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)], name="encoder")
    inputs = keras.Input((4,))
    outer = keras.Model(inputs, keras.layers.Dense(7)(inner(inputs)))
    x = np.ones((5, 4), "float32")
    assert np.shape(embedded(outer, (x, np.arange(5)), 32).embeddings) == (5, 3)
    assert np.shape(embedded(outer, iter([(x, np.arange(5))]), 32).embeddings) == (5, 3)


def test_a_report_that_fails_leaves_the_last_one(tmp_path, monkeypatch):
    x, labels = clusters()
    path = tmp_path / "sub" / "page.html"
    evaluation.report(None, (x, labels), path, map="pca", replicates=10)
    before = path.read_bytes(), path.with_suffix(".json").read_bytes()

    def fail(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(RuntimeError):
        evaluation.report(None, (x[:40], labels[:40]), path, map="pca", replicates=10)
    assert (path.read_bytes(), path.with_suffix(".json").read_bytes()) == before
    assert sorted(one.name for one in path.parent.iterdir()) == ["page.html", "page.json"]


def test_a_page_whose_numbers_cannot_be_written_leaves_the_last_one(tmp_path):
    (tmp_path / "page.json").mkdir()
    for before in (None, "the last one"):
        if before:
            (tmp_path / "page.html").write_text(before)
        with pytest.raises(OSError):
            write_text({tmp_path / "page.html": "new", tmp_path / "page.json": "new"})
        left = sorted(path.name for path in tmp_path.iterdir())
        assert left == (["page.html", "page.json"] if before else ["page.json"])
    assert (tmp_path / "page.html").read_text() == "the last one"


def test_one_class_and_classes_of_one(tmp_path):
    x, _ = clusters(count=2)
    for labels in (np.zeros(8, int), np.arange(8)):
        with pytest.warns(UserWarning, match="NaN"):
            told = evaluation.report(None, (x, labels), tmp_path / "page.html")
        assert told["figures"]["auc"] == {"value": None, "low": None, "high": None}
        Page((tmp_path / "page.html").read_text())
        assert "NaN" not in (tmp_path / "page.json").read_text()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"path": "page.pdf"}, "`path` of report must end in .html"),
        ({"data": 3}, "must be a tuple .* Received: int"),
        ({"data": []}, "must have one batch or more"),
        ({"data": [np.ones((3, 2))]}, r"must give batches \(x, y\)"),
        ({"data": (np.ones((3, 2)), [0, 1])}, "same number of rows. Received: 3 and 2"),
        ({"data": (np.full((3, 2), np.nan), [0, 1, 1])}, "NaN or infinity in 3 of 3 rows"),
        ({"items": ["a"]}, "same number of rows. Received: 48 and 1"),
        ({"show": "films"}, "`show` of report must be one of"),
        ({"items": np.zeros((48, 3)), "show": "images"}, "1, 3 or 4 channels"),
        ({"items": np.zeros((48, 3, 3)), "show": "sounds"}, "must be waveforms"),
        ({"map": "umap"}, "`map` of report must be one of"),
        ({"k": 0}, "whole number >= 1"),
        ({"class_names": ["a"]}, "Give a dict"),
    ],
)
def test_bad_input(change, said, tmp_path):
    change = {"data": clusters(), "path": "page.html", "map": "pca", **change}
    data, path = change.pop("data"), tmp_path / change.pop("path")
    with pytest.raises(ValueError, match=said):
        evaluation.report(None, data, path, **change)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_dataset_is_refused():
    class Endless:
        def cardinality(self):
            return -1

        def __iter__(self):
            raise AssertionError("was read")

    with pytest.raises(ValueError, match="must end"):
        embedded(None, Endless(), 32)
    with pytest.raises(ValueError, match="single examples. Give data.batch"):
        embedded(None, [(np.ones(3), np.int64(0)), (np.ones(3), np.int64(1))], 32)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="texts go into models of TensorFlow only")
def test_texts_go_into_an_encoder(tmp_path):
    words = keras.layers.TextVectorization(vocabulary=["red", "blue"], output_mode="multi_hot")
    encoder = keras.Sequential([keras.Input((), dtype="string"), words])
    texts, labels = ["red one", "red two", "blue one", "blue two"] * 3, [0, 0, 1, 1] * 3
    for x in (texts, np.array(texts)):
        found = embedded(encoder, (x, labels), 5)
        assert found.embeddings.tolist() == [[1, "red" in one, "blue" in one] for one in texts]
        assert items.items_of(found.inputs, "auto", 12).kind == "texts"
        step = evaluation.EmbeddingTransformer(encoder)
        np.testing.assert_array_equal(step.transform(x), found.embeddings)
        own = callbacks.RetrievalEvaluation(np.array(x), labels, metrics="hit@1")
        assert own.evaluate(encoder) == {"hit@1": 1}
    projector = callbacks.EmbeddingProjector(tmp_path, texts, labels)
    projector.write(encoder)
    assert (tmp_path / "metadata.tsv").read_text().split() == [str(one) for one in labels]


def test_texts_are_shown_as_text():
    shown = items.items_of(["<b>hi</b>\nthere", b"caf\xc3\xa9", "x" * 999], "auto", 3)
    assert shown.kind == "texts"
    assert shown.html(0, "") == '<span class="text">&lt;b&gt;hi&lt;/b&gt; there</span>'
    assert "café" in shown.html(1, "")
    assert len(shown.html(2, "")) < 300
    assert items.items_of(np.array(["a", "b"]), "auto", 2).kind == "texts"


def test_a_tone_is_a_line_in_its_spectrogram():
    time = np.arange(8000) / 8000
    pixels = items.spectrogram(np.sin(2 * np.pi * 1000 * time).astype("float32"))
    assert pixels.shape == (64, 96)
    # 4000 Hz in 64 rows, from below: 1000 Hz is at the edge of the 16th and 17th.
    brightest = 63 - pixels.argmax(axis=0)
    assert set(brightest) <= {15, 16}
    assert pixels[0].max() < 60
    assert not items.spectrogram(np.zeros(5, "float32")).any()
    sounds = [np.ones(300, "float32"), np.ones(9000, "float32")]
    shown = items.items_of(sounds, "auto", 2)
    assert shown.kind == "sounds" and shown.html(1, '"').count("data:image/png") == 1


def test_sounds_can_be_heard(tmp_path):
    def read(uri):
        kind, _, data = uri.partition(";base64,")
        assert kind == "data:audio/wav"
        with wave.open(io.BytesIO(base64.b64decode(data))) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            return samples / 32767, file.getframerate()

    time = np.arange(3 * 44100) / 44100
    tone = np.sin(2 * np.pi * 1000 * time)
    samples, rate = read(items.playable(tone + np.sin(2 * np.pi * 12000 * time), 44100))
    assert rate == 16000 and len(samples) == 2 * rate  # its beginning, at a lower rate
    expected = np.sin(2 * np.pi * 1000 * np.arange(len(samples)) / rate)
    np.testing.assert_allclose(samples[500:-500], expected[500:-500], atol=0.02)
    whole = items.items_of(np.int16([[0, 16384, -32768]] * 2), "auto", 2, 8000)
    heard = re.search('src="([^"]*)"', whole.player(0, '"'))[1]
    np.testing.assert_allclose(read(heard)[0], [0, 0.5, -1], atol=1e-4)
    assert read(items.playable(np.zeros(0, "float32"), 8000))[1] == 8000
    assert items.items_of([np.ones(9), np.ones(8)], "auto", 2).player(0, "") == ""

    x, labels = clusters()
    path = tmp_path / "page.html"
    tones = np.random.default_rng(0).normal(size=(len(x), 400)).astype("float32")
    told = evaluation.report(
        None, (x, labels), path, items=tones, sample_rate=8000, k=5, map="pca", replicates=5
    )
    tags = Page(path.read_text(encoding="utf-8")).tags
    queries = told["queries"]["worst"] + told["queries"]["best"]
    assert [tag for tag, _ in tags].count("audio") == 4 * len(queries)  # each with 3 neighbours
    with pytest.raises(ValueError, match="`sample_rate` of report must be None where no sounds"):
        items.items_of(["a", "b"], "texts", 2, 8000)


def test_what_is_recognised():
    def kind(inputs):
        return items.items_of(inputs, "auto", len(inputs)).kind

    assert kind(np.zeros((2, 8, 8))) == kind(np.zeros((2, 8, 8, 3))) == "images"
    assert kind(list(np.zeros((2, 8, 8, 3)))) == "images"
    assert kind(np.zeros((2, 90))) == kind(np.zeros((2, 8, 8, 5))) == "nothing"
    assert items.items_of(None, "auto", 2).kind == "nothing"


def test_large_pictures_are_shrunk():
    pixels = np.zeros((300, 150, 3), "uint8")
    kind, _, data = items.data_uri(pixels).partition(";base64,")
    assert kind == "data:image/jpeg"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (48, 96)


def test_pca_keeps_distances_in_a_plane():
    random = np.random.default_rng(0)
    plane = random.normal(size=(40, 2)) @ random.normal(size=(2, 6)) + 5
    found = places.places(plane, None, "pca", 0)
    gap = np.linalg.norm(plane[:, None] - plane, axis=-1)
    np.testing.assert_allclose(
        np.linalg.norm(found.points[:, None] - found.points, axis=-1), gap, atol=1e-9
    )
    assert found.how == "PCA, 100 % of the variance"
    random = np.random.default_rng(1)
    wide = random.normal(size=(300, 40)) * np.geomspace(10, 1, 40)
    sizes = np.linalg.svd(wide - wide.mean(axis=0), compute_uv=False)
    found = places.places(wide, None, "pca", 0)
    np.testing.assert_allclose(np.sqrt((found.points**2).sum(axis=0)), sizes[:2], rtol=1e-6)
    few = places.places(plane[:4], None, "pca", 0).points  # fewer rows than dimensions
    np.testing.assert_allclose(np.linalg.norm(few[:, None] - few, axis=-1), gap[:4, :4], atol=1e-6)
    assert places.places(np.ones((5, 1)), None, "pca", 0).points.shape == (5, 2)


def test_a_large_map_is_of_drawn_rows(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(places, "TSNE_ROWS", 30)
    x, _ = clusters()
    found = places.places(x, CosineDistance(), "auto", 0)
    assert found.how == "t-SNE of 30 drawn embeddings"
    assert found.points.shape == (30, 2) and np.isfinite(found.points).all()
    assert len(set(found.rows)) == 30
    np.testing.assert_array_equal(found.points, places.places(x, CosineDistance(), "auto", 0).points)  # fmt: skip


def test_drawn_pairs_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(findings, "PAIRS", 100)
    told = evaluation.report(None, clusters(), tmp_path / "page.html", map="pca")
    assert any("100 pairs a kind, drawn" in note for note in told["notes"])


def test_equally_near_neighbours_are_told(tmp_path):
    labels = np.repeat([0, 1], 10)
    told = evaluation.report(None, (np.ones((20, 3)), labels), tmp_path / "page.html", map="pca")
    assert any("For 20 of 20 queries the two nearest" in note for note in told["notes"])


@pytest.fixture(scope="module")
def browser():
    """The command of a browser without windows."""
    found = next(
        (name for name in ("chromium", "chromium-browser", "google-chrome") if shutil.which(name)),
        None,
    )
    if not found:
        pytest.skip("no chromium here: the page is not looked at in a browser")
    return found


def test_a_browser_runs_the_script_that_the_page_allows(written, browser, tmp_path):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--disable-sync",
             f"--user-data-dir={tmp_path}", "--dump-dom"]  # fmt: skip
    try:
        done = subprocess.run(
            [browser, *flags, written[2].as_uri()], capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{browser} does not start here")
    if done.returncode:
        pytest.skip(f"{browser} does not start here: {done.stderr[-200:]}")
    # Headings became buttons: 6 of the classes, 5 of the confusions. Nobody's label became a tag.
    tags = Page(done.stdout).tags
    assert [tag for tag, _ in tags].count("button") == 11
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [name for _, attrs in tags for name in attrs if name.startswith("on")]
