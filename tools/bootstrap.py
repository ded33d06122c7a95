"""Set-up: .venv from the pinned locks, Delta's jars and compiled kernels; with `airflow`, .venv-airflow. Run by make;
does nothing where everything is in place.

Packages are installed by uv, which is pinned and checked like every other package, and by pip where uv cannot be used.
Only the standard library, and no syntax newer than Python 3.6 before the version check.
"""

import ast
import hashlib
import os
import shlex
import shutil
import subprocess
import sys

LEAST_PYTHON = (3, 11)
PROJECT, AIRFLOW = ".venv", ".venv-airflow"
LOCKS = {PROJECT: ("envs/runtime.txt", "envs/dev.txt"), AIRFLOW: ("envs/airflow.txt",)}
PINNED = {PROJECT: (*LOCKS[PROJECT], "envs/jars.sha256", "tools/bootstrap.py"), AIRFLOW: LOCKS[AIRFLOW]}
UV_LOCK, UV_FOLDER = "envs/setup.txt", ".cache/uv"
PINNED_ONLY = ["--require-hashes", "--no-deps"]
PIP_INSTALL = ["-m", "pip", "install", "-q", "--disable-pip-version-check", *PINNED_ONLY]

# uv does not read pip's configuration. Passed as environment variables, since an address may hold a password and
# command lines can be seen by every user of the machine.
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


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
        ensure_kernels()


def ensure(venv, complete=lambda: None):
    """Makes a virtual environment from its locks unless it is up to date; `complete` adds what is not a package."""
    key = state(venv)
    stamp = os.path.join(venv, ".ready")
    if read(stamp) == key:
        return
    make_venv(venv)
    complete()
    write(stamp, key)
    print("[setup] ready", flush=True)


def add_project():
    write(os.path.join(site_packages(PROJECT), "reco_platform.pth"), os.path.abspath("src"))
    write_command()
    step("Delta's jars", [python(PROJECT), "-m", "reco_platform.spark.jars"])


def write_command():
    """The command `reco`, as pip writes it: the shell finds Python, whose path may be long or contain spaces."""
    lines = [
        "#!/bin/sh",
        "'''exec' {} \"$0\" \"$@\"".format(shlex.quote(os.path.abspath(python(PROJECT)))),
        "' '''",
        "import sys",
        "from reco_platform.cli.main import main",
        "sys.exit(main())",
    ]
    command = os.path.join(PROJECT, "bin", "reco")
    write(command, "\n".join(lines) + "\n")
    os.chmod(command, 0o755)  # noqa: S103  # a program


def ensure_kernels():
    """Compiles the numba kernels unless that was done for these sources. Where it fails, the first run does it."""
    key, stamp = kernel_sources(), os.path.join(PROJECT, ".kernels")
    if read(stamp) != key:
        compile_kernels = [python(PROJECT), "-m", "reco_platform.maintenance.compile_kernels"]
        if step("compiled kernels (half a minute, once)", compile_kernels, check=False) == 0:
            write(stamp, key)


def kernel_sources():
    """What numba compares to decide whether compiled code is out of date: time and size of each source file.

    The environment is part of it as well: another numba, or another folder, compiles anew.
    """
    digest = hashlib.sha256(state(PROJECT).encode())
    for folder, _, names in sorted(os.walk("src")):
        for name in sorted(names):
            path = os.path.join(folder, name)
            if name.endswith(".py") and b"njit" in read_bytes(path):
                found = os.stat(path)
                digest.update("{} {} {}\n".format(path, found.st_mtime_ns, found.st_size).encode())
    return digest.hexdigest()


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
    """What the environment is made from: the pinned files, this Python, and the folder (its scripts name it)."""
    digest = hashlib.sha256("{} {}".format(sys.version, os.getcwd()).encode())
    for name in PINNED[venv]:
        digest.update(read_bytes(name))
    return digest.hexdigest()


def make_venv(venv):
    print("[setup] making {} from {} (a minute or two, once)".format(venv, " and ".join(LOCKS[venv])), flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    run = subprocess.run([sys.executable, "-m", "venv", venv])
    if run.returncode:
        fail("the venv module of {} does not work".format(sys.executable), "Debian, Ubuntu: apt install python3-venv")
    uv = ensure_uv(venv)
    if not uv or step("packages", uv_install(uv, venv), check=False, env=uv_environment(venv)):
        step("packages, by pip", pip_install(venv))
    byte_compile = [python(venv), "-m", "compileall", "-q", "-j", "0", "-x", "/tests?/", site_packages(venv)]
    step("byte-compiled packages", byte_compile, check=False)


def requirements(venv):
    return [part for lock in LOCKS[venv] for part in ("-r", lock)]


def pip_install(venv):
    return [
        python(venv),
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        *PINNED_ONLY,
        *requirements(venv),
    ]


def uv_install(uv, venv):
    return [uv, "pip", "install", "-q", "--python", python(venv), *PINNED_ONLY, *requirements(venv)]


def ensure_uv(venv):
    """The path of the pinned uv, which the pip of a new environment installs once; None where that fails."""
    folder = os.path.join(UV_FOLDER, hashlib.sha256(read_bytes(UV_LOCK)).hexdigest()[:16])
    uv = os.path.join(folder, "bin", "uv")
    if not os.path.exists(uv):
        shutil.rmtree(UV_FOLDER, ignore_errors=True)
        if step("uv", [python(venv), *PIP_INSTALL, "--target", folder, "-r", UV_LOCK], check=False):
            shutil.rmtree(UV_FOLDER, ignore_errors=True)
            return None
    return uv


def uv_environment(venv):
    """This environment with pip's configuration in uv's words; what the user says to uv itself has precedence."""
    said = subprocess.run([python(venv), "-m", "pip", "config", "list"], stdout=subprocess.PIPE, text=True).stdout
    return {**uv_variables(said), **os.environ}


def uv_variables(pip_config):
    """Environment variables of uv that say what `pip config list` says."""
    found = {}
    for line in pip_config.splitlines():  # from files first, then for `pip install` alone, then from the environment
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        variable = UV_VARIABLES.get(name)
        if variable and section in ("global", "install", ":env:"):
            words = str(ast.literal_eval(value)).split()
            found[variable] = ("," if variable == "UV_FIND_LINKS" else " ").join(words)
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does; each file is compared with its pinned sha256
    return found


def python(venv):
    return os.path.join(venv, "bin", "python")


def site_packages(venv):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return subprocess.run([python(venv), "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def step(what, command, check=True, env=None):
    """Runs a command and gives its exit code; with `check`, a failure ends set-up."""
    print("[setup] {}".format(what), flush=True)
    code = subprocess.run(command, env=env).returncode
    if check and code:
        fail("set-up stopped at: {} (the lines above say why)".format(what), "correct that, then run the same again")
    return code


def read(path):
    try:
        return read_bytes(path).decode()
    except OSError:
        return None


def read_bytes(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


if __name__ == "__main__":
    main()
