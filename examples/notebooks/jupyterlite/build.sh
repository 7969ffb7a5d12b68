#!/bin/sh
# Builds a JupyterLite site with the notebooks, the engine and the models into OUT (default: jupyterlite-site); any static host serves it.
# Needs `npm run build` and `pip install -r examples/notebooks/jupyterlite/requirements.txt`. PYODIDE is the folder that pyodide.py made;
# without it, the Pyodide kernel fetches Pyodide from its CDN.
#   sh build.sh [OUT [PYODIDE]]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
out=${1:-jupyterlite-site}
work=$(mktemp -d)
files=$work/files
mkdir -p "$files" "$work/lite/static"
cp "$here/jupyter-lite.json" "$work/lite"
if [ -n "${2:-}" ]; then cp -R "$2" "$work/lite/static/pyodide"; fi
cp "$here"/*.ipynb "$files"
cp "$root/dist/npm/bundle.js" "$files/topk-lm.js"
for name in Llama-TopK-Stories-16M Llama-Dense-Stories-16M; do
  mkdir -p "$files/models/$name"
  for file in config.json generation_config.json tokenizer.json model.safetensors; do cp "$root/models/$name/$file" "$files/models/$name/"; done
done
jupyter lite build --lite-dir "$work/lite" --contents "$files" --output-dir "$out" --apps lab --no-libarchive
rm -r "$work"
