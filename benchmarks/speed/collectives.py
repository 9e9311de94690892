"""What do devices tell each other while an agent trains, and when does that cost more than it buys?

    python -m benchmarks.speed.collectives --out FILE [--devices 4]

Agents are compiled for several devices (a CPU pretends to be that many), and the compiled program
is read: every operation between devices, its bytes, and how often it is done in one agent step.
Beside it stands what should be sent: the gradients, once for each minibatch. `docs/scaling.md` says
what follows from that for real machines.
"""

import argparse
import os
import re
from typing import Any

ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ppo, cartpole": ("ppo", "cartpole", {}),
    "ppo, pendulum, 256 wide": ("ppo", "pendulum", {"hidden": (256, 256)}),
    "sac, pendulum": ("sac", "pendulum", {}),
    "rloo, addition, transformer": ("rloo", "addition", {}),
}
BYTES = {"f32": 4, "s32": 4, "u32": 4, "pred": 1, "f16": 2, "bf16": 2, "f64": 8, "s8": 1, "u8": 1}
KINDS = "all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"


def traffic(program: str) -> dict[str, tuple[float, float]]:
    """Of a compiled program, for each kind of operation: how often it is done, and its bytes.

    Loops whose length XLA does not know count once: such is the loop over agent steps. Of a choice
    all branches count.
    """
    bodies: dict[str, list[str]] = {}
    entry, lines = "", []
    for line in program.splitlines():
        head = re.match(r"(ENTRY )?%?([\w.\-]+) \(.*\) -> .* \{$", line)
        if head:
            lines = bodies.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        else:
            lines.append(line)
    total = {kind: (0.0, 0.0) for kind in KINDS}

    def walk(name: str, times: float) -> None:
        for line in bodies[name]:
            found = re.search(r" = (.*?) ([\w\-]+)\(", line)
            if not found:
                continue
            kind = found[2].removesuffix("-start")
            if kind in total:
                count, size = total[kind]
                total[kind] = count + times, size + times * _size(found[1])
            trips = re.search(r'known_trip_count[":{]+n":"(\d+)"', line)
            rounds = float(trips[1]) if kind == "while" and trips else 1.0
            if kind in ("while", "call", "conditional"):
                parts = r"(?:body|condition|calls|to_apply|\w+_computations?)=(\{.*?\}|\S+)"
                for called in re.findall(r"[\w.\-]+", " ".join(re.findall(parts, line))):
                    if called in bodies:
                        walk(called, times * rounds)

    walk(entry, 1.0)
    return {kind: found for kind, found in total.items() if found[0]}


def _size(shape: str) -> int:
    """Bytes of `f32[2,3]{1,0}`, or of a tuple of such."""
    size = 0
    for kind, dimensions in re.findall(r"(\w+)\[([\d,]*)\]", shape):
        count = 1
        for dimension in filter(None, dimensions.split(",")):
            count *= int(dimension)
        size += BYTES.get(kind, 0) * count
    return size


def measure(name: str) -> dict[str, Any]:
    """What is sent in one agent step."""
    import jax

    from benchmarks import record
    from rlax_pref import agents, envs
    from rlax_pref.agents import runner

    agent_name, env_name, settings = ROWS[name]
    config = agents.config_from(agent_name, settings)
    agent = agents.make(agent_name, envs.make(env_name), config)
    mesh = runner.make_mesh()
    state = runner.init(agent, jax.random.key(0), mesh)
    program = runner.compile_chunk(agent, mesh, 1).lower(state, 1).compile().as_text()
    found = traffic(program)
    count, size = found.pop("all-reduce", (0.0, 0.0))
    params = sum(x.size for x in jax.tree.leaves(state.learner.params))
    passes = getattr(config, "num_epochs", 1) * getattr(config, "num_minibatches", 1)
    passes *= getattr(config, "num_updates", 1)
    line = {
        "row": name,
        "devices": len(jax.devices()),
        "env_steps": config.env_steps,
        "parameters": params,
        "minibatches": passes,
        "all_reduces": round(count),
        "kilobytes": round(size / 1024, 1),
        "gradient_kilobytes": round(4 * params * passes / 1024, 1),
        "others": {kind: round(times) for kind, (times, _) in found.items()},
        **record.where(),
    }
    print(
        "{row:>28}: {all_reduces} all-reduces, {kilobytes} kB a step of {env_steps:,} environment "
        "steps; gradients {gradient_kilobytes} kB; others {others}".format(**line),
        flush=True,
    )
    return line


def main(arguments: list[str] | None = None) -> None:
    """Reads the arguments, runs the benchmark and writes its lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--devices", type=int, default=4)
    known, _ = parser.parse_known_args(arguments)
    flag = f"--xla_force_host_platform_device_count={known.devices}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"

    from benchmarks import record

    record.run(parser, lambda args: [measure(row) for row in args.rows], arguments)


if __name__ == "__main__":
    main()
