"""Files of rows that are damaged, unusual or wrong on purpose, drawn from a seed; each with the rows that were meant, or None if it must be
refused.

A case is written by a writer of one kind of file and changed by a damage. The rows that come back must be the rows that were written.
"""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Rows = list[tuple[Any, ...]]
WORDS = "good bad Über fine, 中文 हिन्दी semi;colon a|bar don't #tag 1.5 3 O -DOCSTART- e\u0301 👩‍👧 <b> {x} $y \u2028 \u00a0".split(" ")
LABELS = ["good", "bad", "1", "so so"]


@dataclass
class Case:
    """files: name -> content, of which the first is data.train. rows: what must come back, None = an error. task: text of a format.
    options: of data=files."""

    name: str
    files: dict[str, bytes]
    rows: Rows | None
    task: str = "classification"
    options: dict[str, Any] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    train: Any = None
    may_refuse: bool = False  # the damage may show, or be another valid file

    def write(self, folder: Path) -> None:
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        for name, target in self.links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(target)


def table(chance: random.Random, plain: bool = False) -> Rows:
    """Rows of a text and a label, the first two labels different."""
    words = [word for word in WORDS if word.isascii()] if plain else WORDS
    count = chance.randint(3, 8)
    texts = [" ".join(chance.choice(words) for _ in range(chance.randint(2, 6))).strip() + f" {number}" for number in range(count)]
    return [(text, LABELS[number] if number < 2 else chance.choice(LABELS)) for number, text in enumerate(texts)]


def as_csv(rows: Rows, header: tuple[str, ...] | None = ("text", "label"), end: str = "\n", **options: Any) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=end, **options)
    writer.writerows(([header] if header else []) + rows)
    return file.getvalue()


def as_tsv(rows: Rows, header: tuple[str, ...] | None = ("text", "label")) -> str:
    return "".join("\t".join(map(str, row)) + "\n" for row in ([header] if header else []) + rows)


def objects(rows: Rows) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in rows]


def as_jsonl(rows: Rows, ascii: bool = False) -> str:
    return "".join(json.dumps(each, ensure_ascii=ascii) + "\n" for each in objects(rows))


def as_json(rows: Rows, **options: Any) -> str:
    return json.dumps(objects(rows), ensure_ascii=False, **options)


def as_parquet(columns: dict[str, Any] | pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), sink, **options)
    return sink.getvalue()


TEXT_KINDS: dict[str, Callable[[Rows], str]] = {"csv": as_csv, "tsv": as_tsv, "jsonl": as_jsonl, "json": as_json}


