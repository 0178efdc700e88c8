"""The house keeps its floors: who may import whom, what pure rooms may not touch, how long a module is."""

import ast
import re
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = "trio_evserver"
ROOT = Path(__file__).parents[1] / PACKAGE

FLOORS = (
    {"semantics"},
    {"http1", "http2", "files", "pages", "observe"},
    {"serving"},
    {"process"},
    # A module each, which may import the others of this floor.
    {"cli", "config", "quantities", "__main__", "__init__"},
)
PURE = ("semantics", "http1", "pages", "files/chunk_plan.py")
IMPURE_MODULES = {"trio", "os", "socket", "ssl", "threading", "time", "random"}
LONGEST_MODULE = 300

MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))


def room(module: Path) -> str:
    """The part of the package that the module belongs to: "files", "cli"."""
    return module.parts[0].removesuffix(".py")


def floor(name: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if name in rooms)


def imports(source: str) -> set[str]:
    """The absolute names that the source imports, wherever in it; a relative import comes with its dots."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # "from x import y" may mean the module x.y.
            base = "." * node.level + (node.module or "")
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def module_file(name: str) -> Path | None:
    """The module of ours with this absolute name."""
    path = Path(*name.split(".")[1:])
    candidates = (path / "__init__.py", path.with_suffix(".py") if path.name else path / "__init__.py")
    return next((file for file in candidates if file in MODULES), None)


def own_imports(module: Path) -> set[Path]:
    """The modules of ours that the module imports."""
    names = {n for n in imports((ROOT / module).read_text()) if n == PACKAGE or n.startswith(f"{PACKAGE}.")}
    return {file for name in names if (file := module_file(name)) is not None and file != module}


def may_import(module: Path, imported: Path) -> bool:
    """Down, within the room, and among the single modules of the top floor."""
    here, there = room(module), room(imported)
    top = len(FLOORS) - 1
    return here == there or floor(here) > floor(there) or floor(here) == floor(there) == top


def is_pure(module: Path) -> bool:
    return any(module == Path(pure) or module.is_relative_to(pure) for pure in PURE)


def test_the_package_is_found() -> None:
    """The tests below would pass on nothing."""
    assert {"semantics", "http1", "files", "pages", "observe", "serving", "process"} <= set(
        map(room, MODULES)
    )


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_has_a_floor(module: Path) -> None:
    """A new room must be given its floor here, and in docs/architecture.md."""
    assert any(room(module) in rooms for rooms in FLOORS)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_go_down(module: Path) -> None:
    """No import goes up a floor or to a neighbour."""
    assert [str(other) for other in sorted(own_imports(module)) if not may_import(module, other)] == []


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_are_absolute(module: Path) -> None:
    """Every import says where it comes from."""
    assert [name for name in imports((ROOT / module).read_text()) if name.startswith(".")] == []


def test_no_cycles() -> None:
    """No module imports itself by way of others; graphlib names the circle where one does."""
    graph = {module: own_imports(module) for module in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)


@pytest.mark.parametrize("module", [m for m in MODULES if is_pure(m)], ids=str)
def test_pure_rooms_touch_nothing(module: Path) -> None:
    """What decides does not block, ask the clock or throw dice."""
    tops = {name.split(".")[0] for name in imports((ROOT / module).read_text())}
    assert tops & IMPURE_MODULES == set()


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_modules_are_short(module: Path) -> None:
    """A module that outgrows its page is two."""
    assert len((ROOT / module).read_text().splitlines()) <= LONGEST_MODULE


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) == "observe"], ids=str)
def test_logs_know_no_event_loop(module: Path) -> None:
    """The logs are written by threads of their own."""
    assert not {name.split(".")[0] for name in imports((ROOT / module).read_text())} & {"trio"}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import os.path as p", {"os.path"}),
        ("from a import b", {"a", "a.b"}),
        ("def f():\n    from . import b", {".", "..b"}),
        ("if x:\n    import a, b", {"a", "b"}),
    ],
)
def test_imports_are_all_seen(source: str, names: set[str]) -> None:
    """This file's own reading of a module: nested, aliased, relative."""
    assert imports(source) == names


@pytest.mark.parametrize(
    ("module", "imported", "allowed"),
    [
        ("serving/server.py", "files/disk.py", True),
        ("files/disk.py", "serving/server.py", False),  # up
        ("files/disk.py", "pages/errors.py", False),  # sideways
        ("files/disk.py", "files/options.py", True),
        ("cli.py", "config.py", True),
        ("process/run.py", "cli.py", False),
    ],
)
def test_the_rule_itself(module: str, imported: str, allowed: bool) -> None:
    """The rule of the floors, on examples."""
    assert may_import(Path(module), Path(imported)) is allowed


def test_only_known_foreign_packages() -> None:
    """What the package imports from elsewhere is what pyproject.toml declares."""
    dependencies = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {PACKAGE, *(re.split(r"\W", dependency)[0] for dependency in dependencies)}
    tops = {name.split(".")[0] for module in MODULES for name in imports((ROOT / module).read_text())}
    assert tops - set(sys.stdlib_module_names) - declared == set()
