"""From text files to token arrays: reading, held-out and test split by story, decontamination, tokenizer, packing.

    python -m topklm.data --corpus DIR [DIR …] --out DATA [--config configs/data.toml] [--add FILE EPOCHS …] [--tokenizer FILE]

writes DATA/tokenizer.json, DATA/tokens.npz (documents as uint16 ids, one array a source; `held_out`, for every choice; `test`, for the
last figure alone; `validation`), DATA/report.json, all moved into place at the end. A document is BOS (id 0) and its tokens: the next document's BOS ends it, so BOS and EOS are one token.
"""

import argparse
import json
import math
import re
import sys
import tomllib
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import torch

SEPARATOR = "<|endoftext|>"
# What Unicode counts as white space, and with it Rust, whose twin is crate/src/offline/documents.rs: Python has U+001C to U+001F too.
SPACES = "".join(c for c in map(chr, range(0x10000)) if c.isspace() and not "\x1c" <= c <= "\x1f")
BOS = 0
# What `prepare` writes, in this order: a folder that has the last one is whole.
FILES = ("tokenizer.json", "tokens.npz", "report.json")
# A text without separators is cut at blank lines into documents of at least so many characters.
PIECE = 1_000
# Of scripts that write no spaces each character counts as a word: Thai, Lao, Burmese, Khmer, kana, Han.
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
MARKS = "".join(c for c in map(chr, range(0x300, 0x10000)) if unicodedata.category(c)[0] == "M")  # accents and vowel signs
WORD = re.compile(rf"(?=[^\W_])[{UNSPACED}][{MARKS}]*|(?:[^\W_{UNSPACED}]+|['{MARKS}])+")


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark and with Windows' line ends as `\\n`, as `topk-lm analyze` reads it."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def read_toml(path: Path) -> dict:
    try:
        return tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from None


def read_json(path: Path):
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None


def said(error: Exception) -> str:
    """An error as one sentence; of a file it begins with the file's name."""
    return f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)


def read_documents(path: Path) -> list[str]:
    """The documents of a file, trimmed, without empty ones: lines `<|endoftext|>` separate them; a file without any is cut at blank lines."""
    text = read_text(path)
    around = r"[^\S\n\x1c-\x1f]*"  # of SPACES, in one line
    documents = [part.strip(SPACES) for part in re.split(rf"^{around}{re.escape(SEPARATOR)}{around}$", text, flags=re.MULTILINE)]
    if len(documents) == 1:
        documents = pieces(text)
    return [document for document in documents if document]


def pieces(text: str) -> list[str]:
    """Runs of paragraphs, each of at least PIECE characters where the text is long enough."""
    documents, run = [], ""
    for paragraph in re.split(r"\n\s*\n", text.strip(SPACES)):
        run += ("\n\n" if run else "") + paragraph
        if len(run) >= PIECE:
            documents.append(run)
            run = ""
    return documents + [run]


def words(text: str) -> list[str]:
    """Lower-case runs of letters, digits and apostrophes, of whatever script (UNSPACED: single letters): what the decontamination compares."""
    return WORD.findall(text.lower().replace("’", "'"))


def ngrams(text: str, n: int, opening: int = 0) -> set[tuple[str, ...]]:
    """All runs of n words that begin after the first `opening` words."""
    w = words(text)
    return {tuple(w[i : i + n]) for i in range(opening, len(w) - n + 1)}


def found(corpora: list[Path], file: str) -> Path:
    """The file in the first of the folders that has it."""
    for folder in corpora:
        if (folder / file).exists():
            return folder / file
    raise FileNotFoundError(
        f"{file} is in none of the folders of --corpus ({', '.join(map(str, corpora))}); --config names the files: "
        "for texts of your own, copy configs/own-data.toml and put their names into it"
    )


