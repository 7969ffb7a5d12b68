"""Puts Pyodide, and the wheels that JupyterLite's Pyodide kernel starts with, into a folder, so that a site needs no CDN.

    python pyodide.py FOLDER

Pyodide comes from npm, the wheels from PyPI, in the versions that the installed kernel asks for. Packages that a notebook imports beyond
them (NumPy, …) still come from Pyodide's CDN.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from jupyterlite_pyodide_kernel.constants import PYODIDE_CDN_URL, PYODIDE_PYTHON_VERSION, PYODIDE_VERSION

CORE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json"]
# What the kernel installs as it starts; Pyodide has all but comm, and the kernel brings its own wheels.
KERNEL = ["micropip", "packaging", "ipython", "jedi"]
COMM = "0.2.3"


def core(folder):
    with tempfile.TemporaryDirectory() as packed:
        pack = [shutil.which("npm"), "pack", f"pyodide@{PYODIDE_VERSION}", "--pack-destination", packed]
        subprocess.run(pack, check=True, capture_output=True)
        (archive,) = Path(packed).iterdir()
        with tarfile.open(archive) as files:
            for name in CORE:
                with files.extractfile(f"package/{name}") as content, open(folder / name, "wb") as out:
                    shutil.copyfileobj(content, out)


def canonical(name):
    return name.lower().replace("_", "-")


def with_dependencies(names, packages):
    found, left = {}, list(names)
    while left:
        name = canonical(left.pop())
        if name not in found:
            found[name] = packages[name]
            left += packages[name]["depends"]
    return found


def wheels(folder):
    lock_file = folder / "pyodide-lock.json"
    lock = json.loads(lock_file.read_text(encoding="utf-8"))
    packages = lock["packages"]
    packages["comm"] = {
        "name": "comm",
        "version": COMM,
        "file_name": f"comm-{COMM}-py3-none-any.whl",
        "install_dir": "site",
        "sha256": "",
        "package_type": "package",
        "imports": ["comm"],
        "depends": [],
        "unvendored_tests": False,
    }
    here = with_dependencies([*KERNEL, "comm"], {canonical(name): package for name, package in packages.items()})
    only = ["--no-deps", "--only-binary=:all:", f"--python-version={PYODIDE_PYTHON_VERSION}", "--dest", str(folder)]
    pinned = [f"{package['name']}=={package['version']}" for package in here.values()]
    subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *only, *pinned], check=True)
    for package in packages.values():
        if canonical(package["name"]) not in here:
            package["file_name"] = f"{PYODIDE_CDN_URL}/{package['file_name']}"
            continue
        # Pyodide packs its wheels anew: same contents, other bytes.
        package["sha256"] = hashlib.sha256((folder / package["file_name"]).read_bytes()).hexdigest()
    lock_file.write_text(json.dumps(lock), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python pyodide.py FOLDER")
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    core(target)
    wheels(target)
