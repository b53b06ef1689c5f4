"""One run: clients come and go, things break and heal, and in the end everything must be as promised."""

from __future__ import annotations

import argparse
import sys

from smproxy.cluster.claims import Held
from smproxy.cluster.records import Bucket, is_death, owner_of, read_claim

from tests.simulation.oracle import Violation
from tests.simulation.shrinking import places, shrink
from tests.simulation.world import World

STREAMS = ("a", "b", "c")
#: A run has fewer actions than this, of clients and troubles.
MOST_ACTIONS = 1024
#: Virtual seconds of trouble, and for the cluster to settle afterwards.
TROUBLE, SETTLE = 90.0, 60.0


def run(seed: int, left_out: frozenset[int] = frozenset()) -> World:
    """Run a seed, without some of its actions. Raises ``Violation``, whose notes tell what happened."""
    world = World(seed, nodes=2 + seed % 3)
    world.left_out = left_out
    try:
        for name in world.links:
            world.start(name)
        world.after(2.0, lambda: _clients(world))
        world.after(4.0, lambda: _trouble(world))
        world.run(TROUBLE)
        _heal(world)
        world.run(TROUBLE + SETTLE)
        _check_names(world)
        for name in sorted(world.links.keys() - world.nodes.keys()):
            world.start(name)
        for node in world.nodes.values():
            node.end_streams()
        world.run(TROUBLE + 2 * SETTLE)
        world.oracle.check_ends()
        left = world.registry.entries(Bucket.SESSIONS)
        if any(not is_death(key) or owner_of(key).node in world.nodes for key in left):
            raise Violation(f"sessions left in the registry: {sorted(left)}")
    except BaseException as error:
        error.add_note(f"seed {seed}, {world.actions} actions:\n" + "\n".join(world.log))
        raise
    return world


def report(seed: int) -> str:
    """Describe a seed that breaks a promise: the shortest history found, and the command to replay it."""
    everything = range(MOST_ACTIONS)
    left, error = shrink(everything, lambda kept: broken_by(seed, frozenset(everything) - set(kept)))
    command = f".venv/bin/python -m tests.simulation.scenario {seed} --steps {','.join(map(str, left))}"
    return "\n".join([repr(error), *getattr(error, "__notes__", ()), f"again: {command}"])


def broken_by(seed: int, left_out: frozenset[int]) -> BaseException | None:
    """Return what a seed breaks without some of its actions."""
    try:
        run(seed, left_out)
    except Exception as error:
        return error
    return None


