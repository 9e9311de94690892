"""Many small simulations at once, each in a lane of a vector unit of its own.

A simulation works on little arrays: three coordinates of nine bodies. Batched with `jax.vmap`,
128 of them are `[128, 9, 3]`, whose numbers lie in memory in this order, so that a CPU's loops run
over three of them at a time, and every product of two vectors is a call of its own to a library
for matrices. `in_lanes` lays the batch innermost instead and writes such products as sums. brax's
ant takes less than a third of the time so.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental.layout import Layout, with_layout_constraint
from jax.extend.core import Jaxpr, Literal, Primitive
from jax.interpreters import ad, batching, mlir

from rlax_pref.types import Array, PyTree

FEW = 4  # terms of a sum that is written out
# What is laid out: what comes in pieces, and what is dear to compute anew for each who reads it.
SETTLED = ("concatenate", "gather", "scatter-add", "sqrt", "div", "atan2", "sin", "cos")
# From 0.11 on, XLA can split over devices what it was told how to lay out.
SPLITS = jax.__version_info__ >= (0, 11)


def in_lanes(f: Callable[..., Any]) -> Callable[..., Any]:
    """`f`, to be batched so that on a CPU each element of the batch has a lane of its own.

    Results differ by rounding alone; under `jit`, `grad` and `vmap` it is used as `f` is. On other
    machines, and with JAX 0.10 where a batch is spread over devices, it is `f`.

    Args:
      f: a function from pytrees of arrays to a pytree of arrays.
    """

    def call(*args: Any) -> Any:
        if jax.default_backend() != "cpu" or not (SPLITS or _is_whole(args)):
            return f(*args)
        jaxpr, shape = jax.make_jaxpr(f, return_shape=True)(*shapes_of(args))
        out = _evaluate(jaxpr.jaxpr, jaxpr.consts, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return call


def shapes_of(tree: PyTree) -> PyTree:
    """Shapes and dtypes alone, so that a jitted function is traced for them but once."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), jnp.result_type(x)), tree)


def _is_whole(tree: PyTree) -> bool:
    """Whether none of the arrays may be split over devices by the compiler."""
    meshes = [jax.typeof(x).sharding.mesh for x in jax.tree.leaves(tree)]
    return all(
        mesh.shape[axis] == 1
        for mesh in meshes
        for axis in mesh.axis_names
        if axis not in mesh.manual_axes
    )


def _evaluate(jaxpr: Jaxpr, consts: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """What `jax.core.eval_jaxpr` returns."""
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    for eqn in jaxpr.eqns:
        x = [v.val if isinstance(v, Literal) else values[v] for v in eqn.invars]
        values |= zip(eqn.outvars, _apply(eqn, x), strict=True)
    return [v.val if isinstance(v, Literal) else values[v] for v in jaxpr.outvars]


def _apply(eqn: Any, x: list[Any]) -> list[Any]:
    """What an equation makes of its inputs."""
    name, params = eqn.primitive.name, eqn.params
    if name in ("jit", "pjit"):
        return _evaluate(params["jaxpr"].jaxpr, params["jaxpr"].consts, x)
    if name == "scan":
        params = params | {"jaxpr": _body(params["jaxpr"])}
    if name == "dot_general" and _is_brief(x[0], params["dimension_numbers"][0][0]):
        left, right = (y.astype(eqn.outvars[0].aval.dtype) for y in x)
        return [_lane(_dot(left, right, params["dimension_numbers"]))]
    if name == "reduce_sum" and len(params["axes"]) == 1 and _is_brief(x[0], params["axes"]):
        return [_sum(x[0], *params["axes"])]
    out = eqn.primitive.bind(*x, **eqn.primitive.get_bind_params(params))
    out = list(out) if eqn.primitive.multiple_results else [out]
    return [_lane(y) for y in out] if name in SETTLED else out


def _body(jaxpr: Any) -> Any:
    """What a loop repeats, in lanes as well."""

    def body(*x: Any) -> list[Any]:
        return [*map(_lane, _evaluate(jaxpr.jaxpr, jaxpr.consts, [*map(_lane, x)]))]

    return jax.make_jaxpr(body)(*shapes_of(jaxpr.in_avals))


def _is_brief(x: Array, axes: Sequence[int]) -> bool:
    return 1 <= math.prod(x.shape[axis] for axis in axes) <= FEW


def _sum(x: Array, axis: int) -> Array:
    return _add(jax.lax.index_in_dim(x, i, axis, keepdims=False) for i in range(x.shape[axis]))


def _add(terms: Iterable[Array]) -> Array:
    return functools.reduce(operator.add, terms)


def _dot(x: Array, y: Array, dimensions: Any) -> Array:
    """`jax.lax.dot_general`, as a sum over the contracted axes that is written out."""
    contracted, batch = dimensions
    free = [
        [i for i in range(z.ndim) if i not in (*c, *b)]
        for z, c, b in zip((x, y), contracted, batch, strict=True)
    ]
    num, (left, right) = len(batch[0]), map(len, free)
    terms = zip(
        *(
            z.transpose(*c, *b, *f).reshape(-1, *(z.shape[i] for i in (*b, *f)))
            for z, c, b, f in zip((x, y), contracted, batch, free, strict=True)
        ),
        strict=True,
    )
    return _add(
        jax.lax.expand_dims(x, range(num + left, num + left + right))
        * jax.lax.expand_dims(y, range(num, num + left))
        for x, y in terms
    )


# A mark that knows which axes are of a batch -------------------------------------------------


def _lane(x: Array) -> Array:
    """`x`, and a mark: the axes by which it will be batched shall lie innermost on CPUs."""
    return lane_p.bind(x, axes=())


def _batch(inputs: tuple[Array], places: tuple[int], *, axes: tuple[int, ...]) -> tuple[Array, int]:
    (x,), (at,) = inputs, places
    return lane_p.bind(x, axes=(*(axis + (axis >= at) for axis in axes), at)), at


def _lay_out(x: Array, *, axes: tuple[int, ...]) -> Array:
    rest = (axis for axis in range(x.ndim) if axis not in axes)
    return with_layout_constraint(x, Layout((*rest, *axes))) if axes else x


lane_p = Primitive("lane")
lane_p.def_impl(lambda x, *, axes: x)
lane_p.def_abstract_eval(lambda x, *, axes: x)
ad.deflinear2(lane_p, lambda cotangent, x, *, axes: [lane_p.bind(cotangent, axes=axes)])
batching.primitive_batchers[lane_p] = _batch
mlir.register_lowering(lane_p, mlir.lower_fun(lambda x, *, axes: x, multiple_results=False))
mlir.register_lowering(lane_p, mlir.lower_fun(_lay_out, multiple_results=False), platform="cpu")
