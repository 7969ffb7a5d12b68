"""Makes the golden models and their expected results: `python make.py [NAME…]`; `--check` compares instead.

Every folder `models/NAME/` is a Hugging Face model folder without a tokenizer; beside the weights it has

`golden.json`
    format          1
    seed            of the weights; the search for sufficient margins found it
    min_topk_gap    smallest TopK gap of everything below; >= 2.5e-4. null without TopK
    min_top2_gap    smallest top-1/top-2 logit gap of every greedy row below; >= 1e-2
    runs            list of forward passes; the first is named "base" and has no edits:
      name            prefix of its tensors in golden.safetensors
      ids             T token ids
      prompt_len      positions below it are "prompt"
      edits           list of {layer, index, action, value, site, positions, propagate} (docs/semantics.md), with all keys
                      except value for ablate; positions is "all", "prompt", "generated" or
                      {"from": a, "to": b}
      logits_from     the tensor NAME/logits holds the rows from this position on
      active          {"LAYER": T lists of ascending indices} of the TopK blocks with k < d: where resid_post != 0
      topk_gap        {"LAYER": [T]}: k-th minus next selection value; where a topk_in edit applies, the smaller of
                      that of the edited and of the unedited sum; with relu at most the smallest magnitude kept
      swaps           list of {layer, position, evicted, admitted} where a topk_in edit changed the kept set: kept of
                      the unedited sum but not of the edited one, and the reverse; all ascending
      f64_diff        largest difference of a logit to the same computed in f64: what rounding does here
    greedy          list of continuations; the first has no edits:
      prompt_ids, edits
      ids             the new tokens by argmax (no eos among them)
      top2_gap        top-1 minus top-2 logit for each new token
      topk_gap        smallest TopK gap of the rows computed for each new token (for the first: all the prompt's);
                      null without TopK
`golden.safetensors`, all f32
    RUN/logits      [T - logits_from, d_vocab]
    RUN/HOOK        a hook in its shape of docs/semantics.md, "base/blocks.0.hook_resid_post" for example:
                    resid_post of every block for every run (below the first edited block it is base's and left out);
                    for base also all the other hooks in the models whose spec says hooks = "all"
"""

import argparse
import copy
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file, save_file
from transformers.utils import logging

from reference import Reference
from specs import MODELS
from weights import write_folder

HERE = Path(__file__).parent
MIN_TOPK_GAP, MIN_TOP2_GAP = 2.5e-4, 1e-2
PROMPT, NEW, NEW_EDITED, RUN_LEN, LAST = 10, 28, 16, 16, 4


def load_reference(folder, spec, weights):
    """The model as transformers reads the folder, except those of 8 and 4 bits, which transformers cannot read by itself."""
    model_class = getattr(transformers, spec["config"]["architectures"][0])
    if spec.get("tensors") in ("i8", "gptq", "awq"):
        plain = {key: value for key, value in spec["config"].items() if key != "quantization_config"}
        config = model_class.config_class(**plain)
        config._attn_implementation = "eager"
        model = model_class(config)
        model.load_state_dict(weights)
    else:
        model, info = model_class.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
        )
        assert not info["missing_keys"] and not info["mismatched_keys"], info
        state = model.state_dict()
        for name, tensor in weights.items():
            # transformers 5 calls the head of GPT-NeoX by the usual name.
            name = name if name in state else name.replace("embed_out", "lm_head")
            assert torch.equal(state[name], tensor), f"{name} is not what was written"
    assert model.config._attn_implementation == "eager"
    return Reference(model, spec["config"])


def safe(topk_gaps, top2_gaps=()):
    return min(topk_gaps, default=np.inf) >= MIN_TOPK_GAP and min(top2_gaps, default=np.inf) >= MIN_TOP2_GAP


def continuation(reference, prompt, n, edits):
    """A record of `greedy`, or None where a margin is too small or the eos id appears."""
    ids, topk_gaps, top2_gaps = reference.greedy(prompt, n, edits)
    if not safe(topk_gaps, top2_gaps) or reference.model.config.eos_token_id in ids:
        return None
    # The same tokens from one uncached pass.
    whole = reference.run(prompt + ids[:-1], edits, len(prompt), hooks="none")
    if not safe([whole.min_gap()]) or whole.logits[len(prompt) - 1 :].argmax(-1).tolist() != ids:
        return None
    gaps = [None if np.isinf(gap) else number(gap) for gap in topk_gaps]
    return {"prompt_ids": prompt, "edits": edits, "ids": ids, "top2_gap": numbers(top2_gaps), "topk_gap": gaps}


