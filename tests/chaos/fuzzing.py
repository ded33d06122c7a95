"""A seeded stream of hostile CSV files, each cleaned by the product and compared with an oracle in pure Python."""

from __future__ import annotations

import gzip
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from reco_platform.cleaning import quality
from reco_platform.core.errors import DataError
from reco_platform.datasets import csv_reader
from reco_platform.fingerprint.arrow import arrow_sums
from support import oracle
from support.cleaned import CLEANINGS, natively, rows_of

Report = Callable[[str], None]
Oracle = Mapping[str, Callable[[Path], oracle.Found]]

MOST_ROWS = 60
MAX_REJECT_SHARE = 0.05
SCRATCH = Path("/dev/shm")  # noqa: S108  # a file system in memory, where there is one
REPORT_EVERY = 1000


@dataclass(frozen=True)
class Mismatch:
    """A file for which product and oracle differ: `FuzzedFile.generate(seed, number)` generates it again."""

    seed: int
    number: int
    path: Path
    description: str


@dataclass(frozen=True)
class CampaignResult:
    """Counts of a campaign.

    Attributes:
        files: all files.
        rows: in all files that were not refused.
        rejected: rejected rows.
        refused: files that product and oracle both refuse.
        stopped: files with so many rejected rows that nothing may be published.
        mismatches: files for which they differ.
    """

    files: int
    rows: int
    rejected: int
    refused: int
    stopped: int
    mismatches: tuple[Mismatch, ...]


def campaign(
    seed: int, numbers: range, report: Report, *, tables: Oracle = oracle.TABLES, keep: Path | None = None
) -> CampaignResult:
    """Cleans hostile files and compares every count, every clean row and every rejected row with the oracle.

    Args:
        seed: of the whole stream; file number n of a seed is always the same.
        numbers: of the files.
        report: gets a line every REPORT_EVERY files, and one for each mismatch.
        tables: the oracle's function for each table.
        keep: folder for the files that differ; by default a new temporary folder.
    """
    total: Counter[str] = Counter()
    mismatches = []
    with tempfile.TemporaryDirectory(dir=SCRATCH if SCRATCH.is_dir() else None) as scratch:
        for number in numbers:
            file = FuzzedFile.generate(seed, number)
            folder = Path(scratch) / str(number)
            comparison = compare(file, folder, tables[file.table])
            total.update(comparison.counts)
            if comparison.difference:
                keep = keep or Path(tempfile.mkdtemp(prefix="fuzzed-"))
                path = keep / f"{file.table}-{seed}-{number}.csv"
                path.write_bytes(file.content)
                mismatches.append(Mismatch(seed, number, path, comparison.difference))
                report(f"{path}: {comparison.difference}")
            shutil.rmtree(folder)
            if (number + 1) % REPORT_EVERY == 0:
                report(f"file {number + 1:,} of {numbers.stop:,}, {total['rows']:,} rows, {len(mismatches)} mismatches")
    return CampaignResult(
        len(numbers), total["rows"], total["rejected"], total["refused"], total["stopped"], tuple(mismatches)
    )


# --- the comparison


@dataclass(frozen=True)
class Comparison:
    """What one file adds to the totals, and how the product differs from the oracle; empty where it does not."""

    counts: Mapping[str, int]
    difference: str = ""


