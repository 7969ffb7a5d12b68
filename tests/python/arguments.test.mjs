// What the Python package checks before anything goes to the page, where a string would come apart into letters and 1.5 would have become 1; and what it
// keeps of an answer that nobody waits for any more.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { inRoot } from '../../scripts/lib/paths.mjs';
import { which } from '../../scripts/lib/run.mjs';

/** The package alone: the widget's base and what it imports are stand-ins. */
const PACKAGE = `
import asyncio, itertools, sys, threading, types
from unittest.mock import MagicMock

sys.modules |= {"numpy": MagicMock(), "traitlets": MagicMock(), "anywidget": types.SimpleNamespace(AnyWidget=object)}
import topk_lm

sent = []
`;

const ARGUMENTS = `
model = topk_lm.Model.__new__(topk_lm.Model)
model._call = lambda method, *_, **more: sent.append(more)

class Integer:  # as NumPy's are
    def __index__(self):
        return 7

def refused(call, word):
    try:
        call()
    except topk_lm.TopKArgumentError as error:
        assert word in str(error), error
    else:
        raise AssertionError(word)

refused(lambda: model.run([1, 1.5]), "prompt[1] is 1.5, but must be a whole number.")
refused(lambda: model.run(5), "prompt is 5, but must be a list of token ids.")
refused(lambda: model.decode("text"), "ids is 'text'")
refused(lambda: model.run("x", hooks="hook_embed"), "hooks is 'hook_embed', but must be a list.")
refused(lambda: model.generate("x", edits={"layer": 0}), "edits is {'layer': 0}, but must be a list.")
refused(lambda: model.generate("x", seed=1.5), "seed is 1.5")
refused(lambda: model.logit_lens(None), "prompt is None")
refused(lambda: model.set_each("x", 1, layers=1, indices=[2], values=[3]), "layers is 1, but must be a list of blocks.")
refused(lambda: model.set_each("x", 1, layers=[1], indices=[2], values=["a"]), "values is ['a'], but must be a list of numbers.")
refused(lambda: model.generate_batch({"prompt": "x"}), "generations is {'prompt': 'x'}, but must be a list.")
refused(lambda: model.generate_batch([{"seed": 1}]), "generations[0] is {'seed': 1}, but must be a dict with a prompt.")
refused(lambda: model.generate_batch([{"prompt": "x", "maxTokens": 1}]), "generations[0] has 'maxTokens', which is none of prompt, max_tokens, ")
refused(lambda: model.load_checkpoint(1.5), "step is 1.5")
assert sent == []
for call in (lambda: model.attach_sae("nowhere"), lambda: topk_lm.load("nowhere")):
    try:
        call()
    except topk_lm.TopKError as error:
        assert error.code == "io" and "nowhere holds no c" in str(error), error
    else:
        raise AssertionError("nowhere")
model.run((Integer(), 2), hooks=("hook_embed",))
model.generate("x", seed=Integer())
assert [sent[0]["prompt"], sent[0]["options"]["hooks"], sent[1]["options"]["seed"]] == [[7, 2], ["hook_embed"], "7"], sent
print("ok")
`;

const STOPPED = `
model = topk_lm.Model.__new__(topk_lm.Model)
model._open, model._parts, model._owners, model._inboxes, model._lock = {}, {}, {}, {}, threading.RLock()
model._ids, model._page, model.send = itertools.count(1), "page", sent.append
class Scalar:  # as PyTorch's are
    def tolist(self):
        return 2.5

try:
    model.run("x", edits=[{"value": object()}])
except topk_lm.TopKArgumentError as error:
    assert "cannot be sent to the page" in str(error), error
else:
    raise AssertionError("an object was sent")
for value in (float("nan"), {Scalar(): 1}):
    try:
        model.run("x", edits=[{"value": value}])
    except topk_lm.TopKArgumentError as error:
        assert "cannot be sent to the page: " in str(error), error
    else:
        raise AssertionError(value)
assert model._open == {} and sent == [], "what cannot be sent is not asked for again when the page starts"
model.run("x", edits=[{"value": Scalar()}]).cancel()
assert sent[0]["args"]["options"]["edits"] == [{"value": 2.5}], sent
model._ids = itertools.count(1)

call = model.run("x")
part = lambda number, page="page": model._receive(None, {"kind": "answer", "id": 1, "page": page, "order": number, "part": number, "parts": 3}, [page.encode()])
part(0)
part(0, "other")  # a second tab, which hears the call too
part(1, "other")
assert model._parts == {1: [b"page"]}, model._parts
call.cancel()
part(1)
assert sent[-1] == {"kind": "abort", "id": 1} and model._open == model._parts == model._owners == model._inboxes == {}, model._parts

generation = model.generate("x")
for page in ("page", "other"):
    for order, (kind, more) in enumerate((("steps", {"value": []}), ("answer", {"error": {"code": "aborted", "message": page}}))):
        model._receive(None, {"kind": kind, "id": 2, "page": page, "order": order, "part": 0, "parts": 1, **more}, [])
assert "page" in str(generation._future.exception()), generation._future.exception()

generation = model.generate("x")
step = lambda index: {"index": index, "id": index, "text": str(index), "logprob": 0, "evicted": [], "admitted": [], "hooks": {}}
ended = {"finish": "length", "seed": None, "promptIds": []}
for order in (1, 3, 0, 2):  # as marimo may deliver them
    kind, value = ("answer", ended) if order == 3 else ("steps", [step(order)])
    model._receive(None, {"kind": kind, "id": 3, "page": "page", "order": order, "part": 0, "parts": 1, "value": value}, [])
assert generation.text == "012" and generation.finish == "length" and generation.done(), generation.text
assert model._open == model._inboxes == model._owners == {}, model._inboxes

async def leave(generation):
    async for _ in generation:
        break

for number, end in ((4, lambda generation: asyncio.run(leave(generation))), (5, lambda _: model._receive(None, {"kind": "hello", "page": "other"}, []))):
    generation = model.generate("x")
    model._receive(None, {"kind": "steps", "id": number, "page": "page", "order": 0, "part": 0, "parts": 1, "value": [step(0)]}, [])
    end(generation)
    assert sent[-1] == {"kind": "abort", "id": number} and generation.done() and model._open == {}, sent[-1]

rows = topk_lm.values.ActiveRows((2, 9), [0, 1, 2], None, None)
for position in (2, -3):
    try:
        rows.row(position)
    except IndexError:
        continue
    raise AssertionError(position)
print("ok")
`;

const run = (script) => {
  const env = { ...process.env, PYTHONPATH: inRoot('python/src'), PYTHONDONTWRITEBYTECODE: '1' };
  assert.equal(execFileSync(which('python3', 'python'), ['-c', PACKAGE + script], { env, encoding: 'utf8' }).trim(), 'ok');
};

test('wrong arguments are named, and whole numbers of any kind are taken', () => run(ARGUMENTS));

test('of an answer that was stopped half way nothing is kept', () => run(STOPPED));
