"""The model as a widget: it holds the engine in the page (widget.js), sends it calls and gets the answers as bytes.

Messages, each with `kind`:
  page → Python   hello   {page}               the page has started, or has been reloaded: what is open is sent (again). It comes again until it is answered
                  read    {name, offset}       asks for a part of a file: the engine's bundle, or a file of the model
                  state   {name, value}        a traitlet has changed
                  answer  {id, part, parts} + buffer, in the last part {value | error}; steps of a generation come as `steps` likewise
  Python → page   welcome                      answers hello
                  call    {id, method, args}   abort {id}   part {name, offset, total} + buffer
"""

from __future__ import annotations

import itertools
import operator
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets

from . import values
from .calls import Call, Generation
from .errors import error_of

HERE = Path(__file__).parent
BUNDLE = "bundle"
#: A message's largest buffer; Jupyter's server takes 10 MB by default.
PART = 4 << 20
#: What of a local folder goes to the page.
MODEL_FILES = ("config.json", "generation_config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")


def bundle_file() -> Path:
    """The engine: in the wheel, or where a build of the repository has it."""
    found = [path for path in (HERE / "bundle.js", HERE.parents[2] / "dist/npm/bundle.js") if path.exists()]
    if not found:
        raise error_of("wasm", "bundle.js is missing: install the wheel, or run `npm run build` in the repository.")
    return found[0]


def model_files(folder: Path) -> dict[str, Path]:
    files = {path.name: path for pattern in MODEL_FILES for path in sorted(folder.glob(pattern))}
    if "config.json" not in files:
        raise error_of("io", f"{folder} holds no config.json; give the path or the URL of a model folder.")
    return files


def whole(name: str, number: Any) -> int:
    """A Python integer, of NumPy's too; 1.5 is none."""
    try:
        return operator.index(number)
    except TypeError:
        raise error_of("argument", f"{name} is {number!r}, but must be a whole number.") from None


def ids_of(name: str, ids: Iterable) -> list[int]:
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise error_of("argument", f"{name} is {ids!r}, but must be a list of token ids.")
    return [whole(f"{name}[{at}]", each) for at, each in enumerate(ids)]


def prompt_of(prompt: str | Sequence[int] | np.ndarray) -> str | list[int]:
    return prompt if isinstance(prompt, str) else ids_of("prompt", prompt)


def listed(name: str, given: Iterable) -> list:
    """One name or one edit in place of a list of them would come apart into its letters or keys."""
    if isinstance(given, (str, dict)) or not isinstance(given, Iterable):
        raise error_of("argument", f"{name} is {given!r}, but must be a list.")
    return list(given)


def given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