def compare(file: FuzzedFile, folder: Path, oracle_table: Callable[[Path], oracle.Found]) -> Comparison:
    folder.mkdir()
    source = folder / f"{file.table}.csv"
    source.write_bytes(file.content)
    try:
        expected = oracle_table(source)
    except oracle.Refused as refused:
        expected, why = None, str(refused)
    try:
        with patch.object(csv_reader, "BLOCK_BYTES", file.block_bytes):
            outcome = natively(source, file.table, folder / "out", threads=1)
    except DataError as error:
        difference = "" if expected is None else f"only the product refuses the file: {error.message}"
        return Comparison({"refused": 1}, difference)
    except Exception as error:  # any failure should be a DataError
        return Comparison({}, f"the product fails with {type(error).__name__}: {error}")
    if expected is None:
        return Comparison({}, f"only the oracle refuses the file: {why}")
    contract, cleaned, table = outcome.cleaning.contract, outcome.cleaned, outcome.table()
    problems = quality.quality_report(cleaned, contract, 0, [], MAX_REJECT_SHARE)["problems"]
    rejected = [(*list(row.values())[:-1], tuple(sorted(row["reasons"]))) for row in outcome.rejected()]
    pairs = {
        "rows in": (cleaned.rows_in, expected.rows_in),
        "rows out": (cleaned.rows_out, len(expected.good)),
        "rejected": (cleaned.rejected, len(expected.rejected)),
        "by reason": (cleaned.rejected_by_reason, expected.reasons),
        "duplicates": (cleaned.duplicates, {kind: expected.duplicates[kind] for kind in quality.DUPLICATES}),
        "kept": (Counter(rows_of(table)), Counter(expected.good)),
        "quarantine": (Counter(rejected), Counter(quarantined(expected))),
        "sums": (arrow_sums(table, contract.names), cleaned.sums),
        "stops": (bool(problems), expected.stops(MAX_REJECT_SHARE)),
    }
    differences = [
        f"{name}: product {ours}, oracle {theirs}" for name, (ours, theirs) in pairs.items() if ours != theirs
    ]
    counts = {"rows": cleaned.rows_in, "rejected": cleaned.rejected, "stopped": int(bool(problems))}
    return Comparison(counts, "; ".join(differences))


def quarantined(expected: oracle.Found) -> list[tuple[object, ...]]:
    pairs = zip(expected.quarantine, expected.rejected, strict=True)
    return [(*texts, tuple(sorted(reasons))) for texts, reasons in pairs]


# --- the files

IDS = ["1", "2", "3", "10", "0", " 4", "+7", "007", "2147483647"]
BAD_IDS = [
    "", "  ", "-1", "-2147483648", "2147483648", "-2147483649", "4294967297", "9223372036854775808", "1.0", "1e3",
    "1,5", "1_000", "0x10", "NaN", "-0", "+", "-", "--1", "+-1", "٣", "\u00a01", "\uff11", "\t1", "1\n", "1\0", "\0",
    "null", "9" * 400, "0" * 30 + "5", '"', "userId", "$(id)", "=1+1",
]  # fmt: skip
STARS = ["4.0", "3.5", "5", "0.5", ".5", "5.", "1e0", "+2.5", " 3 ", "4.50", "3.1415927", "45e-1"]
BAD_STARS = [
    "", " ", "0", "-0", "-0.0", "5.0000001", "5.00000001", "0.49999999", "0.4999999999999", "5.5", "NaN", "nan",
    "Infinity", "-inf", "1e3", "1e400", "1e-400", "1e99999999999999999999", "1e-99999999999999999999", "1.2.3", "3,5",
    "1,000.0", "0x1p1", "3.5f", "3.5D", "four", "4.0\n", "\t4.0", "4.0\0", "4. 0", ".", "+", "e5", "1e", "٤", "½",
    "4" * 400, "0." + "0" * 400 + "1", "4." + "0" * 400, "0000000000000000000004.0",
    "2.5e0000000000000000000000", "null",
]  # fmt: skip
MOMENTS = ["1000000000", "1000000001", "1000000000 ", "0", "1583020800", "253402300799", "+5", "1582934400"]
BAD_MOMENTS = [
    "", " ", "-1", "1000000000000", "1583020800123", "253402300800", "2147483648", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "99999999999999999999", "1e9",
    "1000000000.0", "2001-09-09", "2001-09-09T01:46:40Z", "1,000,000,000", "soon", "-0", "\t1", "1\r", "timestamp",
]  # fmt: skip
TITLES = [
    "Toy Story (1995)", "Heat (1995)", "American President, The (1995)", 'A "quoted" title (2001)', "Amélie (2001)",
    "No year", "Two (1999) (2001)", "Space behind (1990)  ", "Two\nlines (1990)", "Pipe | inside (2000)", "🎬 наивно",
    "CR\r\nLF (1980)", "\r\n" * 40, "O'Hara", "Year (0000)", "(1984) first", "Year (٢٠٠١)", "trailing newline (1995)\n",
    "a\0b (1995)", 'She said "no" (1999)', '"Grand" Stage (1998)', "Back\\slash",
    "3,4,5,6 (1990)\n1,2,3,4\nx", "1\n2,3\n4",
]  # fmt: skip
BAD_TEXT = ["", "  ", "\t", "\n", "\0", '"', '""', '"a', 'a"', "null", "\\", '\\"', "\u2028", "\ufeff", "x" * 3000]
GENRES = [
    "Drama", "Action|Crime", "(no genres listed)", "", "Drama||War", "|", " ", "Sci-Fi|(no genres listed)",
    "Drama|", "| Drama", "Drama | drama", "Drama|Drama", "Sci\u00a0Fi|Sci  Fi", "\tWar\n|War", "\u2003",
]  # fmt: skip
TAGS = [
    "funny",
    "Funny",
    " padded ",
    "long, but worth it",
    'so-called "classic"',
    "two\nlines",
    "null",
    "наивно",
    "a\0b",
]