def check_config(config: dict):
    """The table of a data.toml; an error names the key that is missing, unknown or means nothing."""
    if not isinstance(config["source"], list) or not all(isinstance(source, dict) for source in config["source"]):
        raise ValueError("sources are written as tables [[source]] with file and epochs")
    if not isinstance(config.get("validation", {}), dict):
        raise ValueError(f"validation is written as a table [validation] with file, not as {config['validation']!r}")
    known = {"seed", "d_vocab", "held_out_every", "test_bytes", "ngram", "ngram_set_aside", "opening", "validation", "source"}
    unknown = set(config) - known | {key for source in config["source"] for key in source} - {"file", "epochs", "set_aside"}
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: there is no such key; at the top stand {', '.join(sorted(known))}, in [[source]] file, epochs, set_aside")
    least = {"seed": 0, "ngram": 1, "ngram_set_aside": 1, "opening": 0, "held_out_every": 1}
    for key, lowest in least.items():
        value = config.get(key, 0) if key == "opening" else config[key]
        if type(value) is not int or value < lowest:
            raise ValueError(f"{key} must be a whole number from {lowest} on, not {value!r}")
    # 256 bytes and BOS; ids are stored in 16 bits
    if type(config["d_vocab"]) is not int or not 257 <= config["d_vocab"] <= 65_536:
        raise ValueError(f"d_vocab must be a whole number from 257 to 65536, not {config['d_vocab']!r}")
    check_amount("test_bytes", config.get("test_bytes", 0))
    validation, seen = config.get("validation"), set()
    for table in config["source"] + ([validation] if validation else []):
        if not isinstance(table["file"], str):
            raise ValueError(f"file must be the name of a text file, not {table['file']!r}")
    for source in config["source"]:
        file, aside = source["file"], source.get("set_aside", True)
        if file in seen:
            raise ValueError(f"{file} is named as a source twice: name each file once, with the sum of its epochs")
        if file in ("held_out", "test", "validation"):
            raise ValueError(f"{file} is what a part of tokens.npz is called: give the file another name")
        if not isinstance(aside, bool):
            raise ValueError(f"set_aside of {file} must be true or false, not {aside!r}")
        seen.add(file)
        check_epochs({file: source["epochs"]})


def check_amount(name: str, value):
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a number from 0 on, not {value!r}")


def check_epochs(epochs: dict):
    for file, value in epochs.items():
        check_amount(f"epochs of {file}", value)


def check_folder(data: Path):
    """Refuses what is no folder that `prepare` wrote to the end."""
    for name in FILES:
        if not (data / name).is_file():
            raise FileNotFoundError(f"--data: {data} has no {name}; name the folder that topklm.data wrote, and run it again if it was interrupted")


def read_tokens(data: Path) -> dict[str, np.ndarray]:
    """The arrays of DATA/tokens.npz."""
    path = data / "tokens.npz"
    try:
        with path.open("rb") as file:
            return dict(np.load(file))
    except (zipfile.BadZipFile, EOFError, ValueError, TypeError) as error:
        raise ValueError(f"{path} is damaged: run topklm.data again ({error})") from None


def split(documents: list[str], held_out_every: int, test_bytes: float, seed: list[int]):
    """(train, held out, test) of one source's documents: whole stories, drawn by `seed` alone. The test set takes documents until it
    has `test_bytes`, the held-out set one in `held_out_every`."""
    order = np.random.default_rng(seed).permutation(len(documents))
    n_test = size = 0
    while n_test < len(order) and size < test_bytes:
        size += len(documents[order[n_test]].encode())
        n_test += 1
    n_held = n_test + len(documents) // held_out_every
    parts = (sorted(order[n_held:]), order[n_test:n_held], order[:n_test])
    return tuple([documents[i] for i in part] for part in parts)


def train_tokenizer(documents, d_vocab: int):
    """A byte-level BPE whose post-processor puts BOS in front."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab, special_tokens=[SEPARATOR], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(documents, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{SEPARATOR} $A", special_tokens=[(SEPARATOR, BOS)])
    return tokenizer


def given_tokenizer(path: Path, d_vocab: int):
    """The tokenizer.json of a trained model, whose texts and splits these are to be."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more special
        raise ValueError(f"--tokenizer: {path} is no tokenizer.json: {error}") from None
    if tokenizer.get_vocab_size() != d_vocab or tokenizer.token_to_id(SEPARATOR) != BOS:
        raise ValueError(f"--tokenizer: {path} has to have {d_vocab} tokens (d_vocab), with {SEPARATOR} as number {BOS}")
    return tokenizer


