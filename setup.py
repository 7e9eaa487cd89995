"""Builds the C extensions of `lean_agentic.jit_runtime`; everything else about the package is in pyproject.toml."""

import sys
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("lean_agentic/jit_runtime/native")
SAMPLING = NATIVE / "sampling.c"
# Contracting a * b + c would change results, and the layouts are read through pointers of several types.
FLAGS = ["-std=gnu11", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-fvisibility=hidden", "-Wall", "-Wextra"]
EXPLANATION = """\
{name} could not be compiled: {error}
lean_agentic needs a C compiler (gcc or clang) and Python's headers, on Linux.
On Debian or Ubuntu: apt-get install build-essential python3-dev. Then install again."""


class BuildOrExplain(build_ext):
    """Says what is missing when there is no compiler."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one extension."""
        try:
            super().build_extension(ext)
        except Exception as error:
            raise SystemExit(EXPLANATION.format(name=ext.name, error=error)) from error


def extensions() -> list[Extension]:
    """The boundary, and the sampler where its view of the interpreter's frames is right."""
    boundary = Extension(
        "lean_agentic.jit_runtime._native",
        sorted(str(path) for path in NATIVE.glob("*.c") if path != SAMPLING),
        include_dirs=[numpy.get_include()],
        depends=[str(path) for path in NATIVE.glob("*.h")],
        extra_compile_args=FLAGS,
        libraries=["m", "pthread"],
    )
    sampling = Extension(
        "lean_agentic.jit_runtime._sampling", [str(SAMPLING)], extra_compile_args=["-O2"], libraries=["pthread"]
    )
    return [boundary, sampling] if sys.version_info[:2] == (3, 11) and SAMPLING.exists() else [boundary]


setup(cmdclass={"build_ext": BuildOrExplain}, ext_modules=extensions())
