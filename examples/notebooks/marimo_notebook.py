# A TopK model in marimo: `marimo edit examples/notebooks/marimo_notebook.py`. The model runs in the page; Python gets NumPy arrays.
import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    import matplotlib.pyplot as plt
    import topk_lm

    return mo, plt, topk_lm


@app.cell
def _(mo, topk_lm):
    folder = mo.notebook_dir() / "../../models"
    model = topk_lm.load(folder / "Llama-TopK-Stories-16M", backend="cpu", layer=2)  # "auto" takes a GPU
    dense = topk_lm.load(folder / "Llama-Dense-Stories-16M", backend="cpu")
    view, dense_view = mo.ui.anywidget(model), mo.ui.anywidget(dense)
    mo.vstack([view, dense_view])
    return dense, dense_view, model, view


@app.cell
def _(dense, model):
    # Calls start here. Their answers come after this cell has ended; the cells below name the views, so they run again for each answer.
    she = {"layer": 1, "index": 296, "action": "clamp", "value": 18}  # turns he into she
    words = "The dog ran to the park"
    call = model.run(words, hooks=["blocks.2.hook_topk_out"], logits="all")
    plain = model.generate("The baby was tired, so", temperature=0, max_tokens=20)
    steered = model.generate("The baby was tired, so", temperature=0, max_tokens=20, edits=[she])
    other = dense.run(words, hooks=["blocks.2.hook_resid_post"])
    wrong = model.run(words, edits=[{**she, "layer": 9}])
    return call, other, plain, steered, wrong


@app.cell
def _(call, mo, plt, view):
    _ = view.value
    mo.stop(not call.done(), mo.md("…"))
    active = call.result().hooks["blocks.2.hook_topk_out"]
    top = list(active.row(-1).items())[:12]
    figure, axes = plt.subplots()
    axes.bar([str(index) for index, _ in top], [value for _, value in top])
    axes.set(xlabel="neuron of block 2", ylabel=f"value at {call.result().tokens[-1]!r}")
    figure
    return (active,)


@app.cell
def _(mo, plain, steered, view):
    _ = view.value
    mo.stop(not (plain.done() and steered.done()), mo.md("…"))
    mo.md(f"plain: {plain.text}\n\nsteered: {steered.text}")
    return


@app.cell
def _(active, dense_view, mo, other):
    _ = dense_view.value
    mo.stop(not other.done(), mo.md("…"))
    counts = (active.dense() != 0).sum(axis=1), (other.result().hooks["blocks.2.hook_resid_post"] != 0).sum(axis=1)
    mo.md(f"not 0 at the last token: TopK {counts[0][-1]}, dense {counts[1][-1]}")
    return


@app.cell
def _(mo, topk_lm, view, wrong):
    _ = view.value
    mo.stop(not wrong.done(), mo.md("…"))
    try:
        wrong.result()
    except topk_lm.TopKArgumentError as error:
        refused = f"refused: {error.code}: {error}"
    mo.md(refused)
    return


@app.cell
def _(mo, view):
    mo.md(f"selected: {[each['index'] for each in view.value['selection']]}")
    return


if __name__ == "__main__":
    app.run()