def prepare(corpora: list[Path], config: dict, out: Path, tokenizer: Path | None = None) -> dict:
    """Reads, splits, cleans and tokenises the corpus; returns the report that is also written. Trains a tokenizer unless one is given."""
    for folder in corpora:
        if not folder.is_dir():
            raise FileNotFoundError(f"--corpus: {folder} is not a folder; name the folder that your texts lie in")
    check_config(config)
    n, opening = config["ngram"], config.get("opening", 0)
    validation = read_text(found(corpora, config["validation"]["file"])) if "validation" in config else None
    leaks = ngrams(validation or "", n)
    read = {source["file"]: read_documents(found(corpora, source["file"])) for source in config["source"]}
    for file, documents in read.items():
        if not documents:
            raise ValueError(f"{found(corpora, file)} has no text")
    clean = {file: [d for d in documents if leaks.isdisjoint(ngrams(d, n, opening))] for file, documents in read.items()}
    # The test set is made up as what is trained on: a source's share of it is its share of an epoch.
    # Sources with `set_aside = false` give none of their stories to it, nor to the held-out ones: both are the same with and without them.
    apart = [s for s in config["source"] if s.get("set_aside", True)]
    size = {s["file"]: s["epochs"] * sum(len(d.encode()) for d in clean[s["file"]]) for s in apart}
    train, held_out, test, report = {}, [], [], {"sources": []}
    for source in config["source"]:
        file = source["file"]
        train[file], held, tested = clean[file], [], []
        if file in size:
            budget = config.get("test_bytes", 0) * size[file] / (sum(size.values()) or 1)
            name = list(file.encode())  # a source's split does not depend on which others there are, beyond its share
            train[file], held, tested = split(clean[file], config["held_out_every"], budget, [config["seed"], *name])
        held_out += held
        test += tested
        report["sources"].append(
            {
                "file": file,
                "epochs": source["epochs"],
                "documents": len(read[file]),
                "dropped_validation": len(read[file]) - len(clean[file]),
                "held_out": len(held),
                "test": len(tested),
            }
        )
    # What is trained on is no near-copy of a story that was set aside either, of whatever source.
    n = config["ngram_set_aside"]
    aside = set(held_out + test)
    leaks = set().union(*(ngrams(d, n, opening) for d in aside))
    for entry in report["sources"]:
        before = len(train[entry["file"]])
        train[entry["file"]] = [d for d in train[entry["file"]] if d not in aside and leaks.isdisjoint(ngrams(d, n, opening))]
        entry |= {"dropped_set_aside": before - len(train[entry["file"]]), "train": len(train[entry["file"]])}
    if not any(train.values()):
        raise ValueError("no document is left to train on: all were set aside, or copy one that was or share a run of words with it; give more text, or a larger ngram_set_aside")
    if tokenizer is not None:
        tokenizer = given_tokenizer(tokenizer, config["d_vocab"])
    else:
        tokenizer = train_tokenizer((d for documents in train.values() for d in documents), config["d_vocab"])
    out.mkdir(parents=True, exist_ok=True)

    def encode(documents):
        ids = [np.array(e.ids, dtype=np.uint16) for e in tokenizer.encode_batch(documents)]
        return np.concatenate(ids) if ids else np.zeros(0, dtype=np.uint16), np.cumsum([0] + [len(i) for i in ids])

    arrays = {}
    for entry in report["sources"]:
        ids, starts = encode(train[entry["file"]])
        entry |= {"tokens": len(ids), "bytes": sum(len(d.encode()) for d in train[entry["file"]])}
        arrays[f"{entry['file']}.ids"], arrays[f"{entry['file']}.starts"] = ids, starts
    for name, documents in (("held_out", held_out), ("test", test)):
        arrays[f"{name}.ids"], arrays[f"{name}.starts"] = encode(documents)
        report[name] = {"tokens": len(arrays[f"{name}.ids"]), "bytes": sum(len(d.encode()) for d in documents)}
        # Of these only exact copies are found among what is trained on.
        report[name]["too_short_to_compare"] = sum(not ngrams(d, n, opening) for d in documents)
    if validation is not None:
        arrays["validation.ids"] = np.array(tokenizer.encode(validation, add_special_tokens=False).ids, dtype=np.uint16)
        report["validation"] = {"tokens": len(arrays["validation.ids"]), "bytes": len(validation.encode())}
    report |= {
        "epoch_tokens": sum(int(e["tokens"] * e["epochs"]) for e in report["sources"]),
        "unique_tokens": sum(e["tokens"] for e in report["sources"]),
    }
    write_folder(out, tokenizer.to_str(pretty=True), arrays, report)
    return report


def write_folder(out: Path, tokenizer: str, arrays: dict, report: dict):
    """FILES, all written beside before the first is moved into place, so that an interruption leaves no tokenizer beside another one's tokens."""
    drafts = {name: out / f"{name}.part" for name in FILES}
    drafts["tokenizer.json"].write_text(tokenizer, encoding="utf-8")
    with drafts["tokens.npz"].open("wb") as file:
        np.savez(file, **arrays)
    drafts["report.json"].write_text(json.dumps(report, indent=1) + "\n")
    (out / "report.json").unlink(missing_ok=True)
    for name, draft in drafts.items():
        draft.replace(out / name)