def main() -> int:
    """Replay what was asked for; return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.scenario")
    parser.add_argument("seed", type=int)
    parser.add_argument("--steps", type=places, help="only these of its actions, by their places: 3,17")
    asked = parser.parse_args()
    left_out = frozenset() if asked.steps is None else frozenset(range(MOST_ACTIONS)) - set(asked.steps)
    if (error := broken_by(asked.seed, left_out)) is not None:
        print(report(asked.seed) if asked.steps is None else "\n".join([repr(error), *error.__notes__]))
        return 1
    print("\n".join(run(asked.seed, left_out).log))
    return 0


def _clients(world: World) -> None:
    if world.now > TROUBLE:
        return
    rng = world.rng
    nodes = [node for node in world.nodes.values() if not node.frozen]
    if world.takes() and nodes:
        node, stream = rng.choice(nodes), rng.choice(STREAMS)
        if stream in node.publishers and rng.random() < 0.5:
            node.unpublish(stream)
        else:
            node.publish(stream)
    world.after(rng.uniform(0.05, 1.5), lambda: _clients(world))


def _publish(world: World) -> None:
    nodes = [node for node in world.nodes.values() if not node.frozen]
    if nodes:
        world.rng.choice(nodes).publish(world.rng.choice(STREAMS))


def _trouble(world: World) -> None:
    """Break one thing for a while. One node at a time is cut off from the registry, or all are."""
    if world.now > TROUBLE - 5:
        return
    rng, registry = world.rng, world.registry
    name = rng.choice(sorted(world.links))
    length = rng.choice((0.5, 2.0, 6.0, 12.0, 30.0)) * rng.uniform(0.5, 1.5)
    link, node = world.links[name], world.nodes.get(name)
    whole = all(each.there and each.back for each in world.links.values())
    kind = rng.choice(("kill", "stop", "freeze", "cut", "one way", "slow", "down", "peers"))
    if not world.takes():
        kind = "none"
    world.note(f"trouble: {kind} {name} for {length:.1f} s")
    if kind == "kill" and node is not None:
        world.kill(name)
        world.after(length, lambda: world.start_again(name))
    elif kind == "stop" and node is not None and not node.frozen:
        world.stop(name)
        world.after(2.0 + length, lambda: world.start_again(name))
    elif kind == "freeze" and node is not None and not node.frozen:
        node.frozen = True
        world.after(length, lambda: None if node.dead else node.thaw())
    elif kind == "cut" and whole and registry.up:
        link.there = link.back = False
        link.holds = rng.random() < 0.3
        world.after(length, lambda: world.mend(name))
    elif kind == "one way" and whole and registry.up:
        if rng.random() < 0.5:
            link.there = False
        else:
            link.back = False
        link.holds = rng.random() < 0.3
        world.after(length, lambda: world.mend(name))
    elif kind == "slow":
        link.delay = rng.choice((0.05, 0.5, 2.0))
        world.after(length, lambda: setattr(link, "delay", 0.002))
    elif kind == "down" and registry.up and whole:
        registry.up, registry.silent = False, rng.random() < 0.3
        world.after(length, lambda: _back(world, name, rng.choice((0.0, 0.0, 3.0, 12.0))))
    elif kind == "peers":
        other = rng.choice(sorted(world.links.keys() - {name}))
        world.cut_peers.add(frozenset((name, other)))
        world.after(length, lambda: world.cut_peers.discard(frozenset((name, other))))
    world.after(rng.uniform(0.2, 8.0), lambda: _trouble(world))


def _back(world: World, name: str, cut: float) -> None:
    """Bring the registry back; one node may be cut off from it for longer than the others."""
    world.registry_back()
    for delay in range(1, 80):  # clients that waited for it come all at once
        world.after(delay / 10, lambda: _publish(world))
    if cut:
        world.links[name].there = world.links[name].back = False
        world.after(cut, lambda: world.mend(name))


def _heal(world: World) -> None:
    world.note("heal")
    world.registry_back()
    world.cut_peers.clear()
    for name, link in world.links.items():
        link.delay = 0.002
        world.mend(name)
    for node in list(world.nodes.values()):
        if node.frozen:
            node.thaw()


def check_claims(world: World) -> None:
    """Check that every claim in the registry has an owner who publishes, and every publisher a claim.

    Raises:
        Violation: one has not.
    """
    claims = [read_claim(entry.value) for entry in world.registry.entries(Bucket.STREAMS).values()]
    for record in claims:
        node = world.nodes.get(record.owner.node)
        known = None if node is None else node.publishers.get(record.name)
        if known is None or known[0].record.nonce != record.nonce:
            raise Violation(f"{record.name} is claimed by {record.owner}, where nobody publishes it")
    nonces = {record.nonce for record in claims}
    for node in world.nodes.values():
        for stream, (held, _, _) in node.publishers.items():
            if held.record.nonce not in nonces:
                raise Violation(f"{node.name} publishes {stream}, and the registry has no claim of it")


def _check_names(world: World) -> None:
    """Every name that is not published is free."""
    check_claims(world)
    results: list[object] = []
    names = [name for name in STREAMS if not any(name in node.publishers for node in world.nodes.values())]
    for name in names:
        next(iter(world.nodes.values())).publish(name, results.append)
    world.run(world.now + 1.0)
    if not world.nodes:
        return
    if len(results) != len(names) or not all(isinstance(each, Held) for each in results):
        raise Violation(f"free names {names} were not given: {results}")


if __name__ == "__main__":
    sys.exit(main())
