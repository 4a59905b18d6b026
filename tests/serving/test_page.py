"""The page in a real browser: two images dropped, one image and its neighbours."""

import base64
import shutil
import time

import numpy as np
import pytest

from keras_metric.serving import LocalServer
from tests.serving.conftest import THRESHOLD, mean_colours, png, squares
from tests.serving.support import ask

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--window-size=1000,1400",
)  # fmt: skip


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium with its chromedriver on this machine")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_page_load_timeout(30)
    yield browser
    browser.quit()


@pytest.fixture
def page(browser, served):
    browser.get(f"{served.url}/")
    browser.get_log("browser")
    return browser


DROP = """
const [place, name, data] = arguments;
const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], name, {type: "image/png"}));
for (const kind of ["dragenter", "dragover", "drop"])
  document.getElementById(place).dispatchEvent(
    new DragEvent(kind, {dataTransfer: transfer, bubbles: true, cancelable: true}));
"""


def drop(page, place, data, name="image.png"):
    page.execute_script(DROP, place, name, base64.b64encode(data).decode())


def wait_for(page, selector, text=None):
    """The first element of a selector, once it is there and says what it should."""
    from selenium.common.exceptions import StaleElementReferenceException
    from selenium.webdriver.support.ui import WebDriverWait

    def there(_):
        found = page.find_elements("css selector", selector)
        return found[0] if found and (text is None or text in found[0].text) else None

    stale = [StaleElementReferenceException]  # replaced between finding and reading it
    return WebDriverWait(page, 15, poll_frequency=0.05, ignored_exceptions=stale).until(there)


def complaints(page):
    return [one["message"] for one in page.get_log("browser") if one["level"] == "SEVERE"]


def test_two_images(page):
    red, other_red, blue = (
        squares("red", 2, 1)[0],
        squares("red", 2, 2)[1],
        squares("blue", 1, 3)[0],
    )
    drop(page, "place-a", png(red))
    wait_for(page, "#compared", "Now the other one")
    drop(page, "place-b", png(blue))
    wait_for(page, "#verdict", "Different")
    expected = np.linalg.norm(mean_colours(red[None]) - mean_colours(blue[None]))
    told = page.find_element("id", "distance").text
    assert told == f"distance {expected:.4f}" and expected > THRESHOLD
    drop(page, "place-b", png(np.repeat(np.repeat(other_red, 5, 0), 5, 1)))  # of another size
    wait_for(page, "#verdict", "Same")
    expected = np.linalg.norm(mean_colours(red[None]) - mean_colours(other_red[None]))
    assert abs(float(page.find_element("id", "distance").text.split()[1]) - expected) < 0.01
    assert complaints(page) == []


def test_neighbours_with_their_pictures(page, served):
    image = squares("green", 1, 8)[0]
    drop(page, "place-query", png(image))
    wait_for(page, "ol.found li:nth-child(4)")
    ids = [one.text for one in page.find_elements("css selector", "ol.found .id")]
    body = {"signature_name": "search", "inputs": image[None].tolist()}
    expected = ask(served, body=body)[2]["outputs"]
    assert ids == expected["ids"][0]
    labels = [one.text for one in page.find_elements("css selector", "ol.found .label")]
    assert labels == ["green"] * 4
    assert page.find_elements("css selector", "li.within .bar")
    loaded = "return [...document.querySelectorAll('ol.found img')].map((x) => x.naturalWidth)"
    wait_for(page, "ol.found img")
    for _ in range(100):
        widths = page.execute_script(loaded)
        if all(widths):
            break
    assert widths == [64] * 4
    assert complaints(page) == []


def test_a_chosen_file_and_a_broken_one(page, tmp_path):
    (tmp_path / "blue.png").write_bytes(png(squares("blue")[0]))
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    chooser = page.find_element("css selector", "#place-query input")
    chooser.send_keys(str(tmp_path / "broken.png"))
    error = wait_for(page, "#found .error")
    assert "damaged" in error.text
    page.find_element("css selector", "#place-query input").send_keys(str(tmp_path / "blue.png"))
    wait_for(page, "ol.found .label", "blue")


