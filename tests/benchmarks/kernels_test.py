"""Kernels that are the same count as one, and each kind of keys has a line."""

import json

import jax
import jax.numpy as jnp

from benchmarks.speed import kernels


def test_kernels_that_are_the_same_count_as_one():
    def f(x, y, z):
        return jnp.sin(x) * 2 + x, jnp.sin(y) * 2 + y, jnp.sin(z) * 2 + z

    program = jax.jit(f).lower(jnp.ones(3), jnp.ones(3), jnp.ones(4)).compile().as_text()
    assert sorted(kernels.kernels(program).values()) == [1, 2]


def test_it_writes_a_line_for_each_kind_of_keys(tmp_path, capsys):
    out = tmp_path / "kernels.jsonl"
    cached = jax.config.jax_enable_compilation_cache
    try:
        kernels.main(["--rows", "ppo, cartpole", "--repeats", "1", "--out", str(out)])
    finally:
        jax.config.update("jax_enable_compilation_cache", cached)
    by_jax, by_runner = map(json.loads, out.read_text().splitlines())
    assert by_jax["keys"] == "JAX's" and by_runner["keys"] == "the runner's"
    assert by_runner["different"] < 0.85 * by_jax["different"]
    assert by_jax["compile_cpu_seconds"] > 0
    assert "ppo, cartpole" in capsys.readouterr().out
