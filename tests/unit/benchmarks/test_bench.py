"""The benchmark tools: memory and time of a process tree, ratios and targets, exponents, factors of equal norms."""

import subprocess
import sys

import common
import exchange
import growth
import numpy as np
import pytest
import reporting

HOLD = "memory = bytearray(b'x') * {size}; import time; time.sleep({seconds})"


def child(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def log(request):
    """A log below the project, where the harness keeps them."""
    path = common.RESULTS / "_scratch" / "_tests" / f"{request.node.name}.log"
    yield path
    path.unlink(missing_ok=True)


@pytest.mark.slow
def test_peak_memory_covers_the_whole_tree(log):
    size = 150 << 20
    grandchild = HOLD.format(size=size, seconds=2)
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    done = common.run(child(parent), log=log, timeout=60)
    assert done.failure is None
    assert size >> 20 <= done.peak_memory_mb < 2 * (size >> 20)


def test_a_run_that_ends_badly_is_reported_with_its_output(log):
    done = common.run(child("print('what went wrong'); raise SystemExit(3)"), log=log, timeout=60)
    assert done.failure == "exit code 3"
    assert "what went wrong" in log.read_text(encoding="utf-8")


def test_a_run_out_of_time_is_ended_with_its_children(log):
    code = "import subprocess, sys, time; subprocess.Popen(['sleep', '61']); time.sleep(60)"
    done = common.run(child(code), log=log, timeout=0.5)
    assert done.failure == "ran out of time"
    assert subprocess.run(["pgrep", "-f", "^sleep 61$"], capture_output=True, check=False).stdout == b""


def test_linear_growth_has_the_exponent_one():
    assert growth.slope([(1e6, 3.0), (5e6, 15.0), (25e6, 75.0)]) == pytest.approx(1)
    assert growth.slope([(10, 1), (100, 100)]) == pytest.approx(2)
    assert growth.slope([(10, 1)]) is None


def outcome(seconds, failure=None, **stages):
    return {
        "seconds": seconds, "cpu_seconds": seconds, "peak_memory_mb": 512, "failure": failure, "log": "x.log",
        "stages": stages,
    }  # fmt: skip


def test_ratios_are_of_medians_and_judged_against_their_targets():
    steps = {"silver_ratings": 2.0, "silver_ratings job": 4.0, "interactions": 1.0, "train_als": 1.0, "recommend": 1.0}
    ours = [outcome(seconds, **steps) for seconds in (9, 10, 100)]
    spark = [outcome(s, silver=5.0, split=1.0, train=20.0, recommend=14.0) for s in (70, 80, 90)]
    rows = reporting.comparisons({"ours": ours, "spark": spark}).splitlines()
    whole = next(row for row in rows if "whole" in row)
    assert whole == "| whole pipeline | spark | 10.0 | 80.0 | 8.00 | at least 6 | met |"
    assert next(row for row in rows if "training" in row).endswith("| 20.0 | at least 22 | missed |")
    assert not any("lenskit" in row for row in rows)


def test_a_failed_run_counts_for_nothing_and_is_named():
    runs = {"spark": [outcome(1.0, failure="ran out of time"), outcome(80.0)]}
    assert reporting.median_seconds(runs, ("spark", reporting.whole)) == 80.0
    assert "- spark, run 1: ran out of time (x.log)" in reporting.failures(runs)
    assert "1 of 2" in reporting.contenders(runs)


def test_factors_of_equal_norms_leave_a_norm_bound_nothing():
    factors = exchange.equal_norms(np.random.default_rng(1).standard_normal((100, 8), np.float32))
    assert np.allclose(np.linalg.norm(factors, axis=1), 1)
