"""Compiles the modules that a hot request passes through, as a wheel is built, where that can be done.

pyproject.toml lists them. mypyc makes C of them, the system's compiler makes extension modules of that, and
these are put beside the sources, which the interpreter then passes over. Where there is no compiler the wheel
is made of the sources alone, and does the same, slower. TRIO_EVSERVER_COMPILE=0 leaves it at that; with 1 a
build that cannot compile fails. An editable install is always of the sources.
"""

import os
import shutil
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

REQUIREMENTS = ["mypy>=1.19", "setuptools>=77"]


class CompileHook(BuildHookInterface[Any]):
    """The build hook "custom" of hatchling."""

    def dependencies(self) -> list[str]:
        """What compiling needs beside hatchling; nothing where it is not to be tried."""
        # Of the project's own the types are read.
        return [*REQUIREMENTS, *self.metadata.core.dependencies] if is_wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is packed. `version` is "editable" or "standard"."""
        if version == "editable" or not is_wanted():
            return
        self._made = tempfile.TemporaryDirectory(prefix="trio_evserver-")
        try:
            modules = compile_modules(Path(self.root), self.config["compiled"], Path(self._made.name))
        except (Exception, SystemExit) as error:  # whatever keeps mypyc or the compiler from it
            if os.environ.get("TRIO_EVSERVER_COMPILE") == "1":
                raise
            self.app.display_warning(f"not compiled, the sources alone are installed: {error!r}")
            return
        build_data["force_include"] |= modules
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """When it is packed."""
        if hasattr(self, "_made"):
            self._made.cleanup()


def is_wanted() -> bool:
    """Whether to try: where nobody has said, if there is a compiler, and an interpreter that mypyc is for."""
    said = os.environ.get("TRIO_EVSERVER_COMPILE", "")
    if said not in ("", "0", "1"):
        raise ValueError(f"TRIO_EVSERVER_COMPILE is {said!r}: set it to 0 or 1, or not at all")
    if said:
        return said == "1"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    header = Path(sysconfig.get_path("include"), "Python.h")
    return (
        bool(shutil.which(compiler)) and header.exists() and not sysconfig.get_config_var("Py_GIL_DISABLED")
    )


def compile_modules(root: Path, sources: list[str], made: Path) -> dict[str, str]:
    """Compile `sources`, paths below `root`, in the folder `made`: the files made, and where they belong."""
    from mypyc.build import mypycify
    from setuptools import Distribution
    from setuptools.command.build_ext import build_ext

    before = Path.cwd()
    os.chdir(root)  # mypy names modules by their paths from here
    try:
        extensions = mypycify(
            ["--config-file=", "--ignore-missing-imports", f"--cache-dir={made / 'cache'}", *sources],
            target_dir=str(made / "c"),
            opt_level="3",
            debug_level="0",
            group_name="trio_evserver",
        )
    finally:
        os.chdir(before)
    command = build_ext(Distribution({"name": "trio_evserver", "ext_modules": extensions}))
    command.build_lib, command.build_temp = str(made / "lib"), str(made / "temp")
    command.ensure_finalized()
    command.run()
    return {output: str(Path(output).relative_to(made / "lib")) for output in command.get_outputs()}