def number(x):
    return float(f"{x:.6g}")


def numbers(xs):
    return [number(x) for x in xs]


def record(reference, twin, name, ids, edits, logits_from, hooks, tensors):
    """Runs once; returns the JSON record and adds the tensors. None where the f64 twin chooses another active set."""
    run = reference.run(ids, edits, PROMPT, hooks)
    exact = twin.run(ids, edits, PROMPT)
    if exact.active != run.active or exact.swaps != run.swaps:
        return None
    tensors[f"{name}/logits"] = run.logits[logits_from:]
    first = min((edit["layer"] for edit in edits), default=0)
    below = {f"blocks.{layer}.hook_resid_post" for layer in range(first)}
    tensors |= {f"{name}/{hook}": np.ascontiguousarray(x) for hook, x in run.hooks.items() if hook not in below}
    return {
        "name": name,
        "ids": ids,
        "prompt_len": PROMPT,
        "edits": edits,
        "logits_from": logits_from,
        "active": {str(layer): rows for layer, rows in run.active.items()},
        "topk_gap": {str(layer): numbers(gap) for layer, gap in run.gaps.items()},
        "swaps": run.swaps,
        "f64_diff": number(np.abs(exact.logits - run.logits).max()),
    }


def named_neurons(group):
    return sorted({edit["index"] for case in group for edit in case})


def with_neurons(group, neurons):
    group = copy.deepcopy(group)
    for case in group:
        for edit in case:
            edit["index"] = neurons[edit["index"]]
    return group


def bites(reference, ids, base, case):
    """Whether a case is safe and visible: in the logits, and for topk_in in a TopK block also in the kept set."""
    run = reference.run(ids, case, PROMPT)
    swaps = any(e["site"] == "topk_in" and e["layer"] < reference.n_cut for e in case) and base.gaps
    visible = np.abs(run.logits - base.logits)[-LAST:].max() > 0.02
    return visible and safe([run.min_gap()]) and (bool(run.swaps) or not swaps)


def search(reference, rng, d, group, accept):
    """Neurons for the names of a group such that every case is accepted."""
    for _ in range(60):
        names = named_neurons(group)
        chosen = rng.choice(d, size=len(names), replace=False)
        cases = with_neurons(group, dict(zip(names, map(int, chosen))))
        results = [accept(case) for case in cases]
        if all(results):
            return list(zip(cases, results))
    return None


def attempt(folder, spec, seed):
    """(golden, tensors) for one seed, or None where a margin is too small."""
    shutil.rmtree(folder, ignore_errors=True)
    reference = load_reference(folder, spec, write_folder(folder, spec, seed))
    twin = reference.in_float64()
    config, rng = reference.model.config, np.random.RandomState(seed + 10_000)
    for _ in range(6):
        prompt = [0, *rng.randint(1, config.vocab_size - 1, PROMPT - 1).tolist()]
        plain = continuation(reference, prompt, NEW, [])
        if plain and len(set(plain["ids"])) >= 6:
            break
    else:
        return None
    ids = prompt + plain["ids"][: RUN_LEN - PROMPT]
    base = reference.run(ids, prompt_len=PROMPT)
    tensors, greedy = {}, [plain]
    runs = [record(reference, twin, "base", ids, [], 0, spec.get("hooks", "resid_post"), tensors)]
    for group in spec.get("cases", []):
        found = search(reference, rng, config.hidden_size, group, lambda case: bites(reference, ids, base, case))
        if found is None:
            return None
        for case, _ in found:
            name = f"edit{len(runs):02}"
            runs.append(record(reference, twin, name, ids, case, len(ids) - LAST, "resid_post", tensors))
    for group in spec.get("greedy_cases", []):

        def steered(case):
            result = continuation(reference, prompt, NEW_EDITED, case)
            return result and result["ids"] != plain["ids"][:NEW_EDITED] and result

        found = search(reference, rng, config.hidden_size, group, steered)
        if found is None:
            return None
        greedy += [result for _, result in found]
    if None in runs:
        return None
    gaps = [gap for run in runs for row in run["topk_gap"].values() for gap in row]
    gaps += [gap for g in greedy for gap in g["topk_gap"] if gap is not None]
    golden = {
        "format": 1,
        "seed": seed,
        "min_topk_gap": min(gaps, default=None),
        "min_top2_gap": min(gap for g in greedy for gap in g["top2_gap"]),
        "runs": runs,
        "greedy": greedy,
    }
    return golden, tensors


