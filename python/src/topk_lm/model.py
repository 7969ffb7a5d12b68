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

import inspect
import itertools
import json
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
#: Weights, in one file or in parts.
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors")
#: What of a local folder goes to the page, and what besides for the checkpoints of its training.
MODEL_FILES = ("config.json", "generation_config.json", "tokenizer.json", *WEIGHTS)
CHECKPOINT_FILES = tuple(f"step*/{name}" for name in WEIGHTS)
#: What an autoencoder's folder holds, in SAELens' layout.
SAE_FILES = ("cfg.json", "sae_weights.safetensors")


def bundle_file() -> Path:
    """The engine: in the wheel, or where a build of the repository has it."""
    found = [path for path in (HERE / "bundle.js", HERE.parents[2] / "dist/npm/bundle.js") if path.exists()]
    if not found:
        raise error_of("wasm", "bundle.js is missing: install the wheel, or run `npm run build` in the repository.")
    return found[0]


def is_url(source: str | Path) -> bool:
    return str(source).startswith(("http://", "https://"))


def model_files(folder: Path, checkpoints: bool) -> dict[str, Path]:
    """By their paths below the folder."""
    patterns = MODEL_FILES + (CHECKPOINT_FILES if checkpoints else ())
    files = {path.relative_to(folder).as_posix(): path for pattern in patterns for path in sorted(folder.glob(pattern))}
    if "config.json" not in files:
        raise error_of("io", f"{folder} holds no config.json; give the path or the URL of a model folder.")
    return files


def sae_files(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in SAE_FILES}
    for name, path in files.items():
        if not path.exists():
            raise error_of("io", f"{folder} holds no {name}; give the path or the URL of an autoencoder's folder.")
    return files


