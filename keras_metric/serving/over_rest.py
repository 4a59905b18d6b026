"""Talks to TensorFlow Serving's REST interface."""

import base64
import json
from urllib import parse

import numpy as np

from keras_metric import extras
from keras_metric.serving.transport import Refusal, descriptions, text_array

TRANSIENT = {429, 502, 503, 504}


class RestTransport:
    """Keeps connections to one server.

    Args:
        url: `http://host:port` or `https://…`, perhaps with a path before `/v1`.
        model: name of the model.
        version: number, or None for the newest.
        headers: dict of HTTP headers to send along, or None.
    """

    def __init__(self, url, model, version, headers):
        self.requests = extras.require("requests", extra="serving")
        self.session = self.requests.Session()
        self.session.headers.update(headers or {})
        self.url = f"{url}/v1/models/{parse.quote(model, safe='')}"
        if version is not None:
            self.url += f"/versions/{version}"

    def describe(self, seconds):
        """Dict of `Description` by signature."""
        content = self._send("GET", "/metadata", None, seconds)
        try:
            return descriptions(content["metadata"]["signature_def"]["signature_def"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise Refusal(f"the metadata lack the signatures: {str(content)[:200]}") from error

    def ready(self, seconds):
        """Whether a version of the model is available."""
        versions = self._send("GET", "", None, seconds).get("model_version_status", [])
        return any(one.get("state") == "AVAILABLE" for one in versions)

    def predict(self, signature, inputs, description, seconds):
        """Dict of arrays."""
        columns = {name: _plain(x) for name, x in inputs.items()}
        body = json.dumps(
            {"signature_name": signature, "inputs": columns}, separators=(",", ":")
        ).encode()
        content = self._send("POST", ":predict", body, seconds)
        outputs = content.get("outputs")
        if outputs is None:
            raise Refusal(f'the answer has no "outputs": {str(content)[:200]}')
        names = description.outputs
        if len(names) == 1 and not (isinstance(outputs, dict) and set(outputs) == set(names)):
            outputs = {next(iter(names)): outputs}
        if not isinstance(outputs, dict) or set(outputs) != set(names):
            raise Refusal(f"the answer lacks some of {sorted(names)}: {str(content)[:200]}")
        return {name: _array(names[name].dtype, value) for name, value in outputs.items()}

    def close(self):
        """Ends the connections."""
        self.session.close()

    def _send(self, method, path, body, seconds):
        errors = self.requests.exceptions
        try:
            answer = self.session.request(
                method,
                self.url + path,
                data=body,
                timeout=seconds,
                headers={"Content-Type": "application/json"} if body else None,
                allow_redirects=False,
            )
        except errors.Timeout as error:
            raise Refusal("no answer in time", transient=True) from error
        except (errors.ConnectionError, errors.ChunkedEncodingError) as error:
            raise Refusal(f"no connection: {_reason(error)}", transient=True) from error
        except errors.RequestException as error:
            raise Refusal(f"the request cannot be sent: {_reason(error)}", fault=True) from error
        return _content(answer)


def _content(answer):
    status = answer.status_code
    try:
        content = answer.json()
    except ValueError:
        content = None
    if status != 200:
        said = content.get("error") if isinstance(content, dict) else None
        said = said or answer.text[:200].strip() or answer.reason
        try:
            after = float(answer.headers.get("Retry-After", 0))
        except ValueError:  # a date
            after = 1.0
        transient = status in TRANSIENT
        raise Refusal(
            said, status, transient, fault=300 <= status < 500 and not transient, after=after
        )
    if not isinstance(content, dict):
        raise Refusal(f"the answer is no JSON object: {answer.text[:200]!r}", status)
    return content


def _reason(error):
    """The innermost of the errors that stand around each other."""
    while error.__context__ is not None and not isinstance(error, ConnectionError):
        error = error.__context__
    return str(error) or type(error).__name__


def _plain(x):
    if x.dtype != object:
        return x.tolist()
    # Texts could be sent as they are, but only bytes are sure to arrive as they were.
    flat = np.empty(x.size, object)
    flat[:] = [{"b64": base64.b64encode(one).decode()} for one in x.ravel()]
    return flat.reshape(x.shape).tolist()


def _array(dtype, value):
    try:
        return text_array(value) if dtype == "string" else np.asarray(value, dtype=dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal(f"the answer has no {dtype} where it should: {str(value)[:200]}") from error
