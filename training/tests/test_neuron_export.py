"""The export of `topk-lm analyze --export` through sae-dashboard's own reader, where that package is installed
(`pip install --no-deps -r requirements-tests.txt`) and the command is built."""

import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from .test_modeling import ROOT, binary

PACKAGE = "sae-dashboard 0.8.0"

try:
    from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardBatch, NeuronpediaDashboardFeature
except ImportError:
    NeuronpediaDashboardBatch = None


def a_model():
    """A model with a tokenizer that the repository holds."""
    return next((path.parent for path in sorted(ROOT.glob("models/*/tokenizer.json"))), None)


class Export(unittest.TestCase):
    def test_the_package_reads_what_we_write(self):
        if NeuronpediaDashboardBatch is None:
            self.skipTest("sae-dashboard is not installed: pip install --no-deps -r requirements-tests.txt")
        if binary() is None or a_model() is None:
            self.skipTest("topk-lm is not built, or models/ is empty")
        with tempfile.TemporaryDirectory() as folder:
            corpus, out, export = (Path(folder) / name for name in ("corpus.txt", "out", "export"))
            corpus.write_text("Once upon a time there was a dog.\n<|endoftext|>\nA girl saw the dog. She was happy.\n")
            arguments = ["--model", a_model(), "--corpus", corpus, "--out", out, "--export", export]
            subprocess.run([binary(), "analyze", *arguments], check=True, capture_output=True)
            self.assertEqual(json.loads((export / "schema.json").read_text())["schema"], PACKAGE)
            index = json.loads((out / "index.json").read_text())
            files = sorted(export.glob("*/batch-*.json"))
            self.assertGreater(len(files), 0)
            seen = 0
            for path in files:
                data = json.loads(path.read_text())
                batch = NeuronpediaDashboardBatch(**data)
                self.assertIn(batch.layer, index["layers"])
                again = batch.to_dict()
                for ours, theirs in zip(data["features"], again["features"], strict=True):
                    acts = [
                        {key: act[key] for key in mine} for mine, act in zip(ours["activations"], theirs["activations"], strict=True)
                    ]
                    self.assertEqual(ours, {key: theirs[key] for key in ours} | {"activations": acts})
                    # Every key that a feature of the package writes by default is there.
                    self.assertEqual(set(NeuronpediaDashboardFeature().to_dict()) - set(ours), set())
                    for activation in ours["activations"]:
                        self.assertEqual(len(activation["tokens"]), len(activation["values"]))
                    place = index["layers"].index(batch.layer) * index["d_model"] + ours["feature_index"]
                    self.assertEqual(ours["frac_nonzero"], index["columns"]["density"][place])
                seen += len(batch.features)
            self.assertEqual(seen, len(index["columns"]["n"]))


if __name__ == "__main__":
    unittest.main()