class Model(anywidget.AnyWidget):
    """A model in the page. Shown, it is a grid of tokens by neurons that grows with what runs; click a cell to select a neuron."""

    _esm = HERE / "widget.js"
    _css = HERE / "widget.css"
    _source = traitlets.Dict().tag(sync=True)
    _options = traitlets.Dict().tag(sync=True)
    #: The block whose neurons the grid shows.
    layer = traitlets.Int(0).tag(sync=True)
    #: What is selected in the grid: {"layer", "index", "position", "value"} of each.
    selection = traitlets.List().tag(sync=True)
    #: {"phase": "starting" | "loading" | "ready" | "failed", …}; when ready, with `config` and `backend`.
    status = traitlets.Dict({"phase": "starting"}).tag(sync=True)
    #: How many calls have been answered. It makes marimo run the cells again that name the widget.
    settled = traitlets.Int(0).tag(sync=True)

    def __init__(self, source: str | Path, *, backend: str = "auto", worker: bool = True, layer: int = 0):
        self._files: dict[str, Path] = {}
        text = str(source)
        if text.startswith(("http://", "https://")):
            described = {"url": text}
        else:
            self._files = model_files(Path(source).expanduser())
            described = {"files": list(self._files)}
        self._open: dict[int, tuple[dict, Call]] = {}
        self._parts: dict[int, list[bytes]] = {}
        self._owners: dict[int, str] = {}  # the page that answers a call
        self._inboxes: dict[int, dict[str, Inbox]] = {}  # by call and page
        self._lock = threading.RLock()
        self._ids = itertools.count(1)
        #: The page that has said hello last.
        self._page: str | None = None
        self._bundle = bundle_file()
        super().__init__(_source=described, _options={"backend": backend, "worker": worker}, layer=layer)
        self.on_msg(self._receive)

    # --- calls

    def info(self) -> Call:
        """{"config", "backend", "checkpoints"} of the loaded model."""
        return self._call("info")

    def run(
        self,
        prompt: str | Sequence[int] | np.ndarray,
        *,
        hooks: Iterable[str] = (),
        edits: Iterable[dict] = (),
        prompt_length: int | None = None,
        logits: str = "last",
    ) -> Call:
        """One forward pass; await it for a `RunResult`. `logits`: "none", "last" or "all". Hooks and edits: docs/semantics.md."""
        options = given(hooks=listed("hooks", hooks), edits=listed("edits", edits), promptLength=prompt_length, logits=logits)
        return self._call("run", values.run_result, prompt=prompt_of(prompt), options=options)

    def generate(
        self,
        prompt: str | Sequence[int] | np.ndarray,
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        repetition_penalty: float | None = None,
        seed: int | None = None,
        stop: str | Sequence[str] | None = None,
        ignore_eos: bool | None = None,
        edits: Iterable[dict] = (),
        hooks: Iterable[str] = (),
        top_logprobs: int | None = None,
    ) -> Generation:
        """`async for step in model.generate(…)`. What is left out comes from generation_config.json. Temperature 0 is greedy."""
        options = given(
            maxTokens=max_tokens,
            temperature=temperature,
            topK=top_k,
            topP=top_p,
            repetitionPenalty=repetition_penalty,
            seed=None if seed is None else str(whole("seed", seed)),  # up to 2^64
            stop=stop,
            ignoreEos=ignore_eos,
            edits=listed("edits", edits),
            hooks=listed("hooks", hooks),
            topLogprobs=top_logprobs,
        )
        return self._call("generate", kind=Generation, prompt=prompt_of(prompt), options=options)

    def logit_lens(self, prompt, *, layers: Sequence[int] | None = None, edits: Iterable[dict] = ()) -> Call:
        """What each of the layers would predict: an array [layers, T, d_vocab]."""
        return self._call("logitLens", prompt=prompt_of(prompt), options=given(layers=layers, edits=listed("edits", edits)))

    def ablate(self, prompt, target: int, *, edits: Iterable[dict] = ()) -> Call:
        """An `Ablation`: what each active neuron at the last position does to the logit of the token `target`."""

        def ablation(value):
            return values.Ablation(**{name: value[name] for name in ("logit", "layers", "indices", "values", "effects")})

        return self._call("ablate", ablation, prompt=prompt_of(prompt), target=target, options={"edits": listed("edits", edits)})

    def encode(self, text: str) -> Call:
        """The ids of a text."""
        return self._call("encode", text=text)

    def decode(self, ids: Sequence[int] | np.ndarray) -> Call:
        """The text of ids."""
        return self._call("decode", ids=ids_of("ids", ids))

    def dispose(self) -> Call:
        """Frees the model in the page. Later calls end with a `TopKDisposedError`."""
        return self._call("dispose")

    # --- messages

    def _call(self, method: str, convert=lambda value: value, kind: type[Call] = Call, **args: Any) -> Any:
        number = next(self._ids)
        call = kind(lambda: self._abort(number), lambda: self._page is not None)
        call._convert = convert
        message = {"kind": "call", "id": number, "method": method, "args": args}
        self._open[number] = (message, call)
        if self._page is not None:
            self.send(message)
        return call

    def _abort(self, number: int) -> None:
        with self._lock:
            self._forget(number)
            call = self._open.pop(number, None)
        if call is not None:
            self.send({"kind": "abort", "id": number})

    def _forget(self, number: int) -> None:
        for kept in (self._parts, self._owners, self._inboxes):
            kept.pop(number, None)

    def _receive(self, _widget, message: dict, buffers: list) -> None:
        kind = message.get("kind")
        if kind == "hello":
            self.send({"kind": "welcome"})
            if message["page"] == self._page:
                return
            self._page = message["page"]
            self._parts.clear()
            self._owners.clear()
            for number, (sent, call) in list(self._open.items()):
                if isinstance(call, Generation) and call.steps:
                    self._abort(number)  # where it is another page, the first one still computes
                    call._settle(error_of("worker", "The page was reloaded during the generation; start it again."))
                else:
                    self.send(sent)
        elif kind == "read":
            self._send_part(message["name"], message["offset"])
        elif kind == "state" and message["name"] in ("layer", "selection", "settled", "status"):
            setattr(self, message["name"], message["value"])
        elif kind in ("answer", "steps"):
            self._answer(kind, message, bytes(buffers[0]) if buffers else b"")

    def _send_part(self, name: str, offset: int) -> None:
        path = self._bundle if name == BUNDLE else self._files.get(name)
        if path is None:
            return
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(PART)
        self.send({"kind": "part", "name": name, "offset": offset, "total": path.stat().st_size}, buffers=[data])

    def _answer(self, kind: str, message: dict, part: bytes) -> None:
        number = message["id"]
        with self._lock:
            if number not in self._open:
                return
            inbox = self._inboxes.setdefault(number, {}).setdefault(message["page"], Inbox())
            for each in inbox.take(message["order"], (kind, message, part)):
                if number in self._open:
                    self._take(*each)

    def _take(self, kind: str, message: dict, part: bytes) -> None:
        number, page = message["id"], message["page"]
        # A notebook may be open in several pages, which all hear the call: the first to answer answers it.
        if message["part"] == 0:
            self._owners.setdefault(number, page)
        if self._owners.get(number) != page:
            return
        parts = self._parts.setdefault(number, [])
        parts.append(part)
        if message["part"] + 1 < message["parts"]:
            return
        payload = b"".join(self._parts.pop(number))
        call = self._open[number][1]
        if kind == "steps":
            call._add([values.step(each) for each in values.decoded(message["value"], payload)])
            return
        del self._open[number]
        self._forget(number)
        if "error" in message:
            call._settle(error_of(message["error"]["code"], message["error"]["message"]))
            return
        value = values.decoded(message["value"], payload)
        if isinstance(call, Generation):
            call.finish, call.seed, call.prompt_ids = value["finish"], None if value["seed"] is None else int(value["seed"]), value["promptIds"]
            call._settle(call.steps)
        else:
            call._settle(call._convert(value))


class Inbox:
    """What a page says of a call, in the order in which it was sent: marimo may deliver it in another."""

    def __init__(self):
        self._due, self._early = 0, {}

    def take(self, order: int, message: Any) -> Iterator[Any]:
        self._early[order] = message
        while self._due in self._early:
            self._due += 1
            yield self._early.pop(self._due - 1)


def load(source: str | Path, *, backend: str = "auto", worker: bool = True, layer: int = 0) -> Model:
    """A model from a local folder, whose files go to the page as they are, or from the URL of one.

    It loads while you go on; calls wait for it. Show it (`model` as the last line of a cell) to see progress and the grid. `backend`: "auto", "webgpu" or "cpu".
    """
    return Model(source, backend=backend, worker=worker, layer=layer)
