"""How results are told: tables, headline and findings, made from results of the test's own."""

import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from claims import common, glance, headline, longer, table, table_steering


class Told(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_table_check(self):
        readme, headline = self.folder / "README.md", self.folder / "HEADLINE.md"
        for path in (readme, headline):
            path.write_text(f"# x\n\n{table.BEGIN}\nold\n{table.END}\nrest\n")
        results = self.folder / "nothing"
        common.write(results, "edit_cost", {"backend": "cpu", "processor_ratio_to_no_edit": {"1": 1.01, "20": 0.98}})
        common.write(results, "quality", {"gap_percent": {"validation": 3.04, "held_out": -1.0}})
        arguments = ["table", "--results", str(results), "--readme", str(readme), "--headline", str(headline)]

        def run(*more):
            with mock.patch.object(sys, "argv", [*arguments, *more]):
                table.main()

        self.assertRaises(SystemExit, run, "--check")
        run()
        run("--check")
        self.assertIn("1 edit 1.01 × · 20 edits 0.98 ×", readme.read_text())
        self.assertIn("+3.0 % on the validation text and -1.0 % on held-out documents", headline.read_text())
        self.assertTrue(all(path.read_text().endswith("\nrest\n") for path in (readme, headline)))
        headline.write_text(headline.read_text().replace("+3.0 %", "+2.0 %"))
        self.assertRaises(SystemExit, run, "--check")

    def test_findings_at_a_glance_stand_beside_their_controls(self):
        results = self.folder / "glance"
        common.write(results, "quality", {"gap_percent": {"test": 2.5}})
        common.write(results, "switches", {"same_side": {"mean": 0.9952}})  # without a control: no row
        of = {"1": 0.2, "8": 0.5}
        rows = {"topk": {"together": of}, "sae 4": {"together": {"8": 0.45}}, "topk_rotated": {"together": {"8": 0.125}}}
        common.write(results, "patches", {"rows": {"2": {"topk": {"together": of}}, "4": rows}})
        common.write(results, "consistency", {"topk": {"holder": {"right": 0.59}}, "dense": {"holder": {"right": 0.69}}})
        head, _, *lines = glance.glance(results).splitlines()
        self.assertEqual((head, len(lines)), ("|  | neurons | beside them |", 2))
        self.assertTrue(lines[0].endswith("moves the next word by | **50 %** | SAE features on the twin 45 % · rotated states 13 % |"), lines[0])
        self.assertTrue(lines[1].endswith("+2.5 % loss on test stories. Correct answers to “who has it?” | **59 %** | the twin 69 % · guessing 50 % |"), lines[1])
        self.assertEqual(glance.glance(self.folder / "none"), "")

    def test_the_patching_is_told_whole_without_an_autoencoder(self):
        results = self.folder / "patched"
        of = {"8": 0.78}
        rows = {"topk": {"together": of, "whole": 0.99}, "dense": {"together": {"8": 0.1}, "whole": 0.63}}
        common.write(results, "patches", {"rows": {"4": rows}})
        told = "after block 4, move its next word 78 % of the way (coordinates of the twin 10 %; the whole state 99 % and the twin's 63 %; medians)."
        self.assertIn(told, headline.headline(results))
        common.write(results, "patches", {"rows": {"4": rows | {"sae 4": {"together": {"8": 0.45}, "whole": 0.59}}}})
        self.assertIn("medians). Eight features do as large a share of what all features that differ do (59 %).", headline.headline(results))

    def test_the_bound_on_surprise_is_told_as_it_was_measured(self):
        results, measured = self.folder / "bounded", common.read(common.RESULTS, "sets")
        measured["bounds"]["likelihood"] = 1.25
        for folder in (results, results / longer.LONGER):
            common.write(folder, "sets", measured)
        definition = next(row["definition"] for row in longer.rows(results) if row["name"] == "topics by one neuron")
        for text in ("\n".join(table_steering.sets(measured)), headline.headline(results), definition):
            self.assertIn("at most 1.25 times", text)
            self.assertNotIn("1.3 times", text)
        self.assertIn("(1.25 times allows neurons", headline.headline(results))
        self.assertIn("more than plain texts, which is 1.25 times for", "\n".join(table_steering.sets(measured)))

    def test_longer_trained_models_stand_beside_the_shipped_ones(self):
        results = self.folder / "two"
        bits = {"topk": {"validation": {"bits_per_byte": 0.9}}, "gap_percent": {"test": 2.5}}
        curve = [{"nats": 1.0, "words": 5.0, "half": 0.5}]
        few = {"methods": {"topk": {"8": {"works": 0.5, "base": 0.0, "curve": curve}}, "logits": {"works": 1.0}}}
        for folder in (results, results / longer.LONGER):
            common.write(folder, "quality", bits)
            common.write(folder, "sets", few)
        common.write(results / longer.LONGER, "quality", bits | {"topk": {"validation": {"bits_per_byte": 0.8}}})
        rows = {row["name"]: row["values"] for row in longer.rows(results)}
        self.assertEqual(rows["validation text"], [0.9, 0.8])
        self.assertEqual((rows["… by up to 8 neurons"], rows["… by raised logits"]), ([0.5, 0.5], [1.0, 1.0]))
        self.assertAlmostEqual(rows["words of a topic, 8 neurons"][0], 2.0)  # 0.4 nats are two fifths of the way
        self.assertNotIn("… of the dense twin", rows)  # not measured
        common.write(results, "longer", {"columns": longer.MODELS, "rows": longer.rows(results)})
        self.assertIn("| validation text | 0.900 | 0.800 |", list(table.longer_trained(common.read(results, "longer"))))

    def test_the_readmes_match_the_results(self):
        with mock.patch.object(sys, "argv", ["table", "--check"]):
            table.main()


if __name__ == "__main__":
    unittest.main()
