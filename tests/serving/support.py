"""Plain HTTP, below the client, for what a client would not send."""

import http.client
import json
import socket
from urllib import parse


def ask(app, method="POST", path="/v1/models/colours:predict", body=None, headers=None):
    """Status, headers and content (JSON if it is any) of one request."""
    address = parse.urlsplit(app.url)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    try:
        if isinstance(body, dict | list):
            body = json.dumps(body)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        data = answer.read()
    finally:
        connection.close()
    if answer.headers.get("Content-Type") == "application/json" and method != "HEAD":
        return answer.status, answer.headers, json.loads(data)
    return answer.status, answer.headers, data


def raw(app, data, half_close=False):
    """All that comes back for some bytes."""
    address = parse.urlsplit(app.url)
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)