class Packed:
    """Windows of n_ctx + 1 tokens over an endless stream of shuffled epochs; window i depends on (seed, i) alone.

    The documents of an epoch (a source of `epochs` e gives each document ⌊e⌋ times, and once more by a coin of
    probability e − ⌊e⌋) are shuffled and laid end to end, cut every n_ctx tokens; what is left over is dropped.
    `epochs` {file: e} replaces what the report says of a source.
    """

    def __init__(self, data: Path, n_ctx: int, seed: int, epochs: dict | None = None):
        check_epochs(epochs or {})
        check_folder(data)
        self.arrays = read_tokens(data)
        self.sources = read_json(data / "report.json")["sources"]
        unknown = set(epochs or {}) - {source["file"] for source in self.sources}
        if unknown:
            raise ValueError(f"epochs: {', '.join(sorted(unknown))} is not among the sources of {data / 'report.json'}")
        self.sources = [source | {"epochs": (epochs or {}).get(source["file"], source["epochs"])} for source in self.sources]
        tokens = int(sum(len(self.arrays[f"{source['file']}.ids"]) * source["epochs"] for source in self.sources))
        if tokens <= n_ctx:  # an epoch would hardly ever fill a window
            raise ValueError(f"an epoch of {data} has {tokens} tokens to train on, but a window takes {n_ctx + 1}: give more text or epochs, or a smaller n_ctx")
        self.n_ctx, self.seed = n_ctx, seed
        self._epoch, self._stream, self._first = -1, None, 0
        self._next_first = 0

    def _build(self, epoch: int):
        rng = np.random.default_rng([self.seed, epoch])
        parts = []
        for source in self.sources:
            ids, starts = self.arrays[f"{source['file']}.ids"], self.arrays[f"{source['file']}.starts"]
            whole, rest = divmod(source["epochs"], 1)
            for a, b in zip(starts[:-1], starts[1:], strict=True):
                parts += [ids[a:b]] * (int(whole) + int(rng.random() < rest))
        # Where epochs are below 1, chance may leave all documents out.
        stream = np.concatenate([np.zeros(0, dtype=np.uint16), *(parts[i] for i in rng.permutation(len(parts)))])
        n_windows = max(len(stream) - 1, 0) // self.n_ctx
        return stream, n_windows

    def windows(self, first: int, count: int) -> np.ndarray:
        """Windows first .. first + count, int64 [count, n_ctx + 1]: inputs are [:, :-1], targets [:, 1:]."""
        if first < self._first:
            self._epoch, self._next_first = -1, 0
        rows = []
        for i in range(first, first + count):
            while self._stream is None or self._epoch < 0 or i >= self._next_first:
                self._epoch += 1
                self._first = self._next_first
                self._stream, n = self._build(self._epoch)
                self._next_first = self._first + n
            at = (i - self._first) * self.n_ctx
            rows.append(self._stream[at : at + self.n_ctx + 1])
        return np.stack(rows).astype(np.int64)

    def unigram(self, d_vocab: int) -> torch.Tensor:
        """log p of each token in the first epoch, add-one smoothed, f32 [d_vocab]."""
        counts = np.bincount(self._build(0)[0], minlength=d_vocab) + 1.0
        return torch.from_numpy(np.log(counts / counts.sum())).float()


def evaluation_windows(ids: np.ndarray, n_ctx: int, starts: np.ndarray | None = None) -> np.ndarray:
    """Every token of a held-out text once as a target: BOS + up to n_ctx − 1 … tokens a row, targets padded with −1.

    Without `starts` the text is one run, cut every n_ctx tokens; with it every document is cut by itself (its own BOS
    is not a target). Returns int64 [rows, 2, n_ctx]: inputs and targets.
    """
    runs = [ids] if starts is None else [ids[a + 1 : b] for a, b in zip(starts[:-1], starts[1:], strict=True)]
    rows = []
    for run in runs:
        for at in range(0, len(run), n_ctx):
            part = run[at : at + n_ctx].astype(np.int64)
            inputs, targets = np.full(n_ctx, BOS), np.full(n_ctx, -1)
            inputs[1 : len(part)], targets[: len(part)] = part[:-1], part
            rows.append((inputs, targets))
    return np.array(rows)


def number(epochs: str) -> float:
    try:
        return float(epochs)
    except ValueError:
        raise ValueError(f"--add: EPOCHS must be a number, not {epochs}") from None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, required=True, nargs="+", help="folders with the files; the first that has one wins")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).parent.parent / "configs" / "data.toml")
    what = "another source, none of which is set aside (generated text)"
    parser.add_argument("--add", nargs=2, action="append", default=[], metavar=("FILE", "EPOCHS"), help=what)
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json of a model, to measure it or train it further, instead of a new one")
    args = parser.parse_args()
    try:
        config = read_toml(args.config)
        added = [{"file": file, "epochs": number(epochs), "set_aside": False} for file, epochs in args.add]
        if isinstance(config["source"], list):  # else it is refused
            config["source"] = [*config["source"], *added]
        report = prepare(args.corpus, config, args.out, args.tokenizer)
    except KeyError as error:
        parser.error(f"{args.config} lacks {error.args[0]}; configs/own-data.toml is an example")
    except (OSError, ValueError) as error:
        parser.error(said(error))
    print(json.dumps(report, indent=1))
    if not report["held_out"]["tokens"]:
        count = sum(source["documents"] for source in report["sources"])
        print(f"no document was held out: the text has {count} (held_out_every {config['held_out_every']})", file=sys.stderr)


if __name__ == "__main__":
    main()
