"""Every public method is in the index, says what it is and where it is from."""

import importlib

import pytest

from docs import methods as page
from rlax_pref import index

METHODS = index.methods()


@pytest.mark.parametrize("family", index.FAMILIES)
def test_the_index_is_complete(family):
    """Whatever a family offers that can be called or entered is listed, and nothing else."""
    module = importlib.import_module(f"rlax_pref.{family}")
    listed = {m.call.split(".")[1] for m in METHODS if m.call.startswith(f"{family}.")}
    offered = {name for name in module.__all__ if not isinstance(getattr(module, name), type)}
    assert listed == offered


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.call)
def test_a_method_says_what_it_is(method):
    assert method.title and not method.title.endswith(".")
    assert method.call.split(".")[1] in importlib.import_module(
        "rlax_pref." + method.call.split(".")[0]
    ).__doc__.replace("()", "")


def test_papers_are_found():
    papers = {method.call: method.paper for method in METHODS}
    assert papers["advantages.gae"] == "Schulman et al., 2015, arXiv:1506.02438"
    assert "2206.02231" in papers["preferences.regret"]


def test_every_method_is_tested():
    untested = [method.call for method in METHODS if not page._tests(method)]
    assert not untested


def test_the_page_is_fresh():
    assert page.PAGE.read_text() == page.page(), "run `make docs`"
