"""Texts that people judged, as a task: what is asked, what was said, and how it is written."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rlax_pref import envs
from rlax_pref.datasets import TextLabels, TextPreferences, hh, trl
from rlax_pref.datasets._text import STOP
from rlax_pref.envs.judged import from_texts
from rlax_pref.types import DataError

GOLDEN = Path(__file__).parents[1] / "datasets" / "golden"
PAIRS = TextPreferences(("Why?", "Ä"), ("So.", "ja"), ("No.", "never"))


def written(env, row, answer):
    _, response, mask, _ = env.judged()
    return env.describe(response[row, answer], mask[row, answer])


def test_pairs_and_single_answers():
    env = from_texts(PAIRS)
    assert (env.num_tokens, env.num_symbols, env.stop) == (257, 258, STOP)
    assert (env.prompt_length, env.max_length) == (4, 6)  # no longer than the longest
    prompt, _, mask, reward = env.judged()
    np.testing.assert_array_equal(reward, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(mask.sum(-1), [[4, 4], [3, 6]])
    assert env.describe(prompt[0]) == "Why?" and env.describe(prompt[1]) == "<c3><84>"
    assert written(env, 1, 0) == "ja" and written(env, 1, 1) == "never"
    single = from_texts(TextLabels(("a", "b"), ("x", "yy"), (True, False)))
    np.testing.assert_array_equal(single.judged()[3], [[1], [0]])
    assert single.judged()[1].shape == (2, 1, 3) and written(single, 1, 0) == "yy"


def test_what_is_too_long_is_cut():
    env = from_texts(PAIRS, max_prompt=2, max_response=3)
    assert (env.prompt_length, env.max_length) == (2, 3)
    assert env.describe(env.asked[0]) == "y?" and written(env, 1, 1) == "nev"
    assert env.mask[1, 0].tolist() == [True] * 3 and env.response[1, 0, 2] == STOP


def test_as_an_environment():
    env = from_texts(PAIRS)
    drawn = jax.vmap(env.prompt)(jax.random.split(jax.random.key(0), 20))
    assert {tuple(x) for x in drawn.tolist()} == {tuple(x) for x in env.asked.tolist()}
    state, _ = env.reset(jax.random.key(0))
    _, timestep = env.step(jax.random.key(0), state, jnp.int32(STOP))
    assert timestep.discount == 0 and timestep.reward == 0


@pytest.mark.parametrize(
    ("name", "load"), [("hh.jsonl.gz", hh.load), ("unpaired.jsonl", trl.load_unpaired)]
)
def test_a_file_is_as_good_as_what_its_reader_returns(name, load):
    env, other = envs.make("texts", path=GOLDEN / name), from_texts(load(GOLDEN / name).data)
    jax.tree.map(np.testing.assert_array_equal, env, other)


def test_bad_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{}\n')
    with pytest.raises(DataError, match=r"rows\.jsonl: line 2: chosen: is missing"):
        envs.texts(path)
    assert envs.texts(path, skip_bad=True).judged()[3].shape == (1, 2)
