"""The errors of the npm package, by the same names and codes."""


class TopKError(Exception):
    """The message is one sentence that says how to fix the problem; `code` is the kind of error, for programs."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class TopKModelError(TopKError):
    """A file of the model cannot be used, or it has no neuron statistics."""


class TopKArgumentError(TopKError):
    """An argument of a call is wrong."""


class TopKDeviceError(TopKError):
    """The device failed."""


class TopKDownloadError(TopKError):
    """A file could not be fetched, or is not what manifest.json says."""


class TopKWorkerError(TopKError):
    """The engine could not be started or stopped working. Load the model again."""


class TopKAbortError(TopKError):
    """The call was stopped."""


class TopKDisposedError(TopKError):
    """The model was disposed."""


_CODES = {
    TopKModelError: ("config", "checkpoint", "tokenizer", "io", "features", "no-features"),
    TopKArgumentError: ("argument", "edit", "hook", "context"),
    TopKDeviceError: ("device", "device-lost", "out-of-memory", "non-finite"),
    TopKDownloadError: ("download", "integrity"),
    TopKWorkerError: ("worker", "wasm", "internal"),
    TopKAbortError: ("aborted",),
    TopKDisposedError: ("disposed",),
}
_BY_CODE = {code: kind for kind, codes in _CODES.items() for code in codes}


def error_of(code: str, message: str) -> TopKError:
    return _BY_CODE.get(code, TopKWorkerError)(code, message)
