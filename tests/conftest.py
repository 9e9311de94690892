"""Fixtures that any test may ask for."""

import os
from collections.abc import Iterator
from pathlib import Path

import jax
import pytest


@pytest.fixture(scope="module")
def strict() -> Iterator[None]:
    """Makes silent broadcasting an error; `pytestmark = pytest.mark.usefixtures("strict")`."""
    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def data() -> Path:
    """The published worlds and choices, where there are any."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data" / "knox"
    folder = Path(os.environ.get("RLAX_PREF_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no published data in {folder}; set RLAX_PREF_DATA to their folder")
    return folder
