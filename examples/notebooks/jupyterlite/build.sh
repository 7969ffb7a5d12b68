#!/bin/sh
# Builds a JupyterLite site with the notebook, the engine and the models into OUT (default: jupyterlite-site); any static host serves it.
# Needs `npm run build` and `pip install -r examples/notebooks/jupyterlite/requirements.txt`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
out=${1:-jupyterlite-site}
files=$(mktemp -d)
cp "$here"/*.ipynb "$files"
cp "$root/dist/npm/bundle.js" "$files/topk-lm.js"
for name in Llama-TopK-Stories-16M Llama-Dense-Stories-16M; do
  mkdir -p "$files/models/$name"
  for file in config.json generation_config.json tokenizer.json model.safetensors; do cp "$root/models/$name/$file" "$files/models/$name/"; done
done
jupyter lite build --lite-dir "$here" --contents "$files" --output-dir "$out" --apps lab --no-libarchive
rm -r "$files"