VALUES: dict[str, tuple[list[str], list[str]]] = {
    "userId": (IDS, BAD_IDS),
    "movieId": (IDS, BAD_IDS),
    "rating": (STARS, BAD_STARS),
    "timestamp": (MOMENTS, BAD_MOMENTS),
    "title": (TITLES, BAD_TEXT),
    "genres": (GENRES, BAD_TEXT),
    "tag": (TAGS, BAD_TEXT),
}
OTHER_COLUMNS = ["note", "source", "", "note", "a,b", "ünï", "UserId", "rating ", "_line", "_row", "line"]
JUNK = [b"", b"   ", b"\0\0\0\0", b"#### disk error ####", b",", b",,,", b",,,,,,,,", b"\xff\xfe", b"\t", b"'", b"\\"]
INSERTED_BYTES = [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xc3", b'""', b"\xef\xbb\xbf"]


@dataclass(frozen=True)
class FuzzedFile:
    """A file of one table, and the size of the blocks in which the product reads it."""

    table: str
    content: bytes
    block_bytes: int

    @classmethod
    def generate(cls, seed: int, number: int) -> FuzzedFile:
        """File `number` of a seed."""
        chance = random.Random(f"{seed}:{number}")
        table = chance.choice(tuple(CLEANINGS))
        content = Writer(chance, CLEANINGS[table].source_columns).file()
        use_default = chance.random() < 0.5
        block_bytes = csv_reader.BLOCK_BYTES if use_default else 4 * longest_record(content) + chance.randrange(1, 200)
        return cls(table, content, block_bytes)


def longest_record(content: bytes) -> int:
    """Bytes of the longest record: a block must hold it, with up to four bytes for each."""
    try:
        lines = [line for _, line in oracle.records(content.decode("utf-8", "surrogateescape"))]
    except oracle.Refused:
        return len(content)
    return max((len(line.encode("utf-8", "surrogateescape")) for line in lines), default=0)


class Writer:
    """Writes one file; its share of bad values, its quoting and its line ends are chosen once per file."""

    def __init__(self, chance: random.Random, required: Sequence[str]) -> None:
        self.chance = chance
        self.required = required
        self.bad_share = chance.choice([0.0, 0.01, 0.05, 0.3])
        self.quoting = chance.choice([0.0, 0.0, 0.1, 1.0])
        self.careless = chance.choice([0.0, 0.0, 0.2])
        self.escape = chance.choice(['""', '""', '""', '\\"', '"'])
        self.line_ends = chance.choice([[b"\n"], [b"\n"], [b"\r\n"], [b"\r"], [b"\n", b"\r\n", b"\r", b"\n\n"]])

    def file(self) -> bytes:
        names = self.names()
        rows = [
            self.line(names)
            for _ in range(self.chance.choice([self.chance.randint(0, 3), *[self.chance.randint(3, MOST_ROWS)] * 3]))
        ]
        content = b"".join(line + self.chance.choice(self.line_ends) for line in [self.header(names), *rows])
        if self.chance_of(0.15):
            content = content.rstrip(b"\r\n")
        if self.chance_of(0.15):
            content = b"\xef\xbb\xbf" + content
        return self.corrupt(content) if self.chance_of(0.1) else content

    def chance_of(self, share: float) -> bool:
        return self.chance.random() < share

    def names(self) -> list[str]:
        names = list(self.required)
        if self.chance_of(0.3):
            names += self.chance.sample(OTHER_COLUMNS, self.chance.randint(1, 3))
        if self.chance_of(0.4):
            self.chance.shuffle(names)
        if self.chance_of(0.03):
            names[self.chance.randrange(len(names))] = self.chance.choice(
                ["", "user_id", *self.required, *OTHER_COLUMNS]
            )
        return names

    def header(self, names: Sequence[str]) -> bytes:
        if self.chance_of(0.02):
            return self.chance.choice([b"", b" ", b"\xff", b'"', b",".join(b"\xe9" for _ in names)])
        return b",".join(self.field(name, careless=0) for name in names)

    def line(self, names: Sequence[str]) -> bytes:
        if self.chance_of(self.bad_share / 4):
            return self.chance.choice([*JUNK, ",".join(names).encode()])
        fields = [self.field(self.value(name), self.careless) for name in names]
        if self.chance_of(self.bad_share / 2):
            fields = self.chance.choice([fields[:-1], fields[1:], fields[:1], [*fields, b""], [*fields, b"x"]])
        if self.chance_of(self.bad_share / 4):
            at = self.chance.randrange(len(fields))
            fields[at] = self.chance.choice([b'"' + fields[at], fields[at] + b'"', b'"x" ' + fields[at]])
        line = b",".join(fields)
        return self.change_bytes(line) if self.chance_of(self.bad_share / 8) else line

    def value(self, name: str) -> str:
        good, bad = VALUES.get(name, (TAGS, BAD_TEXT))
        return self.chance.choice(bad if self.chance_of(self.bad_share / 2) else good)

    def field(self, value: str, careless: float) -> bytes:
        """A value as CSV; a careless writer does not quote what needs it, another one escapes as Spark does."""
        needs = any(letter in value for letter in '",\r\n') and not self.chance_of(careless)
        text = '"' + value.replace('"', self.escape) + '"' if needs or self.chance_of(self.quoting) else value
        encoding = "utf-8" if not self.chance_of(self.bad_share / 20) else "latin-1"
        return text.encode(encoding, "replace")

    def change_bytes(self, content: bytes) -> bytes:
        """Inserts, removes or changes a byte or two."""
        at = self.chance.randrange(len(content) + 1)
        return content[:at] + self.chance.choice([b"", *INSERTED_BYTES]) + content[at + self.chance.randrange(2) :]

    def corrupt(self, content: bytes) -> bytes:
        """Corrupts a whole file: truncated, compressed, in another encoding, repeated, or a few bytes changed."""
        match self.chance.randrange(8):
            case 0:
                return content[: self.chance.randrange(len(content) + 1)]
            case 1:
                return gzip.compress(content, mtime=0)
            case 2:
                return content.decode("utf-8", "replace").encode(self.chance.choice(["utf-16", "latin-1"]), "replace")
            case 3:
                return content * 2
            case _:
                for _ in range(self.chance.randint(1, 5)):
                    content = self.change_bytes(content)
                return content
