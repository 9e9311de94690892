"""What did people say, and what was done before? Readers of published files.

Choices between segments of behaviour:

  knox      choices between segments in grid worlds, human and synthetic
  ipl       segment pairs in .npz files of IPL and CPL
  uni_rlhf  human labels in D4RL: pickles of Preference Transformer and Uni-RLHF
  exchange  our own directory, to keep and to pass on everything that is known
  load_preferences  any of these that need nothing else, whatever its format

Choices between texts:

  trl       rows of JSON with the columns that TRL has, paired and unpaired
  hh        transcripts of dialogues, as in HH-RLHF
  load_texts  either, whichever it is
  unpair    pairs of answers as single ones
  encode    texts as arrays of tokens under masks
  byte_tokens  the bytes of a text, a tokenizer that needs no file

Steps of behaviour, to learn from offline (`types.Transition` of NumPy arrays):

  d4rl      the layout of D4RL, single steps or whole trajectories; writes it, too
  ogbench   trajectories without rewards, to learn to reach goals from
  minari    directories of Minari
  load_transitions  any of these, whatever its format
  collect   what a policy does, as data; `noisy` makes it worse
  from_rollout, concatenate  what was done already; several data sets as one

And of all of them:

  inspect   what is in a file, whatever its format
  report    what is in a data set: labels, ties, duplicates, kinds of pairs
  text_report  the same of texts: labels, duplicates, contradictions, lengths

Readers never unpickle, convert every convention to ours (`types.Preferences`), and turn anything
unsound into one `types.DataError` that names file, line, field and fix; with `skip_bad` they leave
such rows out, and the report says how many and why.
"""

from rlax_pref.datasets import d4rl, exchange, hh, ipl, knox, minari, ogbench, trl, uni_rlhf
from rlax_pref.datasets._collect import collect, concatenate, from_rollout, noisy
from rlax_pref.datasets._inspect import inspect, load_preferences, load_texts, load_transitions
from rlax_pref.datasets._report import Loaded, Report, TextReport, report, text_report
from rlax_pref.datasets._text import (
    Cuts,
    TextLabels,
    TextPreferences,
    TokenLabels,
    TokenPreferences,
    byte_tokens,
    encode,
    unpair,
)
from rlax_pref.datasets._transitions import TransitionReport

__all__ = [
    "Cuts",
    "Loaded",
    "Report",
    "TextLabels",
    "TextPreferences",
    "TextReport",
    "TokenLabels",
    "TokenPreferences",
    "TransitionReport",
    "byte_tokens",
    "collect",
    "concatenate",
    "d4rl",
    "encode",
    "exchange",
    "from_rollout",
    "hh",
    "inspect",
    "ipl",
    "knox",
    "load_preferences",
    "load_texts",
    "load_transitions",
    "minari",
    "noisy",
    "ogbench",
    "report",
    "text_report",
    "trl",
    "uni_rlhf",
    "unpair",
]
