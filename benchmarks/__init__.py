"""Measurements: each file answers one question, with one JSON line a condition."""
