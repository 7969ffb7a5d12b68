"""The TopK activation on the vectors that also test Rust, WGSL and TypeScript, computed in all three ways."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from topklm import topk

VECTORS = Path(__file__).parents[2] / "tests" / "goldens" / "topk_vectors.json"


# Whether Triton interprets its kernels is settled when it is imported: a process of its own.
INTERPRETED = """
import json, sys
import numpy as np, torch
from topklm import topk, topk_cuda
checked = 0
for case in json.load(open(sys.argv[1]))["cases"]:
    n, k = len(case["input"]), case["k"]
    if 0 < k < n:
        x = torch.from_numpy(np.array(case["input"], dtype=np.uint32).view(np.float32))[None]
        found = topk_cuda.mask(x, k, case["select"])[0].nonzero()[:, 0].tolist()
        assert found == sorted(case["indices"]), case["name"]
        checked += 1
x = (torch.randn(20, 65, generator=torch.Generator().manual_seed(1)) * 2).round()
for select in ("value", "abs"):
    for k in (1, 7, 64):
        assert torch.equal(topk.mask_by_sort(x, k, select), topk_cuda.mask(x, k, select)), (select, k)
print(checked)
"""


class TopK(unittest.TestCase):
    @unittest.skipUnless(importlib.util.find_spec("triton"), "no Triton: it comes with PyTorch for GPUs")
    def test_the_kernel_for_gpus(self):
        environment = os.environ | {"TRITON_INTERPRET": "1"}
        arguments = [sys.executable, "-c", INTERPRETED, str(VECTORS)]
        done = subprocess.run(arguments, env=environment, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(int(done.stdout), 20)

    def test_vectors(self):
        cases = json.loads(VECTORS.read_text())["cases"]
        checked = 0
        for case in cases:
            n, k = len(case["input"]), case["k"]
            if not 0 < k < n:
                continue
            x = torch.from_numpy(np.array(case["input"], dtype=np.uint32).view(np.float32))[None]
            expected = sorted(case["indices"])
            for mask in (topk.mask_by_sort(x, k, case["select"]), topk.topk_mask(x, k, case["select"])):
                self.assertEqual(mask[0].nonzero()[:, 0].tolist(), expected, case["name"])
            checked += 1
        self.assertGreater(checked, 20)

    def test_fast_equals_sort_on_ties(self):
        generator = torch.Generator().manual_seed(1)
        x = (torch.randn(300, 65, generator=generator) * 2).round()
        for select in ("value", "abs"):
            for k in (1, 7, 64):
                self.assertTrue(torch.equal(topk.mask_by_sort(x, k, select), topk.topk_mask(x, k, select)))

    def test_a_compiler_is_a_command_or_is_not_there(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for command, found in (("nowhere/ccache gcc", False), ("'gcc", False), ("env cc", shutil.which("cc") is not None)):
            with mock.patch.dict(os.environ, {"CC": command, "XDG_CACHE_HOME": folder}):
                self.assertEqual(topk.compiled.__wrapped__("topk.c") is not None, found, command)

    def test_gradient_flows_through_what_is_kept(self):
        x = torch.tensor([[3.0, -1.0, 2.0, -5.0]], requires_grad=True)
        topk.topk_cut(x, 3, "value", "relu").sum().backward()
        self.assertEqual(x.grad.tolist(), [[1.0, 0.0, 1.0, 0.0]])


if __name__ == "__main__":
    unittest.main()