def test_nothing_is_loaded_from_elsewhere(page, served):
    drop(page, "place-query", png(squares("red")[0]))
    wait_for(page, "ol.found li")
    seen = page.execute_script("return performance.getEntries().map((x) => x.name)")
    addresses = [one for one in seen if "://" in one and not one.startswith("blob:")]
    assert addresses and all(one.startswith(f"{served.url}/") for one in addresses)
    policy = ask(served, "GET", "/")[1]["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy


def test_ids_and_labels_are_text_not_markup(browser, exported, monkeypatch):
    from keras_metric.serving.server.model import Signature

    run = Signature.run

    def renamed(self, arrays):
        outputs = run(self, arrays)
        if "ids" in outputs:
            outputs["ids"][:] = b"<img src=x onerror=document.title='hacked'>"
        return outputs

    monkeypatch.setattr(Signature, "run", renamed)
    with LocalServer(exported, port=0, name="</script><b>x") as app:
        browser.get(f"{app.url}/")
        assert browser.find_element("id", "title").text == "</script><b>x"
        drop(browser, "place-query", png(squares("red")[0]))
        assert wait_for(browser, "ol.found .id").text.startswith("<img src=x")
        assert "hacked" not in browser.title


def test_whole_ids_are_exact_and_a_late_answer_does_not_replace_a_newer_one(
    browser, exported, monkeypatch
):
    from keras_metric.serving.server.model import Signature

    run = Signature.run

    def slow_for_red(self, arrays):
        outputs = run(self, arrays)
        if "ids" in outputs:
            outputs["ids"] = np.full(outputs["ids"].shape, 2**53 + 1)
            time.sleep(1.0 if outputs["labels"][0, 0] == b"red" else 0.0)
        return outputs

    with LocalServer(exported, port=0, max_batch=0) as app:
        monkeypatch.setattr(Signature, "run", slow_for_red)
        browser.get(f"{app.url}/")
        drop(browser, "place-query", png(squares("red")[0]))
        wait_for(browser, "#found", "Asking")
        drop(browser, "place-query", png(squares("blue")[0]))
        assert wait_for(browser, "ol.found .id").text == "9007199254740993"
        time.sleep(1.2)
        assert wait_for(browser, "ol.found .label").text == "blue"


def test_a_model_of_vectors_says_so(browser, tmp_path):
    import tensorflow as tf

    class Double(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="inputs")])
        def embed(self, inputs):
            return {"embedding": 2 * inputs}

    module = Double()
    tf.saved_model.save(
        module, str(tmp_path / "vectors" / "1"), signatures={"serving_default": module.embed}
    )
    with LocalServer(tmp_path / "vectors", port=0) as app:
        browser.get(f"{app.url}/")
        assert wait_for(browser, "#takes").text == "inputs: float32 (None, 2)"
        assert "curl" in browser.find_element("id", "example").text
        assert not browser.find_element("id", "compare").is_displayed()


def test_a_model_of_texts(browser, tmp_path):
    import tensorflow as tf

    texts = tf.TensorSpec((None,), tf.string, name="inputs")

    class Lengths(tf.Module):
        @tf.function(input_signature=[texts])
        def embed(self, inputs):
            return {"embedding": tf.cast(tf.strings.length(inputs), tf.float32)[:, None]}

        @tf.function(
            input_signature=[tf.TensorSpec((None,), tf.string, name=name) for name in "ab"]
        )
        def similarity(self, a, b):
            distance = tf.abs(self.embed(a)["embedding"] - self.embed(b)["embedding"])[:, 0]
            return {"distance": distance, "similarity": -distance}

    module = Lengths()
    signatures = {
        "serving_default": module.embed,
        "embed": module.embed,
        "similarity": module.similarity,
    }
    tf.saved_model.save(module, str(tmp_path / "texts" / "1"), signatures=signatures)
    with LocalServer(tmp_path / "texts", port=0) as app:
        browser.get(f"{app.url}/")
        boxes = browser.find_elements("css selector", "#compare input.text")
        boxes[0].send_keys("three")
        boxes[1].send_keys("elevenchars\n")
        wait_for(browser, "#distance", "distance 6.0000")
        assert not browser.find_elements("id", "verdict")  # there is no threshold
        drop(browser, "place-b", b"12345", "bytes.bin")
        wait_for(browser, "#distance", "distance 0.0000")
