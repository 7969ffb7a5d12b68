"""Makes the golden sparse autoencoders and what they do to golden models: `python make_saes.py [NAME…]`; `--check` compares.

`saes/NAME/` holds an SAE as SAELens saves it (`cfg.json`, `sae_weights.safetensors`), with random weights; or none, where
several of the others are attached at once. Beside them

`golden.json`
    format          1
    model           folder in models/
    saes            folders here, in the order in which they are attached; at most one for a hook
    seed            of the weights and of the search for sufficient margins
    min_gap         smallest margin of any choice below, of the models' TopK and of the SAEs; >= 2.5e-4
    base_loss       without an SAE
    fvu, mse        by hook: Σ(x − x̂)² / Σ(x − x̄)² over all positions and numbers, x̄ the mean over positions, and the mean
                    of (x − x̂)²; of the run "spliced"
    runs            list of forward passes over the same ids:
      name            "error_term": attached with their error term, the model computes what it does without; "spliced":
                      without; "edit_kept", "edit_dropped": one feature of every SAE edited, with and without the error term
      ids, prompt_len as in models/
      error_term      whether x − x̂ (of the unedited activations) is added to what is put in the hook's place
      edits           list of {sae, index, action, value, positions}: of feature `index` of the SAE at the hook `sae`, after
                      its activation function; action, value, positions as in models/
      loss            mean of −log p(next id) over the T − 1 positions that have one
      f64_diff        largest difference of a logit to the same computed in f64
`golden.safetensors`, all f32
    RUN/logits                      [T, d_vocab]
    RUN/HOOK.hook_sae_acts_post     [T, d_sae], after the edits
    RUN/HOOK.hook_sae_recons        [T, d_in]: decoded, before the normalisation of the input is taken back
    RUN/HOOK.hook_sae_error         in the shape of the hook; only with error term
    RUN/HOOK                        in the shape of the hook: what is put in its place
"""

import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from make import HERE, MIN_TOPK_GAP, MODELS, command, load_reference, number
from sae import Attached, Sae
from sae_specs import SAES, write_sae
from weights import write_folder

VISIBLE = 0.02
ACTIONS = [("clamp", 3.0, "all"), ("add", 2.5, "generated"), ("scale", -2.0, "prompt"), ("ablate", None, {"from": 2, "to": 14})]


