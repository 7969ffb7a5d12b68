"""Reads and edits the neurons of a TopK model in PyTorch, with TransformerLens' names.

    python examples/python/hooks.py [MODEL_FOLDER]

needs `transformers` and `torch`. `run_with_cache` and `edited` are all there is to it: PyTorch's forward hooks on the blocks and on their `topk` (modeling_topk.py, in
the model's folder), which dense blocks lack.
"""

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

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
                hooks.enter_context(block.topk.register_forward_pre_hook(before, prepend=True))  # before an edit
                hooks.enter_context(block.topk.register_forward_hook(keep(f"blocks.{layer}.hook_topk_out")))
            hooks.enter_context(block.register_forward_hook(keep(f"blocks.{layer}.hook_resid_post")))
        logits = model(**inputs).logits
    return logits, cache


@contextmanager
def edited(model, layer, index, value, site="topk_out"):
    """Within it, neuron `(layer, index)` is set to `value` at every position: after TopK, or before it (`site="topk_in"`), where it has to compete.
    In a block without TopK both are the residual stream after the block."""
    blocks, width = blocks_of(model), model.config.hidden_size
    if not (0 <= layer < len(blocks) and 0 <= index < width):
        raise ValueError(f"there is no neuron {index} in block {layer}: the model has {len(blocks)} blocks with {width} neurons each")

    def put(out):
        x = tensor_of(out).clone()
        x[..., index] = value
        return (x, *out[1:]) if isinstance(out, tuple) else x

    topk = getattr(blocks[layer], "topk", None)
    if topk is not None and site == "topk_in":
        handle = topk.register_forward_pre_hook(lambda _module, args: put(args))
    else:
        handle = (topk or blocks[layer]).register_forward_hook(lambda _module, _args, out: put(out))
    with handle:
        yield


def main(folder):
    if not (Path(folder) / "config.json").is_file():
        sys.exit(f"{folder} is not the folder of a model: there is no config.json in it")
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer("The dog ran", return_tensors="pt")
    logits, cache = run_with_cache(model, **inputs)
    last = len(blocks_of(model)) - 1
    shown, layer = min(2, last), min(1, last)
    state = cache[f"blocks.{shown}.hook_resid_post"][0, -1]
    highest = state.topk(min(5, len(state))).indices.tolist()
    print(f"{(state != 0).sum()} of {len(state)} neurons are active in block {shown} at the last token; the highest are {highest}.")
    print("next token:", repr(tokenizer.decode(logits[0, -1].argmax())))

    # In the model of the site, 296 turns he into she; of a narrower one the strongest neuron is taken.
    index = 296 if len(state) > 296 else int(cache[f"blocks.{layer}.hook_resid_post"][0, -1].argmax())
    inputs = tokenizer("The baby was tired, so", return_tensors="pt")
    settings = {"do_sample": False, "max_new_tokens": 20}
    print("plain: ", tokenizer.decode(model.generate(**inputs, **settings)[0], skip_special_tokens=True))
    with edited(model, layer, index, value=18):
        print("edited:", tokenizer.decode(model.generate(**inputs, **settings)[0], skip_special_tokens=True))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "models/Llama-TopK-Stories-16M")
