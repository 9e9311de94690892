"""Which devices and which other processes take part: settled before JAX looks for them."""

import contextlib
import os

import jax


def split_cpu(number: int) -> None:
    """Makes so many devices of the CPU, which count only where there are no others.

    Nothing happens once JAX has looked for devices; `runner.make_mesh` says how many there are.
    """
    with contextlib.suppress(RuntimeError):
        jax.config.update("jax_num_cpu_devices", number)


def limit_threads(number: int) -> None:
    """Has a CPU compute with so many threads; by default XLA takes one a core.

    Where networks and batches are small, one thread is faster: with more, XLA hands kernels of a
    few microseconds from one to the other.

    Nothing happens once JAX has looked for devices.

    Raises:
      ValueError: `number` is less than 1.
    """
    if number < 1:
        raise ValueError(f"threads={number}: there is at least 1")
    os.environ["PJRT_NPROC"] = str(number)


def join() -> None:
    """Makes this process one of several that train together.

    Slurm, Kubernetes and TPU pods say who is who; elsewhere `JAX_COORDINATOR_ADDRESS`,
    `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID` do.

    Raises:
      ValueError: nothing says who is who, or what is said makes no sense.
    """
    number = lambda name: int(os.environ[name]) if name in os.environ else None
    try:
        jax.distributed.initialize(
            num_processes=number("JAX_NUM_PROCESSES"), process_id=number("JAX_PROCESS_ID")
        )
    except ValueError as error:
        names = "JAX_COORDINATOR_ADDRESS=host:port, JAX_NUM_PROCESSES and JAX_PROCESS_ID"
        raise ValueError(f"{error} Where no cluster says who is who, set {names}") from error
