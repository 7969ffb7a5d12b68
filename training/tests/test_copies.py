"""How much of what a model writes is in its training text (claims.copies)."""

import unittest
from unittest import mock

import numpy as np
import torch

from claims import common, copies
from tests.toy_claims import ToyClaims


class Runs(unittest.TestCase):
    def test_runs_are_found_again_wherever_they_stand(self):
        runs = copies.Runs()
        words = [f"word{i}" for i in range(60)]
        known = np.unique(runs.of(" ".join(words[20:50])))
        self.assertEqual(len(known), 30 - copies.RUN + 1)
        found = copies.share(runs, ["Once more. " * 20 + " ".join(words)], known)
        # 40 words of another text, of which the first 30 do not count, then all 60: of 58 runs the 18 within those 30 words are known.
        self.assertEqual((found["documents"], found["runs"]), (1, 58))
        self.assertAlmostEqual(found["known"], 18 / 58)

    def test_the_order_of_words_counts(self):
        runs = copies.Runs()
        words = [f"word{i}" for i in range(copies.RUN)]
        swapped = [words[1], words[0], *words[2:]]
        known = runs.of(" ".join(words))
        self.assertNotEqual(known, runs.of(" ".join(swapped)))
        self.assertEqual(len(runs.of(" ".join(words[1:]))), 0)
        self.assertIsNone(copies.share(runs, ["too short"], known)["known"])


class Command(ToyClaims):
    def test_models_stand_beside_text_that_was_not_trained_on(self):
        rows = self.call(copies, "--documents", 2)["rows"]
        self.assertLessEqual({"topk", "dense", "held_out"}, set(rows))
        self.assertEqual(rows["topk"]["documents"], 2)

    def test_what_is_written_fills_the_context_at_most(self):
        subject = common.subject(self.folder / "models" / common.TOPK)
        with mock.patch.object(copies, "AT_ONCE", 2), mock.patch.object(subject.model, "logits", lambda x: torch.eye(320)[7].expand(len(x), -1) * 100):
            texts = copies.written(subject, 3)
        self.assertEqual(texts, [subject.tokenizer.decode([7] * (subject.model.config.n_ctx - 1))] * 3)


if __name__ == "__main__":
    unittest.main()
