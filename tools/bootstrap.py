"""Set-up: .venv from the pinned locks, byte-compiled, and Delta's jars. Run by make; does nothing where all is there.

Only the standard library, and no syntax newer than Python 3.6 before the version check has spoken.
"""

import hashlib
import os
import shutil
import subprocess
import sys

LEAST_PYTHON = (3, 11)
LOCKS = ("envs/runtime.txt", "envs/dev.txt")
PINNED = (*LOCKS, "envs/jars.sha256", "tools/bootstrap.py")
VENV = ".venv"
STAMP = os.path.join(VENV, ".ready")


def main():
    if sys.version_info < LEAST_PYTHON:
        found = "{}.{}".format(*sys.version_info[:2])
        fail(
            "Python 3.11 or newer is needed, and {} is Python {}".format(sys.executable, found),
            "install it (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=python3.12 gold",
        )
    check_java()
    key = state()
    if stamped() == key:
        return
    make_venv()
    step("byte-compiling packages", [python(), "-m", "compileall", "-q", "-j", "0", site_packages()], check=False)
    step("Delta's jars", [python(), "-m", "reco_platform.jars"])
    with open(STAMP, "w") as stamp:
        stamp.write(key)
    print("[setup] ready", flush=True)


def fail(what, hint):
    sys.exit("[ERROR] {}\n  -> {}".format(what, hint))


def check_java():
    sys.path.insert(0, "src")
    sys.dont_write_bytecode = True
    from reco_platform.errors import RecoError
    from reco_platform.session import find_java

    try:
        find_java()
    except RecoError as error:
        fail(error.what, error.hint)


def state():
    """What the environment was made from: the pinned files, this Python, and the place (scripts in .venv name it)."""
    digest = hashlib.sha256("{} {}".format(sys.version, os.getcwd()).encode())
    for name in PINNED:
        with open(name, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def stamped():
    try:
        with open(STAMP) as stamp:
            return stamp.read()
    except OSError:
        return None


def make_venv():
    print("[setup] making {} from {} (some minutes, once)".format(VENV, " and ".join(LOCKS)), flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    run = subprocess.run([sys.executable, "-m", "venv", VENV])
    if run.returncode:
        fail("the venv module of {} does not work".format(sys.executable), "Debian, Ubuntu: apt install python3-venv")
    requirements = [part for lock in LOCKS for part in ("-r", lock)]
    install = [python(), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    step("packages", [*install, *requirements])
    with open(os.path.join(site_packages(), "reco_platform.pth"), "w") as link:
        link.write(os.path.abspath("src"))


def python():
    return os.path.join(VENV, "bin", "python")


def site_packages():
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run([python(), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def step(what, command, check=True):
    print("[setup] {}".format(what), flush=True)
    run = subprocess.run(command)
    if check and run.returncode:
        fail("set-up stopped at: {} (the lines above say why)".format(what), "mend that, then run the same again")


if __name__ == "__main__":
    main()
