"""What is compiled: the modules that pyproject.toml lists, and those the way their sources have them."""

import ast
import importlib
import os
import tomllib
from pathlib import Path

import pytest

import trio_evserver
from tests.compiled import COMPILED
from trio_evserver.semantics.message import Region

ROOT = Path(__file__).parents[1]
HOOK = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
LISTED: list[str] = HOOK["hooks"]["custom"]["compiled"]


def test_it_is_what_the_session_says() -> None:
    """`nox -s tests` tests the sources and `nox -s compiled` the other."""
    said = os.environ.get("TRIO_EVSERVER_COMPILE")
    if said is None:
        pytest.skip("nobody has said which of the two it is")
    assert (said == "1") == COMPILED


@pytest.mark.parametrize("path", LISTED)
def test_all_of_them_or_none(path: str) -> None:
    """Whatever is listed is compiled if anything is."""
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    assert str(module.__file__).endswith(".py") is not COMPILED


@pytest.mark.parametrize("path", LISTED)
def test_what_mypyc_gets_wrong(path: str) -> None:
    """mypyc drops frozen=True of a Struct without a word, so none is defined in a compiled module."""
    assert not [base for base in bases_of(ROOT / path) if "Struct" in base]


def test_every_value_is_compiled() -> None:
    """No other class could inherit from `Value` where that is compiled."""
    sources = (ROOT / "trio_evserver").rglob("*.py")
    homes = {str(path.relative_to(ROOT)) for path in sources if "Value" in bases_of(path)}
    assert len(homes) > 5
    assert homes <= set(LISTED)


@pytest.mark.skipif(not COMPILED, reason="Final is what mypy sees to, where nothing is compiled")
def test_a_value_stays_as_it_is() -> None:
    """No attribute of a value can be set, whoever tries."""
    value = Region(0, 5)
    with pytest.raises(AttributeError):
        value.length = 6  # type: ignore[misc]  # that is what is refused
    assert value == Region(0, 5)


def bases_of(path: Path) -> list[str]:
    """What the classes of a module inherit from, as it is written there."""
    tree = ast.parse(path.read_text())
    return [ast.unparse(base) for n in ast.walk(tree) if isinstance(n, ast.ClassDef) for base in n.bases]


def test_public_classes_can_be_inherited_from() -> None:
    """No class can inherit from a compiled one, unless it is compiled itself; of a final one none may."""
    public = [getattr(trio_evserver, name) for name in trio_evserver.__all__]
    homes = {one: f"{one.__module__.replace('.', '/')}.py" for one in public if isinstance(one, type)}
    open_to_all = {home for one, home in homes.items() if not is_final(one.__name__, home)}
    assert len(open_to_all) < len(set(homes.values()))
    assert "trio_evserver/observe/access_log.py" in open_to_all
    assert open_to_all.isdisjoint(LISTED)


def is_final(name: str, path: str) -> bool:
    """Whether the source says so: a compiled class does not."""
    tree = ast.parse((ROOT / path).read_text())
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return "final" in map(ast.unparse, found.decorator_list)