def plain(value: Any) -> Any:
    """NumPy's and PyTorch's numbers and arrays as Python's, for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Iterable):
        return list(value)
    raise error_of("argument", f"{value!r} cannot be sent to the page; give text, numbers or lists of them.")


def sendable(args: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON has them, which knows neither NaN nor keys that are NumPy's numbers."""
    try:
        return json.loads(json.dumps(args, default=plain, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise error_of("argument", f"The arguments cannot be sent to the page: {error}.") from None


def whole(name: str, number: Any) -> int:
    """A Python integer, of NumPy's too; 1.5 is none."""
    try:
        return operator.index(number)
    except TypeError:
        raise error_of("argument", f"{name} is {number!r}, but must be a whole number.") from None


def ids_of(name: str, ids: Iterable, what: str = "token ids") -> list[int]:
    if isinstance(ids, str) or not isinstance(ids, Iterable):
        raise error_of("argument", f"{name} is {ids!r}, but must be a list of {what}.")
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


def numbers_of(name: str, numbers: Iterable) -> list[float]:
    if isinstance(numbers, str) or not isinstance(numbers, Iterable):
        raise error_of("argument", f"{name} is {numbers!r}, but must be a list of numbers.")
    try:
        return [float(each) for each in numbers]
    except (TypeError, ValueError):
        raise error_of("argument", f"{name} is {numbers!r}, but must be a list of numbers.") from None


def generation_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `Model.generate`, as the page takes them: by JavaScript's names."""

    def named(name: str) -> str:
        first, *others = name.split("_")
        return first + "".join(other.capitalize() for other in others)

    seed = options.get("seed")
    checked = {
        "seed": None if seed is None else str(whole("seed", seed)),  # up to 2^64
        "edits": listed("edits", options.get("edits", ())),
        "hooks": listed("hooks", options.get("hooks", ())),
    }
    return given(**{named(name): value for name, value in {**options, **checked}.items()})


def batch_request(at: int, request: Any) -> dict[str, Any]:
    """One generation of `Model.generate_batch`, as the page takes it."""
    where = f"generations[{at}]"
    if not isinstance(request, dict) or "prompt" not in request:
        raise error_of("argument", f"{where} is {request!r}, but must be a dict with a prompt.")
    options = {name: value for name, value in request.items() if name != "prompt"}
    _, *known = inspect.signature(Model.generate).parameters  # the prompt and its options
    unknown = [name for name in options if name not in known]
    if unknown:
        raise error_of("argument", f"{where} has {unknown[0]!r}, which is none of {', '.join(known)}.")
    return {"prompt": prompt_of(request["prompt"]), **generation_options(options)}


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
    #: What was loaded into the model besides its weights: {"step", "saes"}. A page that is reloaded does it again.
    _loaded = traitlets.Dict({"step": None, "saes": []}).tag(sync=True)
    #: How many calls have been answered. It makes marimo run the cells again that name the widget.
    settled = traitlets.Int(0).tag(sync=True)

    def __init__(self, source: str | Path, *, backend: str = "auto", worker: bool = True, layer: int = 0, checkpoints: bool = False):
        self._files: dict[str, Path] = {}
        if is_url(source):
            described = {"url": str(source)}
        else:
            self._files = model_files(Path(source).expanduser(), checkpoints)
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
        options = generation_options({name: value for name, value in locals().items() if name not in ("self", "prompt")})
        return self._call("generate", kind=Generation, prompt=prompt_of(prompt), options=options)

    def logit_lens(self, prompt, *, layers: Sequence[int] | None = None, edits: Iterable[dict] = ()) -> Call:
        """What each of the layers would predict: an array [layers, T, d_vocab]."""
        return self._call("logitLens", prompt=prompt_of(prompt), options=given(layers=layers, edits=listed("edits", edits)))

    def ablate(self, prompt, target: int, *, edits: Iterable[dict] = ()) -> Call:
        """An `Ablation`: what each active neuron at the last position does to the logit of the token `target`."""

        def ablation(value):
            return values.Ablation(**{name: value[name] for name in ("logit", "layers", "indices", "values", "effects")})

        return self._call("ablate", ablation, prompt=prompt_of(prompt), target=target, options={"edits": listed("edits", edits)})

    def set_each(self, prompt, target: int, *, layers: Iterable[int], indices: Iterable[int], values: Iterable[float], edits: Iterable[dict] = ()) -> Call:
        """Sets each of some neurons alone to its value (site `topk_out`, last position). An `EachSet`: what that adds to the logit of the token `target`."""
        neurons = {"layers": ids_of("layers", layers, "blocks"), "indices": ids_of("indices", indices, "neurons"), "values": numbers_of("values", values)}
        options = {"edits": listed("edits", edits)}
        return self._call("setEach", each_set, prompt=prompt_of(prompt), target=whole("target", target), neurons=neurons, options=options)

    def generate_batch(self, generations: Iterable[dict]) -> Call:
        """Several generations at once, each a dict of `prompt` and options of `generate`; await it for a list of `BatchResult`s, in that order."""
        requests = [batch_request(at, each) for at, each in enumerate(listed("generations", generations))]
        return self._call("generateBatch", lambda results: [values.batch_result(each) for each in results], requests=requests)

    def attach_sae(self, source: str | Path, *, hook: str | None = None, error_term: bool = False) -> Call:
        """Attaches an autoencoder in SAELens' layout, from a local folder or a URL; {"hook", "kind", "dIn", "dSae", "errorTerm"}.

        Calls from then on run through it: its hooks are `{hook}.hook_sae_acts_post` and so on, its edits `{"sae": hook, "index": …}`. One per hook.
        """
        described = {"url": str(source)} if is_url(source) else {"files": self._offer(sae_files(Path(source).expanduser()))}
        return self._call("attachSae", source=described, options=given(hook=hook, errorTerm=error_term))

    def detach_saes(self) -> Call:
        """Detaches all autoencoders."""
        return self._call("detachSaes")

    def sae_quality(self, prompt) -> Call:
        """What the attached autoencoders cost on a text: {"baseLoss", "splicedLoss", "tokens", "saes": [{"hook", "fvu", "mse", "l0"}]}."""
        return self._call("saeQuality", prompt=prompt_of(prompt))

    def load_checkpoint(self, step: int | str) -> Call:
        """The weights of a training step (`info()` names them), or "final". It detaches autoencoders. Of a local folder only with `load(…, checkpoints=True)`."""
        return self._call("loadCheckpoint", step=step if isinstance(step, str) else whole("step", step))

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

    def _offer(self, files: dict[str, Path]) -> dict[str, str]:
        """Lets the page read further files; by their names, the names to ask for them by."""
        number = next(self._ids)
        asked = {name: f"{number}/{name}" for name in files}
        self._files |= {asked[name]: path for name, path in files.items()}
        return asked

    def _call(self, method: str, convert=lambda value: value, kind: type[Call] = Call, **args: Any) -> Any:
        args = sendable(args)  # what cannot be sent is an error here, and not when the page is told of it
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
        elif kind == "state" and message["name"] in ("layer", "selection", "settled", "status", "_loaded"):
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


def each_set(value: dict) -> values.EachSet:
    return values.EachSet(value["logit"], value["effects"])


def load(source: str | Path, *, backend: str = "auto", worker: bool = True, layer: int = 0, checkpoints: bool = False) -> Model:
    """A model from a local folder, whose files go to the page as they are, or from the URL of one.

    It loads while you go on; calls wait for it. Show it (`model` as the last line of a cell) to see progress and the grid. `backend`: "auto", "webgpu" or "cpu".
    `checkpoints`: the weights of a local folder's training steps go to the page as well.
    """
    return Model(source, backend=backend, worker=worker, layer=layer, checkpoints=checkpoints)
