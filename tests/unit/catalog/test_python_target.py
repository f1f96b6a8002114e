"""Functions of Python upstreams are looked for without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.catalog.python_target import functions, problem

POND = """
raise SystemExit("this module was run")
import os.path as paths, json
from math import sqrt as root
x: int = 1
names = ["x"]
late = None
pick = len
maybe = None
if maybe is None:
    def maybe(): ...
def settle():
    global late
a, (b, *c) = 1, (2, 3)
def plain(): ...
async def later(): ...
class Duck: ...
if True:
    def inside_if(): ...
try:
    def inside_try(): ...
except ImportError:
    def inside_except(): ...
with open("f") as f:
    def inside_with(): ...
"""
THERE = [
    "paths",
    "json",
    "root",
    "late",
    "pick",
    "maybe",
    "a",
    "b",
    "c",
    "plain",
    "later",
    "Duck",
    "inside_if",
    "inside_try",
    "inside_except",
    "inside_with",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pond.py").write_text(POND)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "__init__.py").write_text("raise SystemExit")
    (tmp_path / "deep" / "er" / "sea.py").write_text("from elsewhere import *\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    return tmp_path


@pytest.mark.parametrize("name", THERE)
def test_what_a_module_binds_is_there(folder: Path, name: str) -> None:
    """Functions, classes, imports, assignments, also in `if`, `try` and `with`."""
    assert problem(f"pond:{name}", folder) is None


@pytest.mark.parametrize(("target", "words"), [
    ("pond:gone", "has no 'gone'"), ("lake:x", "no module 'lake'"), ("pond.x:y", "no module 'pond.x'"), ("deep.gone:x", "no module"),
    ("deep.er:x", "has no 'x'"), ("broken:f", "no Python"),
    ("sys:gone", "has no 'gone'"), ("json:gone", "has no 'gone'"), ("os.path:gone", "has no 'gone'"), ("os.gone:x", "no module 'os.gone'"),
    ("pond:x", "'x' of the module 'pond' is no function"), ("pond:names", "is no function"), ("sys:maxsize", "is no function"),
    ("os.path:sep", "is no function"),
])  # fmt: skip
def test_what_is_not_there_is_told(folder: Path, target: str, words: str) -> None:
    """Module or function, and a module that is no Python."""
    assert words in (problem(target, folder) or "")


@pytest.mark.parametrize(
    "target", ["json:loads", "json.decoder:JSONDecoder", "deep.er.sea:anything", "math:sqrt", "app.catalog.load:load", "sys:exit", "os.path:basename"]
)
def test_installed_modules_and_what_cannot_be_known_are_good(folder: Path, target: str) -> None:
    """The standard library, packages, star imports, modules without source."""
    assert problem(target, folder) is None


def test_a_constant_is_no_hint(folder: Path) -> None:
    """What can be called is."""
    assert {"plain", "pick", "maybe"} <= set(functions("pond:plaim", folder))
    assert not {"x", "names"} & set(functions("pond:plaim", folder))


def test_the_catalogs_folder_goes_first(folder: Path) -> None:
    """A module beside the catalog hides an installed one."""
    (folder / "colorsys.py").write_text("def mine(): ...\n")
    assert problem("colorsys:mine", folder) is None


@pytest.mark.parametrize("then", [
    "match 1:\n    case 1:\n        def f(): ...", "if (f := print): ...", "for f in (print,): ...", "def install():\n    global f\n    f = print",
    "globals()['f'] = print", "exec('def f(): ...')", "setattr(sys.modules[__name__], 'f', print)", "import os as f", "f: object = print",
])  # fmt: skip
def test_a_constant_that_may_be_another_thing_by_now_is_no_fault(folder: Path, then: str) -> None:
    """However it is bound anew: what is there at the start is told then."""
    (folder / "placeholder.py").write_text(f"import sys\nf = None\n{then}\n")
    assert problem("placeholder:f", folder) is None
    (folder / "placeholder.py").write_text("f = None\n")
    assert problem("placeholder:f", folder) is not None