def attempt(folder, spec, seed, models):
    """(golden, tensors) for one seed, or None where a margin is too small or an edit shows too little."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference, twin, base = models(spec["model"])
    ids, prompt_len = base["ids"], base["prompt_len"]
    names = spec.get("saes", [folder.name])
    if "cfg" in spec:
        write_sae(folder, spec, seed, hook_values(reference, base, spec))
    saes = [Sae(folder if name == folder.name else HERE / "saes" / name) for name in names]
    rng = np.random.RandomState(seed + 20_000)
    spliced = attached(reference, saes, base, [], False)
    edits = [chosen(rng, number, sae, spliced) for number, sae in enumerate(saes, seed)]
    if None in edits:
        return None
    runs, tensors, gaps = [], {}, []
    for name, run_edits, error_term in [
        ("error_term", [], True),
        ("spliced", [], False),
        ("edit_kept", edits, True),
        ("edit_dropped", edits, False),
    ]:
        for sae in saes:
            sae.margin = np.inf
        run, exact = (attached(model, saes, base, run_edits, error_term) for model in (reference, twin))
        if exact["run"].active != run["run"].active or not same_support(run, exact):
            return None
        gaps += [run["run"].min_gap(), *(sae.margin for sae in saes)]
        tensors |= {f"{name}/{key}": value for key, value in run["hooks"].items()} | {f"{name}/logits": run["run"].logits}
        runs.append({
            "name": name,
            "ids": ids,
            "prompt_len": prompt_len,
            "error_term": error_term,
            "edits": run_edits,
            "loss": number_of_loss(run["run"].logits, ids),
            "f64_diff": number(np.abs(exact["run"].logits - run["run"].logits).max()),
        })
    for kept, plain in ("edit_kept", "error_term"), ("edit_dropped", "spliced"):
        if np.abs(tensors[f"{kept}/logits"] - tensors[f"{plain}/logits"]).max() < VISIBLE:
            return None
    if min(gaps) < MIN_TOPK_GAP:
        return None
    golden = {
        "format": 1,
        "model": spec["model"],
        "saes": names,
        "seed": seed,
        "min_gap": None if np.isinf(min(gaps)) else number(min(gaps)),
        "base_loss": number_of_loss(reference.run(ids, prompt_len=prompt_len).logits, ids),
        **quality(saes, spliced),
        "runs": runs,
    }
    return golden, {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}


def attached(model, saes, base, edits, error_term):
    splices = {sae.hook: Attached(sae, edits, error_term, base["prompt_len"]) for sae in saes}
    run = model.run(base["ids"], prompt_len=base["prompt_len"], splices=splices)
    hooks, inputs = {}, {}
    heads = model.blocks[0].get_submodule(model.layout.attn).head_dim
    for hook, splice in splices.items():
        shape = (len(base["ids"]), -1, heads) if hook.endswith("hook_z") else (len(base["ids"]), -1)
        found = splice.hooks | {hook: splice.out}
        inputs[hook] = found.pop(f"{hook}.hook_sae_input")
        for name in {hook, f"{hook}.hook_sae_error"} & set(found):
            found[name] = found[name].reshape(shape)
        hooks |= found
    return {"run": run, "hooks": hooks, "inputs": inputs, "outs": {hook: s.out for hook, s in splices.items()}}


def same_support(run, exact):
    acts = [name for name in run["hooks"] if name.endswith("acts_post")]
    return all(((run["hooks"][name] != 0) == (exact["hooks"][name] != 0)).all() for name in acts)


def chosen(rng, turn, sae, spliced):
    """An edit of one of the features that are active most often, of another kind for each."""
    acts = spliced["hooks"][f"{sae.hook}.hook_sae_acts_post"]
    often = np.argsort(-(acts != 0).sum(0), kind="stable")[:8]
    action, value, positions = ACTIONS[turn % len(ACTIONS)]
    edit = {"sae": sae.hook, "index": int(rng.choice(often)), "action": action, "value": value, "positions": positions}
    return {key: field for key, field in edit.items() if field is not None}


def number_of_loss(logits, ids):
    logits = logits[:-1].astype(np.float64)
    top = logits.max(-1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
    return number(-log_p[np.arange(len(ids) - 1), ids[1:]].mean())


def quality(saes, spliced):
    out = {"fvu": {}, "mse": {}}
    for sae in saes:
        x = spliced["inputs"][sae.hook].astype(np.float64)
        error = ((x - spliced["outs"][sae.hook]) ** 2).sum()
        out["fvu"][sae.hook] = number(error / ((x - x.mean(0)) ** 2).sum())
        out["mse"][sae.hook] = number(error / x.size)
    return out


def hook_values(reference, base, spec):
    """What the SAE's hook holds without it, [T, d_in]: weights are scaled to it."""
    values = {}
    hook = spec["hook"]

    def keep(x):
        values[hook] = x.copy()
        return x

    reference.run(base["ids"], prompt_len=base["prompt_len"], splices={hook: keep})
    return values[hook]


def golden_models():
    """By name: the reference, its copy in f64, and the run without edits, from the committed golden."""
    found = {}

    def get(name):
        if name not in found:
            golden = json.loads((HERE / "models" / name / "golden.json").read_text())
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary) / name
                reference = load_reference(folder, MODELS[name], write_folder(folder, MODELS[name], golden["seed"]))
            found[name] = reference, reference.in_float64(), golden["runs"][0]
        return found[name]

    return get


def make(folder, spec, models):
    for seed in range(1, 400):
        result = attempt(folder, spec, seed, models)
        if result:
            golden, tensors = result
            text = json.dumps(golden, separators=(",", ":"))
            for key in ('"runs":[', '{"name":'):
                text = text.replace(key, "\n" + key)
            (folder / "golden.json").write_text(text + "\n")
            save_file(tensors, folder / "golden.safetensors")
            return golden
    raise SystemExit(f"{folder.name}: no seed with sufficient margins")


def described(folder, spec, models):
    golden = make(folder, spec, models)
    losses = ", ".join(f"{run['name']} {run['loss']:.3f}" for run in golden["runs"])
    return (
        f"seed {golden['seed']}, gap {golden['min_gap']}, loss {golden['base_loss']:.3f} ({losses}), "
        f"fvu {golden['fvu']}, f64 diff {max(run['f64_diff'] for run in golden['runs']):.1e}"
    )


if __name__ == "__main__":
    sys.exit(command("SAE", SAES, HERE / "saes", partial(described, models=golden_models())))
