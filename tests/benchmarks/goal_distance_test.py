"""The probe of goal distances explains what is linear, and only that."""

import numpy as np

from benchmarks.learning import goal_distance


def test_probes_explain_what_is_linear_in_features():
    draw = np.random.default_rng(0)
    features = draw.normal(size=(90, 5))
    linear = draw.normal(size=(7, 5)) @ features.T + draw.normal(size=(7, 1))
    noise = draw.normal(size=(7, 90))
    assert goal_distance.explained(features, linear, 0, ridge=1e-9) > 0.999
    assert goal_distance.explained(features, noise, 0) < 0.1
    assert 0.3 < goal_distance.explained(features, linear + 2 * noise, 0) < 0.8


def test_a_feature_that_never_changes_does_no_harm():
    features = np.stack([np.ones(30), np.arange(30.0)], axis=1)
    assert goal_distance.explained(features, np.arange(30.0)[None], 0) > 0.99
