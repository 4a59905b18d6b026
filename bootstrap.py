"""Sets this checkout up in its own `.venv` and runs one job there.

    python3 bootstrap.py demo [arguments of `keras-metric demo`]
    python3 bootstrap.py test [arguments of pytest]
    python3 bootstrap.py setup

Needs Python 3.11 to 3.13 and nothing else. A second run finds everything in place and starts at once.
"""

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
OLDEST, NEWEST = (3, 11), (3, 13)
BACKENDS = ("tensorflow", "jax", "torch")
NO_TESTS = 5  # what pytest returns if it finds none
INSTALL = {
    "demo": ["-e", ".[evaluation,plots]"],
    "setup": ["-e", ".[all]"],
    "test": ["-e", ".[test]", "-r", "requirements-test.txt"],
}


def say(text):
    """One plain line of progress."""
    print("[set-up] " + text, flush=True)


def stop(text):
    """Ends with one plain line and exit code 1."""
    print("[set-up] " + text, file=sys.stderr, flush=True)
    raise SystemExit(1)


def venv_python():
    """The interpreter of the environment."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_supported(version):
    """Whether a (major, minor) is one that keras_metric runs on."""
    return OLDEST <= tuple(version[:2]) <= NEWEST


def change_python():
    """Goes on under a supported Python, if this one is not and another is on the path."""
    if is_supported(sys.version_info):
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other and subprocess.call([other, "-c", ""]) == 0:
            say(f"Python {platform.python_version()} is not supported; going on with {other}.")
            raise SystemExit(subprocess.call([other, str(Path(__file__).resolve())] + sys.argv[1:]))
    stop(
        f"Python 3.11, 3.12 or 3.13 is needed; this is Python {platform.python_version()}. "
        "Install one of them and run it on this file."
    )


def works(python):
    """Whether an interpreter starts, is of a supported version and has pip."""
    check = f"import sys, pip; sys.exit(not ({OLDEST} <= sys.version_info[:2] <= {NEWEST}))"
    try:
        return subprocess.call([str(python), "-c", check], stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def make_environment():
    """Makes `.venv`, by the means that this Python has."""
    if works(venv_python()):
        return
    if VENV.exists() and not (VENV / "pyvenv.cfg").exists():
        stop(f"{VENV} exists and is no Python environment. Move it away and run this again.")
    say(f"Making {VENV} with Python {platform.python_version()} ...")
    attempts = (
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        [sys.executable, "-m", "virtualenv", "--clear", str(VENV)],
    )
    for command in attempts:
        quiet = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if quiet.returncode == 0 and works(venv_python()):
            return
    bare = [sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]
    give_pip = [sys.executable, "-m", "pip", "--python", str(venv_python()), "install", "pip"]
    for command in (bare, give_pip):
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            break
    if not works(venv_python()):
        stop(
            "This Python can make no environment with pip: its modules venv or ensurepip are missing. "
            "Install them (Debian, Ubuntu: apt install python3-venv) and run this again."
        )


def install(job):
    """Installs what a job needs, unless the same was installed before."""
    wanted = INSTALL[job]
    seal = hashlib.sha256(repr((str(ROOT), wanted)).encode())
    for name in (
        "setup.cfg",
        "pyproject.toml",
        "requirements-test.txt",
        "keras_metric/__init__.py",
    ):
        seal.update((ROOT / name).read_bytes())
    stamp = VENV / f"keras-metric-{job}.stamp"
    if stamp.exists() and stamp.read_text() == seal.hexdigest():
        return
    say(f"Installing what `{job}` needs into {VENV.name} (some minutes the first time) ...")
    began = time.time()
    command = [str(venv_python()), "-m", "pip", "install", "-qq"]
    command += ["--disable-pip-version-check", "--prefer-binary"]
    pip = subprocess.Popen(command + wanted, cwd=ROOT)
    while pip.poll() is None:
        try:
            pip.wait(timeout=30)
        except subprocess.TimeoutExpired:
            say(f"... still installing after {time.time() - began:.0f} s")
    if pip.returncode:
        stop(
            "pip could not install the packages; its own message stands above. Is there a network?"
        )
    stamp.write_text(seal.hexdigest())
    say(f"Installed in {time.time() - began:.0f} s.")


def run_demo(arguments):
    """Runs `keras-metric demo` in the root of the checkout."""
    settings = dict(os.environ)
    settings.setdefault("KERAS_BACKEND", "tensorflow")
    command = [str(venv_python()), "-m", "keras_metric_cli", "demo"]
    return subprocess.call(command + arguments, cwd=ROOT, env=settings)


def run_tests(arguments):
    """Runs the suite on every Keras backend; all of them run even if one fails."""
    codes = []
    for backend in BACKENDS:
        say(f"Tests with KERAS_BACKEND={backend} ...")
        began = time.time()
        settings = dict(os.environ, KERAS_BACKEND=backend)
        settings.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        command = [str(venv_python()), "-m", "pytest", "-q"]
        if not any(word.startswith(("-n", "--numprocesses")) for word in arguments):
            command += ["-n", str(min(os.cpu_count() or 1, 4))]
        code = subprocess.call(command + arguments, cwd=ROOT, env=settings)
        if code == NO_TESTS and arguments and backend != "tensorflow":
            code = 0  # what was asked for is a part that needs TensorFlow
        codes.append(code)
        say(f"{backend}: exit code {code} after {time.time() - began:.0f} s.")
    return int(any(codes))


def main(arguments):
    """Sets up, runs the job that is named first, and returns its exit code."""
    if not arguments or arguments[0] not in INSTALL:
        print(__doc__.strip())
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    change_python()
    job, rest = arguments[0], arguments[1:]
    make_environment()
    install(job)
    if job == "setup":
        say(f"Ready: {venv_python()}")
        return 0
    return run_demo(rest) if job == "demo" else run_tests(rest)


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
