"""An XAPI error: a code of the catalogue and its parameters."""


class XapiFailure(Exception):
    """What the wire carries as ``ErrorDescription``."""

    def __init__(self, code: str, *parameters: str) -> None:
        super().__init__(code, *parameters)
        self.description = [code, *parameters]


class AnswerLost(Exception):
    """On order: the call was carried out, and nobody hears of it."""


NULL = "OpaqueRef:NULL"
