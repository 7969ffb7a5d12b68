"""Calls under way. Answers may arrive on another thread than the one that waits (Jupyter's subshells), so these are `concurrent.futures`."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future

from .errors import TopKError, error_of

#: How long the page may take to show a widget, in seconds.
START_TIMEOUT = 60


def check_host() -> None:
    """An error where an answer cannot arrive while a cell waits for it."""
    if "marimo" in sys.modules:
        import marimo

        if marimo.running_in_notebook():
            raise error_of(
                "argument",
                "marimo delivers the answers of a widget after the cell has ended, so a cell cannot await one: keep the call, "
                "and read call.result() in a cell that names mo.ui.anywidget(model) and so runs again (examples/notebooks).",
            )
    kernel = sys.modules.get("ipykernel")
    if kernel is not None:
        version = tuple(int(part) for part in kernel.__version__.split(".")[:2] if part.isdigit())
        if version < (7, 4):
            raise error_of(
                "argument",
                f"ipykernel {kernel.__version__} delivers no answers of a widget while a cell runs: pip install 'ipykernel>=7.4', then restart the kernel.",
            )


class Call:
    """An answer to come: `await` it, or ask `done()` and `result()`."""

    def __init__(self, abort: Callable[[], None], started: Callable[[], bool]):
        self._future: Future = Future()
        self._abort, self._started = abort, started

    def done(self) -> bool:
        return self._future.done()

    def result(self):
        """The answer, or the exception that it was; an error if it has not come yet."""
        if not self.done():
            raise error_of("argument", "The answer has not come yet: await the call, or ask done() first.")
        return self._future.result()

    def cancel(self) -> None:
        """Stops the work."""
        if not self.done():
            self._abort()
            self._settle(error_of("aborted", "The call was stopped."))

    def _settle(self, answer) -> None:
        if self._future.done():
            return
        if isinstance(answer, TopKError):
            self._future.set_exception(answer)
        else:
            self._future.set_result(answer)

    def __await__(self):
        return self._wait(self._future).__await__()

    async def _wait(self, future: Future):
        if not future.done():
            check_host()
        wrapped = asyncio.wrap_future(future)
        try:
            while not wrapped.done():
                await asyncio.wait({wrapped}, timeout=START_TIMEOUT)
                if not wrapped.done() and not self._started():
                    self.cancel()
                    raise error_of("worker", "The page has not started the model: show it, as the last line of a cell (`model`), and keep the notebook open.")
            return wrapped.result()
        except asyncio.CancelledError:
            self.cancel()
            raise


class Generation(Call):
    """The steps of a generation: `async for step in …`; `text` and `steps` hold what has come. Awaiting it gives all steps."""

    def __init__(self, abort, started):
        super().__init__(abort, started)
        self.steps: list = []
        #: Why it ended ("length", "stop", "context"), the seed in use, and the prompt's ids, at the end.
        self.finish = self.seed = self.prompt_ids = None
        self._waiting: list[Future] = []
        self._lock = threading.Lock()
        self._next = 0

    @property
    def text(self) -> str:
        return "".join(step.text for step in self.steps)

    def _add(self, steps: list) -> None:
        with self._lock:
            self.steps.extend(steps)
            waiting, self._waiting = self._waiting, []
        for future in waiting:
            future.set_result(None)

    def _settle(self, answer) -> None:
        super()._settle(answer)
        self._add([])

    async def __aiter__(self):
        try:
            while True:
                try:
                    step = await self.__anext__()
                except StopAsyncIteration:
                    return
                yield step
        finally:
            self.cancel()  # whoever leaves the loop wants no more of it

    async def __anext__(self):
        while True:
            with self._lock:
                if self._next < len(self.steps):
                    self._next += 1
                    return self.steps[self._next - 1]
                if self.done():
                    break
                future: Future = Future()
                self._waiting.append(future)
            await self._wait(future)
        self._future.result()  # raises what went wrong
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.cancel()
