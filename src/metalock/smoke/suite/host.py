"""Print what this machine and this interpreter are, as JSON; nothing but `base` names a folder or a user."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from typing import Dict, List

ORIGINS = {
    ".pyenv": "pyenv",
    "hostedtoolcache": "GitHub Actions",
    "Cellar": "Homebrew",
    "homebrew": "Homebrew",
    "/usr/local/opt/": "Homebrew",
    "Python.framework": "python.org",
    "uv/python": "uv",
    "/usr": "the system",
}


def sysctl(name: str) -> str:
    command = ["/usr/sbin/sysctl", "-n", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.decode("utf-8", "replace").strip()


@lru_cache(maxsize=None)
def is_virtual_mac() -> bool:
    """Return whether this is a virtual Mac, whose GPU cannot compute (actions/runner-images#9918)."""
    return sys.platform == "darwin" and sysctl("kern.hv_vmm_present") == "1"


def cpu() -> str:
    if sys.platform == "darwin":
        return sysctl("machdep.cpu.brand_string")
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def system() -> str:
    if sys.platform == "darwin":
        return f"macOS {platform.mac_ver()[0]}"
    release = Path("/etc/os-release")
    lines = release.read_text(encoding="utf-8").splitlines() if release.is_file() else []
    names = [line.partition("=")[2].strip('"') for line in lines if line.startswith("PRETTY_NAME=")]
    return names[0] if names else "Linux"


def origin() -> str:
    if Path(sys.prefix, "conda-meta").is_dir():
        return "conda"
    base = sys.base_prefix
    return next((name for part, name in ORIGINS.items() if part in base), "other")


INSTRUCTIONS = {
    "avx": "hw.optional.avx1_0",
    "avx2": "hw.optional.avx2_0",
    "fma": "hw.optional.fma",
    "avx512f": "hw.optional.avx512f",
    "avx512_bf16": "",
    "amx_bf16": "",
}
"""Instruction sets that the kernels of TensorFlow and oneDNN use, by Linux's name; values: macOS's names."""


def instructions() -> List[str]:
    if sys.platform == "darwin":
        return [name for name, key in INSTRUCTIONS.items() if key and sysctl(key) == "1"]
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    flags = [line.partition(":")[2].split() for line in text.splitlines() if line.startswith("flags")]
    return [name for name in INSTRUCTIONS if flags and name in flags[0]]


def facts() -> Dict[str, object]:
    found: Dict[str, object] = {
        "system": system(),
        "machine": platform.machine(),
        "cpu": cpu(),
        "instructions": instructions(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),  # a busy machine's throughputs are low
        "python": platform.python_version(),
        "interpreter": origin(),
        "wheel_platform": sysconfig.get_platform(),
    }
    if sys.platform == "darwin":
        found["translated"] = sysctl("sysctl.proc_translated") == "1"  # Rosetta
        found["virtual"] = is_virtual_mac()
    else:
        found["glibc"] = platform.libc_ver()[1]
    return found


if __name__ == "__main__":
    print(json.dumps({**facts(), "base": sys.base_prefix}))
