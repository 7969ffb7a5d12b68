"""Reads and edits the neurons of a TopK model in PyTorch, with TransformerLens' names.

    python examples/python/hooks.py [MODEL_FOLDER]

needs `transformers` and `torch`. `run_with_cache` and `edited` are all there is to it: PyTorch's forward hooks on the blocks and on their `topk` (modeling_topk.py, in
the model's folder).
"""

import sys
from contextlib import ExitStack, contextmanager

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def blocks_of(model):
    core = model.base_model
    return core.layers if hasattr(core, "layers") else core.h


def tensor_of(out):
    return out[0] if isinstance(out, tuple) else out


@torch.no_grad()
def run_with_cache(model, **inputs):
    """(logits [B, T, V], {hook: [B, T, d_model]}) with `blocks.{l}.hook_resid_post` of every block and `hook_topk_in`, `hook_topk_out` of the TopK blocks."""
    cache = {}

    def keep(name):
        return lambda _module, args, out: cache.update({name: tensor_of(out).clone()})

    with ExitStack() as hooks:
        for layer, block in enumerate(blocks_of(model)):
            if hasattr(block, "topk"):
                before = lambda _module, args, layer=layer: cache.update({f"blocks.{layer}.hook_topk_in": args[0].clone()})
                hooks.enter_context(block.topk.register_forward_pre_hook(before))
                hooks.enter_context(block.topk.register_forward_hook(keep(f"blocks.{layer}.hook_topk_out")))
            hooks.enter_context(block.register_forward_hook(keep(f"blocks.{layer}.hook_resid_post")))
        logits = model(**inputs).logits
    return logits, cache


@contextmanager
def edited(model, layer, index, value, site="topk_out"):
    """Within it, neuron `(layer, index)` is set to `value` at every position: behind TopK, or before it (`site="topk_in"`), where it has to compete."""

    def put(x):
        x = x.clone()
        x[..., index] = value
        return x

    topk = blocks_of(model)[layer].topk
    if site == "topk_in":
        handle = topk.register_forward_pre_hook(lambda _module, args: (put(args[0]),))
    else:
        handle = topk.register_forward_hook(lambda _module, _args, out: put(out))
    with handle:
        yield


def main(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("The dog ran", return_tensors="pt")
    logits, cache = run_with_cache(model, **inputs)
    state = cache["blocks.2.hook_resid_post"][0, -1]
    print(f"{(state != 0).sum()} of {len(state)} neurons are active in block 2 at the last token; the highest are {state.topk(5).indices.tolist()}.")
    print("next token:", repr(tokenizer.decode(logits[0, -1].argmax())))

    inputs = tokenizer("The baby was tired, so", return_tensors="pt")
    settings = {"do_sample": False, "max_new_tokens": 20}
    print("plain: ", tokenizer.decode(model.generate(**inputs, **settings)[0], skip_special_tokens=True))
    with edited(model, layer=1, index=296, value=18):  # a neuron that turns he into she
        print("edited:", tokenizer.decode(model.generate(**inputs, **settings)[0], skip_special_tokens=True))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "models/Llama-TopK-Stories-16M")