def encodings(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """The storage of a text file."""
    kind = chance.choice(list(TEXT_KINDS))
    text, name = TEXT_KINDS[kind](rows), f"a.{kind}"
    good = text.encode()
    wide = chance.choice(["utf-16", "utf-32"])
    order = chance.choice(["le", "be"])
    plain = table(chance, plain=True)
    latin = [("Käse und Öl", "good"), *plain]
    yield Case(f"{kind}: as it is", {name: good}, rows)
    yield Case(f"{kind}: byte-order mark of utf-8", {name: b"\xef\xbb\xbf" + good}, rows)
    yield Case(f"{kind}: byte-order mark of {wide}", {name: text.encode(wide)}, rows)
    yield Case(
        f"{kind}: byte-order mark of {wide}, big endian",
        {name: b"\xfe\xff".rjust(int(wide[4:]) // 8, b"\0") + text.encode(f"{wide}-be")},
        rows,
    )
    yield Case(
        f"{kind}: {wide}-{order} by option, with a mark",
        {name: ("\ufeff" + text).encode(f"{wide}-{order}")},
        rows,
        options={"encoding": f"{wide}-{order}"},
    )
    yield Case(f"{kind}: {wide}-{order} without a mark", {name: text.encode(f"{wide}-{order}")}, None)
    yield Case(
        f"{kind}: {wide}-{order} by option, without a mark",
        {name: text.encode(f"{wide}-{order}")},
        rows,
        options={"encoding": f"{wide}-{order}"},
    )
    yield Case(f"{kind}: latin-1 unsaid", {name: TEXT_KINDS[kind](latin).encode("latin-1")}, None)
    yield Case(f"{kind}: latin-1 by option", {name: TEXT_KINDS[kind](latin).encode("latin-1")}, latin, options={"encoding": "latin-1"})
    yield Case(f"{kind}: a mark against the option", {name: b"\xef\xbb\xbf" + good}, None, options={"encoding": "latin-1"})
    yield Case(f"{kind}: gzip", {f"{name}.gz": gzip.compress(good)}, rows)
    yield Case(f"{kind}: gzip without its ending", {name: gzip.compress(good)}, rows)
    yield Case(f"{kind}: gzip cut off", {f"{name}.gz": gzip.compress(good)[: -chance.randint(1, 20)]}, None)
    yield Case(f"{kind}: no gzip", {f"{name}.gz": good}, None)
    yield Case(f"{kind}: line ends of Windows", {name: good.replace(b"\n", b"\r\n")}, rows)
    yield Case(f"{kind}: blank lines at the end", {name: good + b"\n" * chance.randint(1, 3)}, rows)
    yield Case(f"{kind}: no line end at the end", {name: good.rstrip(b"\n")}, rows)
    yield Case(f"{kind}: empty", {name: b""}, None)
    place = chance.randrange(1, len(good))
    yield Case(f"{kind}: a byte that is no utf-8", {name: good[:place] + b"\xff" + good[place:]}, None)
    yield Case(f"{kind}: a byte of zero", {name: good[:place] + b"\0" + good[place:]}, None)
    for magic in (b"PK\x03\x04", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"%PDF-1.4\n"):
        yield Case(f"{kind}: begins with {magic[:4]!r}", {name: magic + good}, None)
    if kind != "json":
        yield Case(f"{kind}: carriage returns end lines", {name: good.replace(b"\n", b"\r")}, None)


def tables(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """CSV and TSV."""
    for delimiter in ";\t|":
        file = {"a.csv": as_csv(rows, delimiter=delimiter).encode()}
        yield Case(f"csv: {delimiter!r} between named columns", file, rows)
        by_index = {"columns": {"text": 0, "label": 1}}
        plain = [("one two", "good"), ("three", "bad")] * 2
        unnamed = {"a.csv": as_csv(plain, None, delimiter=delimiter).encode()}
        yield Case(f"csv: {delimiter!r} unsaid, by index", unnamed, None, options=by_index)
        yield Case(f"csv: {delimiter!r} by option", unnamed, plain, options={**by_index, "delimiter": delimiter})
    yield Case("csv: a line declares the delimiter", {"a.csv": ("sep=;\n" + as_csv(rows, delimiter=";")).encode()}, rows)
    yield Case("csv: all in quotes", {"a.csv": as_csv(rows, quoting=csv.QUOTE_ALL).encode()}, rows)
    quoted = [('he said "no"', "good"), ("two\nlines", "bad"), *rows]
    yield Case("csv: quotes and line breaks", {"a.csv": as_csv(quoted).encode()}, quoted)
    yield Case("csv: two columns of a name", {"a.csv": as_csv([(a, b, "x") for a, b in rows], ("text", "label", "label")).encode()}, None)
    yield Case(
        "csv: two other columns of a name", {"a.csv": as_csv([(a, b, 1, 2) for a, b in rows], ("text", "label", "x", "x")).encode()}, rows
    )
    yield Case(
        "csv: two columns of a name, by index",
        {"a.csv": as_csv([(a, b, "x") for a, b in rows], ("text", "label", "label")).encode()},
        rows,
        options={"columns": {"label": 1}},
    )
    place = chance.randint(1, len(rows))
    lines = as_csv([("one", "good"), ("two", "bad")] * 5).splitlines(keepends=True)
    place = chance.randint(1, 9)
    for name, line in {
        "a comma too many": "one, two,good\n",
        "a column too few": "alone\n",
        "a quote that never closes": '"open,good\n',
        "text after a quote": '"one" two,good\n',
        "blanks before quotes": 'one, "good"\n',
        "an empty label": "one,\n",
        "a carriage return": "one\rtwo,good\n",
    }.items():
        yield Case(f"csv: {name}", {"a.csv": "".join([*lines[:place], line, *lines[place:]]).encode()}, None)
    headless = {"columns": {"text": 0, "label": 1}, "header": False}
    yield Case("csv: a comma too many without a header", {"a.csv": b"one,good\ntwo, three,bad\n"}, None, options=headless)
    blanks = [(text, f" {label} ") for text, label in rows]
    yield Case("csv: blanks around labels", {"a.csv": as_csv(blanks).encode()}, rows)
    yield Case("csv: two files with headers joined", {"a.csv": (as_csv(rows) + as_csv(rows)).encode()}, None)
    more = "".join(f"{line}{',' * chance.randint(0, 2)}\n" for line in as_csv([("one", "good"), ("two", "bad")], end="\n").splitlines())
    yield Case("csv: commas at the ends of lines", {"a.csv": more.encode()}, [("one", "good"), ("two", "bad")])
    yield Case("csv: no such column", {"a.csv": as_csv(rows, ("text", "stars")).encode()}, None)
    for texts in (['"Yes," he said', 'a "b" c', '5" and 6"', '"all of it"'], ["a, b, c", "no"]):
        spoken = [(text, LABELS[number % 2]) for number, text in enumerate(texts)]
        yield Case("tsv: quotes and commas are text", {"a.tsv": as_tsv(spoken).encode()}, spoken)
    yield Case(
        "tsv: tabs at the ends of lines",
        {"a.tsv": (as_tsv(spoken[:1]) + as_tsv(spoken, None).replace("\n", "\t\n")).encode()},
        spoken[:1] + spoken,
    )
    yield Case("tsv: quotes enclose texts", {"a.tsv": as_csv(quoted[:1] + rows, delimiter="\t").encode()}, None)
    yield Case("tsv: quotes enclose lines", {"a.tsv": as_csv(quoted[1:], delimiter="\t").encode()}, None)
    yield Case(
        "tsv: all in quotes",
        {"a.tsv": as_csv(rows, None, delimiter="\t", quoting=csv.QUOTE_ALL).encode()},
        None,
        options={"columns": {"text": 0, "label": 1}},
    )
    yield Case("tsv: quotes by option", {"a.tsv": as_csv(quoted, delimiter="\t").encode()}, quoted, options={"quoting": True})
    yield Case("tsv: commas between columns", {"a.tsv": as_csv(quoted).encode()}, quoted)
    flags = [(f"text {number}", chance.random() < 0.5, chance.random() < 0.5, chance.random() < 0.5) for number in range(6)]
    names = ("toxic", "rude", "dull")
    several = [(text, [name for name, flag in zip(names, values, strict=True) if flag]) for text, *values in flags]
    several = [(text, sorted(labels)) for text, labels in several]
    options = {"columns": {"label": list(names)}}
    written = chance.choice([lambda flag: int(flag), lambda flag: float(flag), lambda flag: str(flag)])
    content = as_csv([(text, *map(written, values)) for text, *values in flags], ("text", *names))
    yield Case("csv: a column for each label", {"a.csv": content.encode()}, several, "labels", options)
    yield Case(
        "csv: a column for each label, one misspelled", {"a.csv": content.replace("rude", "crude").encode()}, None, "labels", options
    )
    wrong = as_csv(
        [("x", 1, chance.choice([2, -1, 0.5, "", "yes"]), 0)] + [(text, *map(int, values)) for text, *values in flags], ("text", *names)
    )
    yield Case("csv: a column for each label, one not 0 or 1", {"a.csv": wrong.encode()}, None, "labels", options)
    one = {"columns": {"label": "toxic"}}
    yield Case(
        "csv: one column of several labels alone",
        {"a.csv": as_csv([("x", 1, 0, 1), ("y", 0, 1, 1)], ("text", *names)).encode()},
        None,
        "labels",
        one,
    )
    listed = as_csv([("x", str(["a", "b"])), ("y", str(["c"]))])
    yield Case("csv: lists written as text", {"a.csv": listed.encode()}, None, "labels")
    ways = as_csv([("x", "1"), ("y", "1.0"), ("z", "2")])
    yield Case("csv: a number written in two ways", {"a.csv": ways.encode()}, None)


def json_files(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """JSON lines and arrays."""
    lines = [f"{line}\n" for line in as_jsonl(rows).split("\n")[:-1]]  # other separators of lines are text
    place = chance.randint(1, len(lines) - 1)
    deep = "[" * 2000 + "]" * 2000

    def both(name: str, line: str, expected: Any = None, **values: Any) -> Iterator[Case]:
        """A line more, in JSON lines or in an array."""
        meant = None if expected is None else [*rows[:place], expected, *rows[place:]]
        more = [*lines[:place], line + "\n", *lines[place:]]
        yield Case(f"jsonl: {name}", {"a.jsonl": "".join(more).encode()}, meant, **values)
        yield Case(f"json: {name}", {"a.json": f"[{','.join(more)}]".encode()}, meant, **values)

    yield from both("a lone surrogate in a text", r'{"text": "x\ud800", "label": "good"}')
    yield from both("a lone surrogate in a label", r'{"text": "x", "label": "\udfff"}')
    yield from both("a lone surrogate elsewhere", r'{"text": "x", "label": "bad", "id": "\udfff"}', ("x", "bad"))
    yield from both("a pair of surrogates", r'{"text": "\ud83d\ude00", "label": "good"}', ("😀", "good"))
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "null", '""', "[]", "{}", '["good"]', '{"a": 1}'):
        yield from both(f"the label {number}", f'{{"text": "x", "label": {number}}}')
    for value in ("5", "1.5", "true", "null", "NaN", '["a", "b"]', '{"a": "b"}', "[]"):
        yield from both(f"the text {value}", f'{{"text": {value}, "label": "good"}}')
    for value, name in (("1", "1"), ("true", "true"), ("-3", "-3"), ("2.5", "2.5"), ('" good "', "good"), ("1e308", "1e+308")):
        yield from both(f"the label {value}, of another type", f'{{"text": "x", "label": {value}}}', ("x", name))
    yield from both("an integer of thousands of digits", f'{{"text": "x", "label": {"9" * 5000}}}')
    yield from both("an integer of thousands of digits elsewhere", f'{{"text": "x", "label": "bad", "id": {"9" * 5000}}}')
    yield from both("2,000 levels in the label", f'{{"text": "x", "label": {deep}}}')
    yield from both("2,000 levels elsewhere", f'{{"text": "x", "label": "bad", "tree": {deep}}}')
    yield from both("300 levels in the label", f'{{"text": "x", "label": {"[" * 300}{"]" * 300}}}')
    yield from both("300 levels elsewhere", f'{{"text": "x", "label": "bad", "tree": {"[" * 300}{"]" * 300}}}', ("x", "bad"))
    yield from both("a key twice", '{"text": "x", "label": "good", "label": "bad"}')
    yield from both("another key twice", '{"text": "x", "label": "good", "id": 1, "id": 2}', ("x", "good"))
    yield from both("a missing key", '{"text": "x"}')
    yield from both("a value that is no object", '"text"')
    yield from both("not JSON", "{'text': 'x', 'label': 'good'}")
    yield Case("jsonl: two objects in a line", {"a.jsonl": (lines[0].strip() + "".join(lines)).encode()}, None)
    yield Case("jsonl: cut off", {"a.jsonl": "".join(lines).encode()[: -chance.randint(3, 20)]}, None)
    yield Case("jsonl: an array", {"a.jsonl": as_json(rows).encode()}, None)
    yield Case("jsonl: with indents", {"a.jsonl": json.dumps(objects(rows)[0], indent=2).encode()}, None)
    yield Case("json: JSON lines", {"a.json": "".join(lines).encode()}, rows)
    yield Case("json: with indents", {"a.json": as_json(rows, indent=2).encode()}, rows)
    array = as_json(rows)
    between = array.index("}, {") + 1
    yield Case("json: a missing comma", {"a.json": (array[:between] + array[between + 1 :]).encode()}, None)
    yield Case("json: two commas", {"a.json": (array[:between] + "," + array[between:]).encode()}, None)
    yield Case("json: a comma at the end", {"a.json": (array[:-1] + ",]").encode()}, None)
    yield Case("json: a comma at the start", {"a.json": ("[," + array[1:]).encode()}, None)
    yield Case("json: cut off", {"a.json": array.encode()[: -chance.randint(1, 20)]}, None)
    yield Case("json: two arrays", {"a.json": (array + chance.choice(["", "\n"]) + array).encode()}, None)
    yield Case("json: an object after the array", {"a.json": (array + lines[0]).encode()}, None)
    yield Case("json: blank lines around", {"a.json": f"\n \n{array}\n\n".encode()}, rows)
    yield Case("json: an object with the rows inside", {"a.json": f'{{"data": {array}}}'.encode()}, None)
    yield Case("json: no rows", {"a.json": b"[]"}, None)
    chats = [{"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": label}]} for text, label in rows]
    turns = {"columns": {"text": "conversations.0.value", "label": "conversations.-1.value"}}
    text = "".join(json.dumps(each) + "\n" for each in chats)
    yield Case("jsonl: turns of a chat", {"a.jsonl": text.encode()}, rows, options=turns)
    yield Case("json: turns of a chat", {"a.json": json.dumps(chats).encode()}, rows, options=turns)
    yield Case("jsonl: a turn too few", {"a.jsonl": (text + '{"conversations": []}\n').encode()}, None, options=turns)
    lists = [{"text": text.split(" "), "label": label} for text, label in rows]
    text = "".join(json.dumps(each) + "\n" for each in lists)
    yield Case("jsonl: a list of texts", {"a.jsonl": text.encode()}, None)
    yield Case("jsonl: a list of texts in a template", {"a.jsonl": text.encode()}, None, options={"columns": {"text": "{text}"}})
    yield Case("jsonl: a list of texts, joined", {"a.jsonl": text.encode()}, rows, options={"join": {"text": " "}})
    several = [(text, sorted({label, "x"})) for text, label in rows]
    text = "".join(json.dumps({"text": text, "label": labels}) + "\n" for text, labels in several)
    yield Case("jsonl: lists of labels", {"a.jsonl": text.encode()}, several, "labels")
    for value in ("null", "[1]", '{"a": 1}', "NaN"):
        yield Case(
            f"jsonl: {value} among labels", {"a.jsonl": f'{text}{{"text": "y", "label": ["x", {value}]}}\n'.encode()}, None, "labels"
        )


def parquet(chance: random.Random, rows: Rows) -> Iterator[Case]:
    texts, labels = map(list, zip(*rows, strict=True))
    for kind in (pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())):
        yield Case(
            f"parquet: texts as {kind}", {"a.parquet": as_parquet({"text": pa.array(texts, pa.string()).cast(kind), "label": labels})}, rows
        )
    whole = as_parquet({"text": texts, "label": labels}, write_page_checksum=True)
    yield Case("parquet: cut off", {"a.parquet": whole[: -chance.randint(1, len(whole) - 1)]}, None)
    place = chance.randint(4, 40)
    yield Case(
        "parquet: damaged", {"a.parquet": whole[:place] + bytes(255 - byte for byte in whole[place : place + 8]) + whole[place + 8 :]}, None
    )
    yield Case("parquet: no parquet", {"a.parquet": as_csv(rows).encode()}, None)
    for value in (None, ""):
        yield Case(f"parquet: the label {value!r}", {"a.parquet": as_parquet({"text": [*texts, "x"], "label": [*labels, value]})}, None)
    numbers = [number % 2 for number in range(len(texts))]
    for kind, named in ((pa.int64(), "{}"), (pa.float64(), "{}.0"), (pa.bool_(), "{}")):
        written = [named.format(number) if kind != pa.bool_() else str(bool(number)).lower() for number in numbers]
        column = pa.array(numbers).cast(kind)
        yield Case(
            f"parquet: labels as {kind}",
            {"a.parquet": as_parquet({"text": texts, "label": column})},
            list(zip(texts, written, strict=True)),
        )
    gaps = pa.array([float("nan"), *map(float, numbers[1:])])
    yield Case("parquet: NaN among labels", {"a.parquet": as_parquet({"text": texts, "label": gaps})}, None)
    yield Case("parquet: numbers as texts", {"a.parquet": as_parquet({"text": numbers, "label": labels})}, None)
    buffers = pa.array([b"\xff", *(text.encode() for text in texts[1:])], pa.binary()).buffers()
    broken = pa.Array.from_buffers(pa.string(), len(texts), buffers)
    yield Case("parquet: invalid utf-8", {"a.parquet": as_parquet({"text": broken, "label": labels})}, None)
    yield Case("parquet: invalid utf-8 elsewhere", {"a.parquet": as_parquet({"text": texts, "label": labels, "id": broken})}, rows)
    late = pa.array([10**15] * len(texts), pa.timestamp("ms"))
    yield Case("parquet: dates out of range", {"a.parquet": as_parquet({"text": texts, "label": late})}, None)
    yield Case("parquet: dates out of range elsewhere", {"a.parquet": as_parquet({"text": texts, "label": labels, "at": late})}, rows)
    arrays = [pa.array(texts), pa.array(labels), pa.array(numbers)]
    twice = as_parquet(pa.Table.from_arrays(arrays, names=["text", "label", "label"]))
    yield Case("parquet: two columns of a name", {"a.parquet": twice}, None)
    yield Case("parquet: two columns of a name, by index", {"a.parquet": twice}, rows, options={"columns": {"label": 1}})
    nested = as_parquet({"turns": [[{"value": text}, {"value": label}] for text, label in rows]})
    turns = {"columns": {"text": "turns.0.value", "label": "turns.1.value"}}
    yield Case("parquet: turns of a chat", {"a.parquet": nested}, rows, options=turns)
    yield Case("parquet: a list of texts", {"a.parquet": as_parquet({"text": [text.split() for text in texts], "label": labels})}, None)


def conll(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """Tokens with tags."""
    words = "EU rejects # #tag Köln दिल्ली 中文 a.b O e\u0301".split()
    tags = ["O", "O", "B-LOC", "I-LOC", "B-PER"]

    def drawn() -> Rows:
        first = [("New", "B-LOC"), ("York", "I-LOC")]
        return [*first, *((chance.choice(words), chance.choice(tags)) for _ in range(chance.randint(1, 5)))]

    sentences = [drawn() for _ in range(chance.randint(2, 4))]
    meant = [([token for token, _ in each], [tag for _, tag in each]) for each in sentences]

    def text(line: str = "{token}\t{tag}\n", before: str = "", after: str = "\n") -> bytes:
        return "".join(before + "".join(line.format(token=token, tag=tag) for token, tag in each) + after for each in sentences).encode()

    def case(name: str, content: bytes, refused: bool = False, **options: Any) -> Case:
        return Case(f"conll: {name}", {"a.conll": content}, None if refused else meant, "ner", options)

    yield case("tabs", text())
    yield case("blanks", text("{token} {tag}\n"))
    yield case("four columns", text("{token} X Y {tag}\n"))
    yield case("a tab at the ends of lines", text("{token}\t{tag}\t\n"))
    yield case("blanks at the ends of lines", text("{token} {tag}  \n"))
    yield case("line ends of Windows", text("{token}\t{tag}\r\n", after="\r\n"))
    yield case("documents", b"-DOCSTART- -X- O O\n\n" + text("{token} X Y {tag}\n"))
    yield case("comments of CoNLL-U", text("{token}\t{tag}\n", "# sent_id = 1\n# text = New York\n"))
    yield case("comments with as many columns as tokens", text("{token} X Y {tag}\n", "# id 77 domain=en\n"))
    yield case("comments of two columns", text("{token} {tag}\n", "# comment\n"))
    yield case("comments by option", text("{token} {tag}\n", "// a comment\n"), comment="//")
    yield case("byte-order mark of utf-16", text().decode().encode("utf-16"))
    yield case("a missing tag", text() + b"alone\n", refused=True)
    yield case("a blank in a token", text("{token} {tag}\n") + b"New York B-LOC\n", refused=True)
    yield case("no tag of any scheme", text() + b"word\tperson\n", refused=True)
    yield case("an empty token with an entity", text() + b"\tB-LOC\n", refused=True)
    yield case("a comment inside a sentence", text().rstrip(b"\n") + b"\n# a comment with words\nend\tO\n", refused=True)
    yield case("no tags", "".join(f"{token}\n" for each in sentences for token, _ in each).encode(), refused=True)
    rows_of = [{"tokens": tokens, "tags": tags} for tokens, tags in meant]
    for name, row in {
        "numbers": {"tokens": [1], "tags": ["O"]},
        "a tag too few": {"tokens": ["a", "b"], "tags": ["O"]},
        "a text": {"tokens": "a", "tags": "O"},
    }.items():
        content = "".join(json.dumps(each) + "\n" for each in [*rows_of, row])
        yield Case(f"jsonl: {name} for tokens", {"a.jsonl": content.encode()}, None, "ner")
    yield Case("jsonl: lists of tokens", {"a.jsonl": "".join(json.dumps(each) + "\n" for each in rows_of).encode()}, meant, "ner")


def folders(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """One text a file."""
    counts: dict[str, int] = {}
    files, meant = {}, []
    for text, label in rows:
        counts[label] = counts.get(label, 0) + 1
        files[f"d/{label}/{counts[label]}.txt"] = text.encode()
        meant.append((text, label))
    meant.sort()

    def case(name: str, refused: bool = False, more: dict[str, bytes] | None = None, **values: Any) -> Case:
        return Case(f"folders: {name}", {**files, **(more or {})}, None if refused else meant, train="d", **values)

    yield case("as they are")
    yield case(
        "files of programs",
        more={"d/.git/config": b"x", "d/__MACOSX/good/._1.txt": b"\0", "d/good/.DS_Store": b"\0\1", "d/readme.txt": b"x"},
    )
    yield case("texts without labels", more={f"d/{chance.choice(['unsup', 'unlabeled'])}/1.txt": b"x"}, refused=True)
    yield case("texts without labels, classes by option", more={"d/unsup/1.txt": b"x"}, options={"classes": sorted(counts)})
    yield case("a folder in a class", more={"d/good/more/1.txt": b"x"}, refused=True)
    yield case("no text", more={"d/good/9.png": b"\x89PNG\r\n\0\0"}, refused=True)
    yield case("a link to nothing", links={"d/good/9.txt": "nowhere"}, refused=True)
    yield case("a link to itself", links={"d/good/9.txt": "9.txt"}, refused=True)
    yield case("a class by option that is not there", options={"classes": ["great"]}, refused=True)


def several(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """Several files, links, and parallel text."""
    half = len(rows) // 2
    parts = {"p_1.csv": as_csv(rows[:half]).encode(), "p_2.csv": b"", "p_3.csv": as_csv(rows[half:]).encode()}
    yield Case("files: one of a pattern is empty", parts, rows, train="p_*.csv")
    yield Case("files: all of a pattern are empty", {"p_1.csv": b"", "p_2.csv": b""}, None, train="p_*.csv")
    yield Case("files: a link to nothing", {"b.csv": b"x"}, None, links={"a.csv": "nowhere.csv"}, train="a.csv")
    yield Case("files: a link to itself", {"b.csv": b"x"}, None, links={"a.csv": "a.csv"}, train="a.csv")
    yield Case("files: a link", {"b.csv": as_csv(rows).encode()}, rows, links={"a.csv": "b.csv"}, train="a.csv")
    yield Case("files: a name too long", {"b.csv": b"x"}, None, train="a" * 5000 + ".csv")
    yield Case("files: no such file", {"b.csv": b"x"}, None, train="a.csv")
    yield Case("files: a folder of files", {"d/a.csv": b"x"}, None, train="d")
    texts = [text for text, _ in rows]
    pairs = [(text, text[::-1]) for text in texts]
    one, other = ("".join(f"{pair[side]}\n" for pair in pairs) for side in (0, 1))
    parallel = {"train": ["a.en", "a.de"], "task": "translation"}
    yield Case("parallel: as it is", {"a.en": one.encode(), "a.de": other.encode()}, pairs, **parallel)
    yield Case("parallel: byte-order marks", {"a.en": one.encode("utf-16"), "a.de": other.encode("utf-8-sig")}, pairs, **parallel)
    yield Case("parallel: a line too few", {"a.en": one.encode(), "a.de": other.partition("\n")[2].encode()}, None, **parallel)
    third = {"a.en": one.encode(), "a.de": other.encode(), "a.fr": one.encode()}
    yield Case("parallel: a file too many", third, None, train=["a.en", "a.de", "a.fr"], task="translation")
    yield Case(
        "parallel: a file too many, by index",
        third,
        pairs,
        options={"columns": {"source": 0, "target": 1}},
        train=[*third],
        task="translation",
    )
    tagged = {"a.en": f"{one}<doc>\n{one}".encode(), "a.de": f"{other}<doc>\n{other}".encode()}
    yield Case("parallel: a tag between lines", tagged, None, **parallel)
    inline = {"a.en": f"x <b>y</b>\n{one}".encode(), "a.de": f"<b>y</b> x\n{other}".encode()}
    yield Case("parallel: tags inside lines", inline, [("x <b>y</b>", "<b>y</b> x"), *pairs], **parallel)
    marked = "".join(f'<seg id="{number}">{text}</seg>\n' for number, text in enumerate(texts))
    for first in ('<?xml version="1.0"?>\n', '<srcset setid="x" srclang="any">\n', "<url>http://x</url>\n", "\n", ""):
        yield Case(
            f"parallel: markup {first[:5]!r}", {"a.en": (first + marked).encode(), "a.de": (first + marked).encode()}, None, **parallel
        )
    number = {"a.jsonl": "".join(json.dumps({"source": a, "target": b}) + "\n" for a, b in [*pairs, ("x", 5)]).encode()}
    yield Case("jsonl: a number for a translation", number, None, "translation")
    yield Case(
        "text: one column", {"a.txt": "".join(f"{text}\n" for text in texts).encode()}, [(f"{text}\n",) for text in texts], "completion"
    )
    for value in (5, 1.5, ["a"], {"a": 1}, None, True):
        content = "".join(json.dumps({"text": each}) + "\n" for each in [*texts, value])
        yield Case(f"jsonl: {value!r} for running text", {"a.jsonl": content.encode()}, None, "completion")
    yield Case(
        "jsonl: running text",
        {"a.jsonl": "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()},
        [(text,) for text in texts],
        "completion",
    )


def mutated(chance: random.Random, text: str) -> str:
    """One to three characters that have a meaning are inserted, removed or doubled."""
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(text))
        kind = chance.choice(["insert", "remove", "double"])
        letter = chance.choice('",;:\t\n{}[]\\') if kind == "insert" else text[place] if kind == "double" else ""
        text = text[:place] + letter + text[place + (kind == "remove") :]
    return text


def reference(kind: str, text: str) -> Rows | None:
    """The rows of a file by the modules of Python; None if they refuse it, or if a row lacks a text or a label."""
    try:
        if kind == "csv":
            records = [record for record in csv.reader(io.StringIO(text, newline=""), strict=True) if record]
            header, *rest = records
            names = [name.strip() for name in header]
            if names.count("text") != 1 or names.count("label") != 1 or any(len(record) > len(names) for record in rest):
                return None
            found = [(record[names.index("text")], record[names.index("label")].strip()) for record in rest]
        else:
            lines = [line for line in text.split("\n") if line.strip()] if kind == "jsonl" else []
            values = list(map(json.loads, lines)) if kind == "jsonl" else json.loads(text)
            found = [(each["text"], each["label"].strip()) for each in values]
    except (ValueError, LookupError, TypeError, AttributeError, csv.Error):
        return None
    return (
        found if all(isinstance(value, str) and row[1] for row in found for value in row) and len({row[1] for row in found}) > 1 else None
    )


def mutations(chance: random.Random, rows: Rows) -> Iterator[Case]:
    """Valid files with a few other characters, against the readers of Python."""
    for number in range(12):
        kind = ("csv", "jsonl", "json")[number % 3]
        text = mutated(chance, TEXT_KINDS[kind](rows))
        yield Case(f"{kind}: other characters", {f"a.{kind}": text.encode()}, reference(kind, text), may_refuse=True)


FAMILIES = (encodings, tables, json_files, parquet, conll, folders, several, mutations)


def cases(seed: int) -> list[Case]:
    """All cases of a seed, each with a table of its own family."""
    chance = random.Random(seed)
    return [case for family in FAMILIES for case in family(chance, table(chance))]
