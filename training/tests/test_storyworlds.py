"""The story generator: the same text for a seed, states that agree with the text, no frequent frame, and its speed."""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from storyworlds import check, grammar
from storyworlds.__main__ import stories, write
from storyworlds.moves import World
from storyworlds.states import along, expand
from storyworlds.story import WORD, tell
from storyworlds.world import Contradiction
from storyworlds.worlds import WORLDS

ROOT = Path(__file__).parents[1]
SEEDS = range(6)
PRONOUNS = {"masculine": {"he", "him", "his", "himself"}, "feminine": {"she", "her", "herself"}}


def everything():
    return [tell(seed, name) for name in WORLDS for seed in SEEDS]


class Stories(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.told = everything()

    def test_there_are_sixty_worlds(self):
        self.assertGreaterEqual(len(WORLDS), 60)

    def test_a_seed_tells_the_same_story_again(self):
        for story in random.Random(1).sample(self.told, 40):
            self.assertEqual(tell(story.seed, story.world), story)
        self.assertNotEqual(tell(1).text, tell(2).text)

    def test_the_same_file_in_another_process(self):
        with tempfile.TemporaryDirectory() as name:
            one, two = Path(name) / "one.txt", Path(name) / "new" / "two.txt"
            write(one, 30_000, 7, one.with_suffix(".jsonl"))
            command = [sys.executable, "-m", "storyworlds", "--out", str(two), "--bytes", "30000", "--seed", "7"]
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            self.assertEqual(one.read_bytes(), two.read_bytes())
            texts = one.read_text().rstrip("\n").split("\n<|endoftext|>\n")
            records = [json.loads(line) for line in one.with_suffix(".jsonl").read_text().splitlines()]
            self.assertEqual(len(texts), len(records))
            for text, record in zip(texts, records, strict=True):
                self.assertEqual([list(m.span()) for m in WORD.finditer(text)], record["words"])

    def test_no_mark_is_left_and_spacing_is_right(self):
        for story in self.told:
            self.assertIsNone(re.search(r"[{}<>\[\]|()]|  | [.,!?]|\.\.(?!\.)\.?[a-z]|\n\n\n| \n|,\.", story.text), story)
            self.assertEqual(story.text.count('"') % 2, 0, story)
            self.assertRegex(story.text, r'[.!?]"?$')
            for paragraph in story.text.split("\n\n"):
                self.assertRegex(paragraph, r'^"?[A-Z]')

    def test_articles(self):
        for story in self.told:
            for a, word in re.findall(r"\b([Aa]n?) ([a-z]+)", story.text):
                self.assertEqual(a.lower(), grammar.article(word), f"{a} {word} in {story.world} {story.seed}")

    def test_quotes_are_where_the_text_has_them(self):
        for story in self.told:
            inside, expected, at = False, [], 0
            for start, _ in story.states["words"]:
                inside ^= story.text.count('"', at, start) % 2 == 1
                at = start
                expected.append(int(inside))
            columns = expand(story.states)
            self.assertEqual(columns["quote"], expected, story.text)
            self.assertTrue(all(q for q, speaker in zip(columns["quote"], columns["speaker"], strict=True) if speaker))

    def test_who_is_named_as_speaker_speaks(self):
        found = 0
        for story in self.told:
            cast, columns = story.states["cast"], expand(story.states)
            for m in re.finditer(
                r'"[^"]+[,!?]" (?:said|asked|cried|called|shouted|answered|thought) ([A-Z][a-z]+)\.', story.text
            ):
                word = next(i for i, (start, _) in enumerate(story.states["words"]) if start > m.start())
                self.assertEqual(cast[columns["speaker"][word]]["name"], m[1], m[0])
                found += 1
        self.assertGreater(found, 100)

    def test_the_holder_that_the_text_names_is_the_holder(self):
        found = 0
        for story in self.told:
            cast, columns, words = story.states["cast"], expand(story.states), story.states["words"]
            names = {entity["name"]: key for key, entity in cast.items() if entity["type"] == "character"}
            for m in re.finditer(r"([A-Z][a-z]+) (?:gave|handed|passed) the ([a-z ]+) to ([A-Z][a-z]+)\.", story.text):
                giver, receiver = names.get(m[1]), names.get(m[3])
                things = [key for key, e in cast.items() if e["type"] == "thing" and m[2].endswith(e["noun"])]
                after = next((i for i, (start, _) in enumerate(words) if start >= m.end()), None)
                if not (giver and receiver and len(things) == 1) or after is None:
                    continue
                holder = along(story.states["tracks"]["holder"][things[0]], len(words))
                self.assertEqual((holder[after - 1], holder[after]), (giver, receiver), f"{m[0]} in {story.text}")
                found += 1
            self.assertEqual(len(columns["held"]), len(words))
        self.assertGreater(found, 10)

    def test_mentions_are_what_they_say(self):
        for story in self.told:
            cast = story.states["cast"]
            for start, end, key, form, plural in story.states["mentions"]:
                a, b = story.states["words"][start][0], story.states["words"][end - 1][1]
                text, entity = story.text[a:b].lower(), cast[key]
                self.assertEqual(plural, int(entity["number"] == "plural"))
                if form == "pronoun" and entity["gender"] != "none":
                    self.assertIn(text, PRONOUNS[entity["gender"]])
                if form == "noun":
                    self.assertTrue(text.removesuffix("'s").endswith(entity["noun"]), (text, entity))

    def test_pronouns_can_mean_nobody_else(self):
        """Where two characters of one gender share a sentence, a "he" that opens the next one is not used for either."""
        for story in self.told:
            cast, words = story.states["cast"], story.states["words"]
            people = [m for m in story.states["mentions"] if cast[m[2]]["type"] == "character"]
            ends = [m.end() for m in re.finditer(r'[.!?]"?(?=\s|$)', story.text)]
            for mention in people[1:]:
                a = words[mention[0]][0]
                if mention[3] != "pronoun" or story.text[a] not in "HS" or a < 2 or '"' in story.text[max(ends[0], a - 120) : a]:
                    continue
                last = max(e for e in ends if e <= a)
                before = max((e for e in ends if e < last), default=0)
                near = {
                    m[2] for m in people if before <= words[m[0]][0] < last and cast[m[2]]["gender"] == cast[mention[2]]["gender"]
                }
                self.assertLessEqual(
                    len(near | {mention[2]}), 1, f"{story.text[before : a + 20]!r} in {story.world} {story.seed}"
                )

    def test_a_world_cannot_do_what_cannot_be(self):
        w = World("x")
        w.kid("a")
        w.kid("b")
        w.thing("x", "toy")
        w.be("a", w.spot("p"))
        w.be("b", w.spot("q"))
        w.own("a", "x")
        with self.assertRaisesRegex(Contradiction, "b does not hold x"):
            w.give("b", "x", "a")
        with self.assertRaisesRegex(Contradiction, "a is at p, b at q"):
            w.give("a", "x", "b")
        w.lay("x", "q")
        with self.assertRaisesRegex(Contradiction, "x lies at q, a is at p"):
            w.take("a", "x")

    def test_verbs(self):
        for lemma, third, past in (
            ("go", "goes", "went"),
            ("try", "tries", "tried"),
            ("stop", "stops", "stopped"),
            ("play", "plays", "played"),
            ("catch", "catches", "caught"),
        ):
            self.assertEqual((grammar.verb(lemma, "present", False), grammar.verb(lemma, "past", False)), (third, past))
        self.assertEqual(grammar.verb("be", "past", True), "were")
        self.assertEqual(grammar.verb("make {a:p} way", "past", False), "made {a:p} way")


class Refusals(unittest.TestCase):
    def refuses(self, words, module, *arguments):
        """The command ends with one sentence that has these words."""
        done = subprocess.run([sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(words, done.stderr.splitlines()[-1])

    def test_wrong_paths_are_named(self):
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.refuses("nowhere.txt: No such file or directory", "storyworlds.check", folder / "nowhere.txt")
        (folder / "empty.txt").write_text("\n<|endoftext|>\n")
        self.refuses("empty.txt has no story", "storyworlds.check", folder / "empty.txt")
        for path in ("--out", "--states"):
            given = {"--out": folder / "one.txt", "--states": folder / "two.jsonl"} | {path: folder}
            self.refuses(f"{path}: {folder} is a folder", "storyworlds", "--bytes", 1, *(x for pair in given.items() for x in pair))
        self.refuses("name two files", "storyworlds", "--bytes", 1, "--out", folder / "one.txt", "--states", folder / "one.txt")
        self.refuses("empty.txt", "storyworlds", "--bytes", 1, "--out", folder / "empty.txt" / "one.txt")
        self.assertEqual([path.name for path in folder.iterdir()], ["empty.txt"])


class Variety(unittest.TestCase):
    def test_no_frame_is_frequent_and_no_story_twice(self):
        source = stories(3)
        began = time.process_time()
        told = [next(source).text for _ in range(len(WORLDS) * 40)]
        seconds = time.process_time() - began
        result = check.measure(told)
        self.assertEqual(result["distinct_stories_percent"], 100)
        self.assertLess(result["largest_frame_percent"], 0.5, result["frames"][:3])
        self.assertGreater(result["distinct_13_word_runs_percent"], 90)
        self.assertLess(seconds / result["bytes"] * 20e6, 200, "20 MB take over 200 s of one core")

    def test_frames_leave_names_nouns_and_pronouns_out(self):
        table = check.slots()
        same = ["Tom gave the red ball to Mia.", "Ella gave a blue kite to Finn."]
        self.assertEqual(len({check.frame(s, table) for s in same}), 1)
        self.assertNotEqual(check.frame("Tom lost the ball.", table), check.frame("Tom found the ball.", table))
        self.assertEqual(
            check.sentences('"Why?" Tom asked. He ran. "Go!" The dog left.'),
            ['"Why?" Tom asked.', "He ran.", '"Go!"', "The dog left."],
        )


if __name__ == "__main__":
    unittest.main()
