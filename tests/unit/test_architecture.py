"""The structure of the package beyond what import-linter checks: no circles of modules, no long chains of imports."""

from __future__ import annotations

import subprocess
import sys

import grimp
import pytest

MAX_DEPTH = 10


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """The modules that each module imports when it is imported."""
    graph = grimp.build_graph("reco_platform", exclude_type_checking_imports=True, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def longest_chain(
    module: str, imports: dict[str, set[str]], known: dict[str, list[str]], above: list[str]
) -> list[str]:
    """The longest chain of imports that begins at a module; a circle fails the test."""
    assert module not in above, f"circle of imports: {' -> '.join([*above[above.index(module) :], module])}"
    if module not in known:
        chains = [longest_chain(one, imports, known, [*above, module]) for one in sorted(imports[module])]
        known[module] = [module, *max(chains, key=len, default=[])]
    return known[module]


def test_there_is_no_circle_and_no_chain_of_imports_is_longer_than_ten(imports: dict[str, set[str]]) -> None:
    known: dict[str, list[str]] = {}
    chain = max((longest_chain(module, imports, known, []) for module in sorted(imports)), key=len)
    assert len(imports) > 100
    assert len(chain) - 1 <= MAX_DEPTH, " -> ".join(chain)


def test_a_run_starts_without_compiled_code_pandas_and_pyspark() -> None:
    """They take a second to import, which a run with nothing to do must not cost."""
    program = (
        "import sys, reco_platform.pipeline.workflow, reco_platform.pipeline.invocation\n"
        "print(sorted({'numba', 'pandas', 'pyspark', 'mlflow', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