def make(folder, spec):
    for seed in range(1, 200):
        result = attempt(folder, spec, seed)
        if result:
            golden, tensors = result
            # One line a run: short enough to read, and a change shows where it is.
            text = json.dumps(golden, separators=(",", ":"))
            for key in ('"runs":[', '"greedy":[', '{"name":', '{"prompt_ids":'):
                text = text.replace(key, "\n" + key)
            (folder / "golden.json").write_text(text + "\n")
            save_file(tensors, folder / "golden.safetensors")
            return golden, tensors
    raise SystemExit(f"{folder.name}: no seed with sufficient margins")


def strip_margins(value):
    """The golden without its measured numbers, which differ by rounding from machine to machine."""
    if isinstance(value, dict):
        return {k: strip_margins(v) for k, v in value.items() if not k.endswith("_gap") and k != "f64_diff"}
    return [strip_margins(v) for v in value] if isinstance(value, list) else value


def differences(made, there):
    """What differs between two model folders: files and exact parts bit for bit, tensors by more than 2e-5."""
    names = [sorted(p.name for p in folder.iterdir()) for folder in (made, there)]
    if names[0] != names[1]:
        return [f"files {names[1]} instead of {names[0]}"]
    out = []
    for name in names[0]:
        if not name.startswith("golden") and (made / name).read_bytes() != (there / name).read_bytes():
            out.append(f"{name} differs")
    goldens = [strip_margins(json.loads((folder / "golden.json").read_text())) for folder in (made, there)]
    if goldens[0] != goldens[1]:
        out.append("golden.json differs")
    tensors = [load_file(folder / "golden.safetensors") for folder in (made, there)]
    if tensors[0].keys() != tensors[1].keys():
        out.append("golden.safetensors has other tensors")
    else:
        worst = max(float(np.abs(a - tensors[1][name]).max()) for name, a in tensors[0].items())
        if not worst <= 2e-5:
            out.append(f"golden.safetensors differs by {worst}")
    return out


def command(kind: str, specs: dict, root: Path, build) -> int:
    """The command line of a maker of goldens: `build(folder, spec)` fills a folder and returns what to print of it. 0 where all is well."""
    parser = argparse.ArgumentParser(description=f"Makes tests/goldens/{root.name}.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(specs)}; none given: all")
    parser.add_argument("--check", action="store_true", help="make in a temporary folder and compare")
    args = parser.parse_args()
    unknown = set(args.names) - set(specs)
    if unknown:
        parser.error(f"no such {kind}: {', '.join(sorted(unknown))}")
    torch.set_num_threads(1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    bad = False
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.names or specs:
            there = root / name
            folder = Path(temporary) / name if args.check else there
            facts = build(folder, specs[name])
            size = sum(p.stat().st_size for p in folder.iterdir())
            print(f"{name}: {facts}, {size / 1e3:.0f} kB")
            for difference in differences(folder, there) if args.check else []:
                print(f"  {difference}")
                bad = True
    return 1 if bad else 0


def described(folder: Path, spec) -> str:
    golden, tensors = make(folder, spec)
    return (
        f"seed {golden['seed']}, {len(golden['runs'])} runs, TopK gap {golden['min_topk_gap']}, "
        f"top-2 gap {golden['min_top2_gap']}, f64 diff {max(run['f64_diff'] for run in golden['runs']):.1e}, "
        f"logits std {tensors['base/logits'].std():.2f}"
    )


if __name__ == "__main__":
    sys.exit(command("model", MODELS, HERE / "models", described))
