"""What can go wrong between a client and its server."""


class ServingError(RuntimeError):
    """A request that got no good answer.

    Attributes:
        server: address.
        model: name of the model.
        signature: name of the signature, or None.
        status: HTTP status or name of the gRPC code, or None if no answer came.
    """

    def __init__(self, message, server=None, model=None, signature=None, status=None):
        super().__init__(message)
        self.server = server
        self.model = model
        self.signature = signature
        self.status = status


class ServerUnavailable(ServingError):
    """The server is not there, busy or stopping, or did not answer in time; later it may."""


class RequestRefused(ServingError):
    """The server refuses the request as it is: sending it again does not help."""


class ServerFailed(ServingError):
    """The server failed at the request."""


class BadAnswer(ServingError):
    """The answer is not what a server of exported models gives."""
