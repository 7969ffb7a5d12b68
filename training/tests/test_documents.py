"""The Python blocks of the READMEs and guides, run as printed, after the `topk-lm run` commands above them; skipped where the command is not
built."""

import re
import shlex
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from .test_modeling import ROOT, binary

DOCUMENTS = [path for path in (ROOT / "python/README.md", *sorted((ROOT / "docs/guides").glob("*.md"))) if path.exists()]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.M | re.S)
#: Blocks that other tests run, by a text in them.
ELSEWHERE = {"import topk_lm": "tests/notebooks/jupyterlab.test.mjs"}


class Documents(unittest.TestCase):
    def test_python_blocks_run(self):
        if binary() is None:
            self.skipTest("topk-lm is not built")
        ran = 0
        for document in DOCUMENTS:
            blocks = BLOCK.findall(document.read_text())
            code = [text for kind, text in blocks if kind == "python" and not any(mark in text for mark in ELSEWHERE)]
            if not code:
                continue
            with self.subTest(document.name), tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "models").symlink_to(ROOT / "models")
                for shell in (text for kind, text in blocks if kind == "sh"):
                    for line in shell.replace("\\\n", " ").splitlines():
                        if line.startswith("topk-lm run "):
                            subprocess.run([binary(), *shlex.split(line)[1:]], cwd=folder, check=True, stdout=subprocess.DEVNULL)
                done = subprocess.run([sys.executable, "-c", "\n".join(code)], cwd=folder, capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.strip())
                ran += 1
        self.assertGreater(ran, 0)


if __name__ == "__main__":
    unittest.main()
