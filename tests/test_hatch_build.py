"""Building the wheel: compiled where that can be done, of the sources elsewhere, and who is told."""

import shutil
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hatch_build
from hatch_build import CompileHook, is_wanted


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIO_EVSERVER_COMPILE", raising=False)


@pytest.mark.parametrize(("said", "wanted"), [("0", False), ("1", True)])
def test_whoever_says_so(said: str, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable decides, whether there is a compiler or not."""
    monkeypatch.setattr(shutil, "which", lambda name: None if wanted else "/usr/bin/cc")
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", said)
    assert is_wanted() is wanted


def test_what_nobody_can_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the variable and the remedy."""
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", "yes")
    with pytest.raises(ValueError, match="TRIO_EVSERVER_COMPILE is 'yes': set it to 0 or 1"):
        is_wanted()


@pytest.mark.parametrize(
    ("compiler", "header", "free_threaded", "wanted"),
    [
        ("/usr/bin/cc", True, 0, True),
        (None, True, 0, False),
        ("/usr/bin/cc", False, 0, False),
        ("/usr/bin/cc", True, 1, False),  # mypyc's modules would bring the lock back
    ],
)
def test_where_it_can_be_done(
    compiler: str | None,
    header: bool,
    free_threaded: int,
    wanted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A compiler, the interpreter's header, and an interpreter with its lock."""
    if header:
        (tmp_path / "Python.h").touch()
    monkeypatch.setattr(shutil, "which", lambda name: compiler)
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(
        sysconfig, "get_config_var", {"CC": "cc -pthread", "Py_GIL_DISABLED": free_threaded}.get
    )
    assert is_wanted() is wanted


def hook(warned: list[str], *, dependencies: list[str] | None = None) -> CompileHook:
    app: Any = SimpleNamespace(display_warning=warned.append)
    metadata: Any = SimpleNamespace(core=SimpleNamespace(dependencies=dependencies))
    nothing: Any = None
    return CompileHook("/root", {"compiled": ["a.py"]}, nothing, metadata, "", "wheel", app)


def instead(result: Callable[[Path], dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hatch_build, "compile_modules", lambda root, sources, made: result(made))


def test_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules go into the wheel, which is then for this platform; what was made on the way goes."""
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", "1")
    folders: list[Path] = []

    def compiled(made: Path) -> dict[str, str]:
        folders.append(made)
        return {f"{made}/a.so": "a.so"}

    instead(compiled, monkeypatch)
    data: dict[str, Any] = {"force_include": {}, "pure_python": True}
    building = hook([])
    building.initialize("standard", data)
    assert folders[0].is_dir()
    building.finalize("standard", data, "")
    assert not folders[0].exists()
    wanted = {"force_include": {f"{folders[0]}/a.so": "a.so"}, "pure_python": False, "infer_tag": True}
    assert data == wanted


@pytest.mark.parametrize("failure", [OSError("no compiler"), SystemExit(1)], ids=repr)
def test_it_fails(failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not asked for it gets the sources, and is told; who has gets the error."""

    def fail(made: Path) -> dict[str, str]:
        raise failure

    instead(fail, monkeypatch)
    warned: list[str] = []
    data: dict[str, Any] = {"force_include": {}, "pure_python": True}
    monkeypatch.setattr(hatch_build, "is_wanted", lambda: True)
    hook(warned).initialize("standard", data)
    assert data == {"force_include": {}, "pure_python": True}
    assert warned == [f"not compiled, the sources alone are installed: {failure!r}"]
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", "1")
    with pytest.raises(type(failure)):
        hook(warned).initialize("standard", data)


def test_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is asked for, and nothing done; nor is it for an editable install, which is of the sources."""
    instead(lambda made: {"made": "in vain"}, monkeypatch)
    data: dict[str, Any] = {}
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", "1")
    hook([]).initialize("editable", data)
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", "0")
    hook([]).initialize("standard", data)
    assert data == {}
    assert hook([]).dependencies() == []


def test_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler's packages, and the project's own, whose types are read."""
    monkeypatch.setenv("TRIO_EVSERVER_COMPILE", "1")
    assert {"trio>=0.30"} < set(hook([], dependencies=["trio>=0.30"]).dependencies())
