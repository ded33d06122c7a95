"""Output that cannot be shown ends nothing: other encodings, closed pipes, closed streams, full disks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import sys
from reco_platform.core import terminal
terminal.prepare()
print("M\\u00e1laga \\u201cKimi\\u201d \\u65e5\\u672c \\U0001f3ac \\udc80", flush=True)
print("on stderr: \\u65e5\\u672c", file=sys.stderr, flush=True)
for number in range(int(sys.argv[1])):
    print("line", number)
open(sys.argv[2], "w").write("done")
sys.exit(3)
"""


def run(command: str, folder: Path, lines: int = 3, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs PROGRAM in a shell line, in which `$program` is its command; the exit code is the program's own."""
    script = folder / "program.py"
    script.write_text(PROGRAM, encoding="utf-8")
    words = f"{sys.executable} {script} {lines} {folder}/done"
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT / "src"), "program": words, **environ}
    shell = ["bash", "-c", f"set -o pipefail; {command}"]
    return subprocess.run(shell, env=env, cwd=folder, capture_output=True, text=True, errors="replace", check=False)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "ascii:strict", "utf-8", "cp1252", "shift-jis"])
def test_letters_that_the_encoding_lacks_are_replaced(tmp_path: Path, encoding: str) -> None:
    ran = run("$program", tmp_path, PYTHONIOENCODING=encoding)
    assert (ran.returncode, "Traceback" in ran.stderr) == (3, False), ran.stderr
    assert "laga" in ran.stdout and "line 2" in ran.stdout and "on stderr: " in ran.stderr
    assert (tmp_path / "done").read_text() == "done"


@pytest.mark.parametrize(
    "line",
    [
        "$program | head -1",
        "$program | true",
        "$program 2>&1 | head -1",
        "$program >&-",
        "$program 2>&-",
        "$program >&- 2>&- <&-",
        "$program > /dev/full",
        "$program 2> /dev/full > /dev/full",
    ],
)
def test_a_reader_that_is_gone_a_closed_stream_and_a_full_disk_end_nothing(tmp_path: Path, line: str) -> None:
    """Without the protection these end with exit code 1 or 120, and a stack trace; or write into another file."""
    ran = run(line, tmp_path, lines=100_000)
    assert (ran.returncode, "Traceback" in ran.stderr, "Exception ignored" in ran.stderr) == (3, False, False)
    assert (tmp_path / "done").read_text() == "done"


@pytest.mark.parametrize("words", ["--help", "status --help", "completion bash", "no-such-verb"])
@pytest.mark.parametrize("line", ["{} | true", "{} >&-", "PYTHONIOENCODING=ascii {}", "{} > /dev/full"])
def test_the_command_line_survives_its_terminal(tmp_path: Path, words: str, line: str) -> None:
    command = line.format(f"{sys.executable} -m reco_platform.cli.main {words}")
    ran = run(command, tmp_path)
    assert (ran.returncode, "Traceback" in ran.stderr) == (2 if words == "no-such-verb" else 0, False), ran.stderr
