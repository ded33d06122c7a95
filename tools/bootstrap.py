"""Set-up: .venv from the pinned locks, byte-compiled, and Delta's jars; with `airflow`, .venv-airflow. Run by make;
does nothing where all is there.

Only the standard library, and no syntax newer than Python 3.6 before the version check has spoken.
"""

import hashlib
import os
import shutil
import subprocess
import sys

LEAST_PYTHON = (3, 11)
PROJECT, AIRFLOW = ".venv", ".venv-airflow"
LOCKS = {PROJECT: ("envs/runtime.txt", "envs/dev.txt"), AIRFLOW: ("envs/airflow.txt",)}
PINNED = {PROJECT: (*LOCKS[PROJECT], "envs/jars.sha256", "tools/bootstrap.py"), AIRFLOW: LOCKS[AIRFLOW]}


def main():
    if sys.version_info < LEAST_PYTHON:
        found = "{}.{}".format(*sys.version_info[:2])
        fail(
            "Python 3.11 or newer is needed, and {} is Python {}".format(sys.executable, found),
            "install it (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=python3.12 gold",
        )
    if sys.argv[1:] == ["airflow"]:
        ensure(AIRFLOW)
    else:
        check_java()
        ensure(PROJECT, add_project)


def ensure(venv, complete=lambda: None):
    """A virtual environment as its locks say; `complete` adds what is not a package."""
    key = state(venv)
    if stamped(venv) == key:
        return
    make_venv(venv)
    byte_compile = [python(venv), "-m", "compileall", "-q", "-j", "0", site_packages(venv)]
    step("byte-compiling packages", byte_compile, check=False)
    complete()
    with open(stamp_of(venv), "w") as stamp:
        stamp.write(key)
    print("[setup] ready", flush=True)


def add_project():
    with open(os.path.join(site_packages(PROJECT), "reco_platform.pth"), "w") as link:
        link.write(os.path.abspath("src"))
    step("Delta's jars", [python(PROJECT), "-m", "reco_platform.spark.jars"])


def fail(what, hint):
    sys.exit("[ERROR] {}\n  -> {}".format(what, hint))


def check_java():
    sys.path.insert(0, "src")
    sys.dont_write_bytecode = True
    from reco_platform.core.errors import RecoError
    from reco_platform.spark.java import find_java

    try:
        find_java()
    except RecoError as error:
        fail(error.message, error.hint)


def state(venv):
    """What the environment was made from: the pinned files, this Python, and the place (its scripts name it)."""
    digest = hashlib.sha256("{} {}".format(sys.version, os.getcwd()).encode())
    for name in PINNED[venv]:
        with open(name, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def stamp_of(venv):
    return os.path.join(venv, ".ready")


def stamped(venv):
    try:
        with open(stamp_of(venv)) as stamp:
            return stamp.read()
    except OSError:
        return None


def make_venv(venv):
    print("[setup] making {} from {} (some minutes, once)".format(venv, " and ".join(LOCKS[venv])), flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    run = subprocess.run([sys.executable, "-m", "venv", venv])
    if run.returncode:
        fail("the venv module of {} does not work".format(sys.executable), "Debian, Ubuntu: apt install python3-venv")
    requirements = [part for lock in LOCKS[venv] for part in ("-r", lock)]
    install = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    step("packages", [python(venv), *install, *requirements])


def python(venv):
    return os.path.join(venv, "bin", "python")


def site_packages(venv):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run([python(venv), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def step(what, command, check=True):
    print("[setup] {}".format(what), flush=True)
    run = subprocess.run(command)
    if check and run.returncode:
        fail("set-up stopped at: {} (the lines above say why)".format(what), "mend that, then run the same again")


if __name__ == "__main__":
    main()
