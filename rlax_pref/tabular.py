"""Finite decision processes, solved exactly: what is true, to compare estimates with."""

from typing import NamedTuple

from rlax_pref.types import Array


class TabularMDP(NamedTuple):
    """A finite Markov decision process without its reward, which every function takes apart.

    Terminal states loop onto themselves, earn nothing and have value 0. States that nobody can
    stand in (houses, padding) are terminal with `start` 0, so that processes of different sizes
    share one program.
    """

    transition: Array  # [S, A, S] probability of each next state
    features: Array  # [S, A, F] expected features of a step; a linear reward is `features @ w`
    terminal: Array  # [S] bool
    start: Array  # [S] probability that an episode begins here
