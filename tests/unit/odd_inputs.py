"""Odd inputs, each with what must come out: the numbers of the plain ones (PLAIN), or an error that says so, at the check or later."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import shutil
from pathlib import Path

import pyarrow
import pyarrow.parquet

from tests.unit.odd_beginnings import MATRIX, PARTS, TEXT, Odd, pieces, text, told, weights, written

PLAIN, SAME_TEXT = "the plain numbers", "the plain ids, and a number near the plain one"
W = TEXT.encode()


def lines(rows: list) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def parquet(values: list, kind: pyarrow.DataType) -> bytes:
    buffer = io.BytesIO()
    column = pyarrow.array(values, pyarrow.binary()).view(kind) if kind == pyarrow.string() else pyarrow.array(values, kind)
    pyarrow.parquet.write_table(pyarrow.table({"text": column}), buffer)
    return buffer.getvalue()


def instead(name: str, make) -> Odd:
    def change(folder: Path) -> None:
        path = folder / name
        path.rename(folder / "aside")
        make(path)

    return change


def without(*names: str) -> Odd:
    return weights(lambda tensors: {name: value for name, value in tensors.items() if name not in names})


def other(name: str, change) -> Odd:
    return weights(lambda tensors: tensors | {name: change(tensors[name])})


def unit(index: int, value: float):
    def change(tensor):
        tensor.view(-1)[index] = value
        return tensor

    return change


ADDED = {"id": 3072, "special": False, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
EOS = {"<|endoftext|>": {"id": "<|endoftext|>", "ids": [0], "tokens": ["<|endoftext|>"]}}


def post(*parts: str) -> dict:
    single = [{"Sequence": {"id": "A", "type_id": 0}} if part == "A" else {"SpecialToken": {"id": part, "type_id": 1}} for part in parts]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": EOS,
    }


TEXTS: dict[str, tuple[Odd, str]] = {
    "CR only": (text(W.replace(b"\n", b"\r")), PLAIN),
    "a mark of byte order": (text(b"\xef\xbb\xbf" + W), PLAIN),
    "JSON lines": (text(lines([{"text": part} for part in PARTS]), "x.JSONL"), PLAIN),
    "gzip in two members": (text(gzip.compress(W[:99]) + gzip.compress(W[99:]), "x.txt.gz"), PLAIN),
    "bzip2 in two streams": (text(bz2.compress(W[:99]) + bz2.compress(W[99:]), "x.bz2"), PLAIN),
    "a dictionary column": (text(parquet(PARTS, pyarrow.dictionary(pyarrow.int32(), pyarrow.string())), "x.parquet"), PLAIN),
    "a name of all sorts": (text(W, " a%s [b] $HOME*\n.txt"), PLAIN),
    "a hidden file": (text(W, ".jsonl"), PLAIN),
    "gzip of gzip": (text(gzip.compress(gzip.compress(W)), "x.txt.gz"), r"x\.txt\.gz is no text in UTF-8 \(byte 1"),
    "gzip cut off": (text(gzip.compress(W)[:-30], "x.txt.gz"), r"x\.txt\.gz cannot be unpacked: .* copy it again"),
    "mixed encodings": (text(W + b"\xe9" + W), rf"train\.txt is no text in UTF-8 \(byte {len(W)} of it is 0xe9\)"),
    "UTF-8 of surrogates": (text(b"abc \xed\xa0\x80 " * 99), r"train\.txt is no text in UTF-8 \(byte 4 of it is 0xed\)"),
    "zero bytes": (text(b"abc\0def " * 99), r"train\.txt is no text in UTF-8: byte 3 of it is zero"),
    "UTF-16": (text(TEXT.encode("utf-16")), r"check: .*train\.txt is UTF-16 or UTF-32"),
    "too short": (text(b"a few words"), r"split train: 5 tokens are fewer than one window of 64"),
    "only blanks": (text(b" \n\t\r\n" * 99), r"no text in split train"),
    "nested fields": (text(lines([{"text": {"a": part}} for part in PARTS]), "x.jsonl"), r"x\.jsonl, line 1: field 'text' is {'a'"),
    "a row without the field": (
        text(lines([{"text": "a"}, {"txt": "b"}]), "x.jsonl"),
        r"line 2: no JSON object with a field 'text', only txt",
    ),
    "rows that are texts": (text(lines(PARTS), "x.jsonl"), r"x\.jsonl, line 1: no JSON object with a field 'text', but '# drank'"),
    "JSON on several lines": (
        text(json.dumps({"text": TEXT}, indent=1).encode(), "x.json"),
        r"x\.json, line 1: no valid JSON .* one array",
    ),
    "a null row": (text(lines([{"text": "a"}, {"text": None}]), "x.jsonl"), r"line 2: field 'text' is empty \(null\)"),
    "Parquet that is no UTF-8": (text(parquet([b"a\xff"] * 9, pyarrow.string()), "x.parquet"), r"x\.parquet holds a text that is no UTF-8"),
    "an empty table": (text(parquet([], pyarrow.utf8()), "x.parquet"), r"no text in split train"),
    "semicolons": (text(b"text;n\na;b\n", "x.csv"), r"x\.csv: no column 'text', only text;n"),
    "an open quote": (text(b'text\n"abc\nabc', "x.csv"), r"x\.csv, line 3: unexpected end of data; correct the quotes"),
    "a loop of links": (
        instead("train.txt", lambda path: path.symlink_to("train.txt")),
        r"check: .*train\.txt is a link that leads to no file",
    ),
    "a pipe": (instead("train.txt", os.mkfifo), r"check: .*train\.txt is no regular file"),
    "a folder": (instead("train.txt", Path.mkdir), r"check: .*train\.txt is a folder; name the files in it"),
    "a file listed twice": (written("train.txt", "[train.txt, ./train.txt]"), r"check: .*is listed twice"),
}

TOKENIZERS: dict[str, tuple[Odd, str]] = {
    "an end of text": (told("tokenizer.json", post_processor=post("A", "<|endoftext|>")), PLAIN),
    "a length of ten": (told("tokenizer_config.json", model_max_length=10), PLAIN),
    "a broken chat template": (told("tokenizer_config.json", chat_template="{{ broken"), PLAIN),
    "an unknown class": (told("tokenizer_config.json", tokenizer_class="FooTokenizer"), PLAIN),
    "a token that no text has": (lambda f: _add(f, "<never>"), PLAIN),
    "a token past the embedding": (lambda f: _add(f, "drank"), r"split train: token 'drank' has the number 3072"),
    "merges dropped at random": (pieces(dropout=0.1), r"check: .*tokenizer\.json drops merges at random"),
    "no unknown token": (pieces(type="WordLevel", vocab={"the": 1}, unk_token="?"), r"cannot encode 'a text' .*Missing"),
    "a length in words": (told("tokenizer_config.json", model_max_length="long"), r"cannot encode 'a text' \(TypeError"),
    "a pipe for a tokenizer": (instead("model/tokenizer.json", os.mkfifo), r"check: .*model holds no tokenizer"),
}

MODELS: dict[str, tuple[Odd, str]] = {
    "no architectures": (told("config.json", architectures=None), PLAIN),
    "double precision": (weights(lambda tensors: {name: value.double() for name, value in tensors.items()}), PLAIN),
    "bfloat16": (weights(lambda tensors: {name: value.bfloat16() for name, value in tensors.items()}), SAME_TEXT),
    "names of a base model": (weights(lambda tensors: {name.removeprefix("model."): value for name, value in tensors.items()}), PLAIN),
    "other weights beside": (lambda f: shutil.copy(f / "model/model.safetensors", f / "model/consolidated.safetensors"), PLAIN),
    "another prefix": (
        weights(lambda tensors: {f"module.{name}": value for name, value in tensors.items()}),
        r"check: .*holds 0 decoder blocks",
    ),
    "a matrix lost": (without(MATRIX), r"check: .*decoder block 3 lacks mlp\.up_proj\.weight, which others have"),
    "a norm lost": (without("model.norm.weight"), r"1 tensors missing: model\.norm\.weight"),
    "a block too many": (told("config.json", num_hidden_layers=7), r"check: .*holds 8 decoder blocks .* promises 7"),
    "a billion blocks": (told("config.json", num_hidden_layers=10**9), r"check: .*holds 8 decoder blocks"),
    "no block": (told("config.json", num_hidden_layers=0), r"check: .*model's depth \(0 is no whole number"),
    "a depth in quotes": (told("config.json", num_hidden_layers="8"), r"check: .*model's depth \('8' is no whole number"),
    "half a position": (told("config.json", max_position_embeddings=512.5), r"check: .*model's context \(512\.5 is no whole number"),
    "a vector for a matrix": (other(MATRIX, lambda tensor: tensor.reshape(-1)), r"check: .*shape \(98304,\) and should be a matrix"),
    "a matrix on its side": (other(MATRIX, lambda tensor: tensor.T.contiguous()), r"up_proj\.weight \(192, 512\) for \(512, 192\)"),
    "integers": (other(MATRIX, lambda tensor: tensor.char()), r"check: .*quantised already.*holds I8"),
    "NaN": (other(MATRIX, unit(3, float("nan"))), r"1 tensors not finite: model\.layers\.3\.mlp\.up_proj\.weight"),
    "an unknown activation": (told("config.json", hidden_act="silo"), r"config\.json describes \(KeyError: 'silo'\)"),
    "an unknown rotation": (told("config.json", rope_parameters={"rope_type": "foo"}), r"config\.json describes \(KeyError: 'foo'\)"),
    "heads that do not fit": (
        told("config.json", num_attention_heads=5),
        r"config\.json describes \(.*not a multiple of the number of attention",
    ),
    "padding past the embedding": (told("config.json", pad_token_id=9999), r"config\.json describes \(AssertionError"),
    "a list for generation": (lambda f: (f / "model/generation_config.json").write_text("[]"), r"describes \(TypeError.*generation_config"),
    "a pipe for a description": (instead("model/config.json", os.mkfifo), r"check: .*model holds no config\.json"),
}

BOMB = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghij", "bcdefghijk", strict=True))

CONFIGURATIONS: dict[str, tuple[Odd, str]] = {
    "a ratio in quotes": (written("0.3", '"0.3"'), PLAIN),
    "a length as 6.4e1": (written("4, length: 64", "4, length: 6.4e1"), PLAIN),
    "CR only YAML": (lambda f: (f / "config.yaml").write_text((f / "config.yaml").read_text().replace("\n", "\r"), newline=""), PLAIN),
    "ratios that are equal": (written("0.3", "0.3, 3e-1"), r"check: .*ratios: \[0\.3, 0\.3\] has non-unique elements"),
    "a ratio that is none": (written("0.3", ".nan, 1, 0, -1, 30%"), r"check: .*5 problems.*'30%' is no ratio"),
    "a ratio too high": (written("0.3", "0.999999"), r"check: .*ratio 0\.999999 leaves too little for rank 1"),
    "windows without end": (
        written("windows: 4", "windows: 1e12"),
        r"check: .*calibration\.windows: 1000000000000 is greater than the maximum",
    ),
    "a seed too long": (
        written("windows: 4", f"windows: 4, seed: {2**70}"),
        r"check: .*calibration\.seed: \d+ is greater than the maximum",
    ),
    "labels alike but for case": (written("svd-llm: {}", "x: {base: svd}, X: {base: svd}"), r"check: .*methods: x and X differ by case"),
    "a label that is a path": (written("svd-llm: {}", "A/B: {base: svd}, '..': {base: svd}"), r"check: .*'A/B' does not match"),
    "a revision of a folder": (written("path: model", "path: model, revision: main"), r"check: .*'hub' is a dependency of 'revision'"),
    "one item of a task": (written("ratios", "zeroshot: {limit: 1}\nratios"), r"check: .*zeroshot\.limit: 1 is less than the minimum of 2"),
    "aliases of aliases": (written("ratios", BOMB + "ratios"), r"check: .*says \d+ values, \d+ deep, with its aliases written out"),
    "brackets without end": (written("[0.3]", "[" * 99999 + "]" * 99999), r"check: .*line 6: no valid YAML: more than 50 levels"),
    "keys without end": (written("{dense: {}", "{a: " * 999 + "{}" + "}" * 998), r"check: .*no valid YAML: more than 50 levels"),
}


def _add(folder: Path, content: str) -> None:
    tokens = json.loads((folder / "model/tokenizer.json").read_text())["added_tokens"]
    told("tokenizer.json", added_tokens=[*tokens, ADDED | {"content": content}])(folder)


INPUTS = {
    f"{part}: {name}": row
    for part, rows in zip(("text", "tokenizer", "model", "configuration"), (TEXTS, TOKENIZERS, MODELS, CONFIGURATIONS), strict=True)
    for name, row in rows.items()
}
