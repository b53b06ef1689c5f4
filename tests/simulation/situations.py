"""Single failures of a healthy cluster, and how long what is promised then may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from smproxy.cluster.claims import ClaimRefusal, Held
from smproxy.cluster.records import Bucket, is_death, owner_of

from tests.simulation.oracle import Violation
from tests.simulation.scenario import check_claims
from tests.simulation.world import SimulatedLink, SimulatedNode, World

STREAMS = ("a", "b", "c", "d")


class Situation:
    """A cluster in which every node publishes a stream, of which one is the ``victim``."""

    def __init__(self, world: World) -> None:
        self.world = world
        for name in world.links:
            world.start(name)
        world.run(world.rng.uniform(6.0, 16.0))
        for name, stream in zip(world.links, STREAMS, strict=False):
            self.publishes(name, stream)
        world.run(world.now + world.rng.uniform(0.5, 4.0))
        self.victim = world.rng.choice(sorted(world.links))
        self.stream = dict(zip(world.links, STREAMS, strict=False))[self.victim]
        self.sessions = [session for _, session, _ in world.nodes[self.victim].publishers.values()]
        world.note(f"the victim is {self.victim}")

    @property
    def survivors(self) -> list[SimulatedNode]:
        return [node for name, node in self.world.nodes.items() if name != self.victim]

    def publishes(self, name: str, stream: str, within: float = 1.0) -> None:
        """Check that a node gets a name within a time."""
        results: list[object] = []
        self.world.nodes[name].publish(stream, results.append)
        self.world.run(self.world.now + within)
        if len(results) != 1 or not isinstance(results[0], Held):
            raise Violation(f"{name} did not get the name {stream} within {within:g} s: {results}")

    def freed(self, within: float) -> None:
        """Check that another node gets the victim's name within a time, by trying again and again."""
        world, end = self.world, self.world.now + within
        taker = world.rng.choice(self.survivors)

        def attempt() -> None:
            if self.stream not in taker.publishers and world.now < end:
                taker.publish(self.stream)
                world.after(0.1, lambda: taker.wake(attempt))

        attempt()
        world.run(end)
        if self.stream not in taker.publishers:
            raise Violation(f"the name of {self.victim} was not free for {taker.name} within {within:g} s")

    def ended_once(self) -> None:
        """Check that one survivor, and no other, has ended the victim's sessions."""
        for session in self.sessions:
            by = [name for _, name in self.world.oracle.ends.get(session, [])]
            if len(by) != 1 or by == [self.victim]:
                raise Violation(f"session {session} of {self.victim} was ended by {by}")

    def nobody_fenced(self) -> None:
        """Check that no node lost its place, nor its stream."""
        if any(self.world.fenced.values()):
            raise Violation(f"fenced: {self.world.fenced}")
        for node in self.world.nodes.values():
            if not node.publishers:
                raise Violation(f"{node.name} lost its stream")

    def all_is_well(self) -> None:
        """Check that after a while every claim is wanted, every publisher has one, and every session an end."""
        world = self.world
        for name in sorted(world.links):
            world.start_again(name)
        world.run(world.now + 3 * world.timing.ttl)
        check_claims(world)
        for node in world.nodes.values():
            node.end_streams()
        world.run(world.now + world.timing.ttl)
        world.oracle.check_ends()
        left = {**world.registry.entries(Bucket.SESSIONS), **world.registry.entries(Bucket.STREAMS)}
        if any(not is_death(key) or owner_of(key).node in world.nodes for key in left):
            raise Violation(f"left in the registry: {sorted(left)}")


def kill(here: Situation) -> None:
    """A node is killed: names free and sessions ended, once, within the lease and two seconds."""
    here.world.kill(here.victim)
    here.freed(here.world.timing.ttl + 2.0)
    here.ended_once()
    here.all_is_well()


def restart(here: Situation) -> None:
    """A node is killed and started at once: it is back within the lease and a second, with its old name free."""
    world = here.world
    world.kill(here.victim)
    world.run(world.now + world.rng.uniform(0.1, 5.0))
    world.start(here.victim)
    world.run(world.now + world.timing.ttl + 1.0)
    if world.nodes[here.victim].registration.life is None:
        raise Violation(f"{here.victim} is not back within the lease")
    here.publishes(here.victim, here.stream)
    here.all_is_well()


def stop(here: Situation) -> None:
    """A node leaves in order: its names are free soon, also when it had no time to free them; nobody waits for its lease."""
    world = here.world
    node = world.nodes[here.victim]
    world.links[here.victim].delay = world.rng.choice((0.002, 0.1))
    world.stop(here.victim, in_time=world.rng.random() < 0.5)
    world.after(1.0 + world.rng.random(), lambda: node.publish("late"))  # no client is taken by a node that leaves
    here.freed(5.0)
    if "late" in node.publishers:
        raise Violation(f"{here.victim} took a client after it had left")
    world.links[here.victim].delay = 0.002
    here.all_is_well()


def freeze(here: Situation) -> None:
    """A node freezes and wakes: another gets its name within the lease and two seconds, and it is fenced once it wakes."""
    world = here.world
    frozen = world.nodes[here.victim]
    frozen.frozen = True
    here.freed(world.timing.ttl + 2.0)
    here.ended_once()
    frozen.thaw()
    world.run(world.now + 1.0)
    if not world.fenced[here.victim]:
        raise Violation(f"{here.victim} woke after its lease and was not fenced")
    here.all_is_well()


def cut_off(here: Situation) -> None:
    """A node alone is cut off: it is fenced before its lease ends, and another gets its name within two seconds more."""
    world = here.world
    link, node = world.links[here.victim], world.nodes[here.victim]
    link.there, link.back = world.rng.choice(((False, False), (True, False), (False, True)))
    link.holds = world.rng.random() < 0.5
    here.freed(world.timing.ttl + world.timing.renew + 2.0)  # cut off from answers only, it is heard once more
    if node.publishers or not world.fenced[here.victim]:
        raise Violation(f"{here.victim} still publishes {list(node.publishers)} after its lease")
    world.mend(here.victim)
    world.run(world.now + world.timing.answer + 2.0)  # a request that was lost is waited for
    if node.registration.life is None:
        raise Violation(f"{here.victim} did not join again")
    here.all_is_well()


def outage(here: Situation) -> None:
    """The registry is down for a while: nobody is fenced, and names are given again as soon as it is back."""
    world = here.world
    world.registry.up = False
    world.run(world.now + world.rng.choice((1.0, 5.0, 9.0, 12.0, 30.0)) * world.rng.uniform(0.5, 1.5))
    here.nobody_fenced()
    world.registry_back()
    world.run(world.now + 2.0 + 2 * world.timing.retry)
    here.publishes(here.victim, "new", world.timing.answer + 2.0)
    world.run(world.now + 3 * world.timing.ttl)
    here.nobody_fenced()
    here.all_is_well()


def killed_in_an_outage(here: Situation) -> None:
    """A node is killed while the registry is down: once it is back, the name is free after a lease and the time to judge."""
    world = here.world
    world.registry.up = False
    world.run(world.now + world.rng.uniform(0.0, 12.0))
    world.kill(here.victim)
    world.run(world.now + world.rng.uniform(0.0, 12.0))
    world.registry_back()
    here.freed(world.timing.ttl + world.timing.grace + 2.0)
    if len(world.nodes) > 1 and any(world.fenced.values()):
        raise Violation(f"fenced, although every node had lost the registry or was dead: {world.fenced}")
    here.all_is_well()


def slow(here: Situation) -> None:
    """Requests and answers take up to two seconds each: nobody is fenced or declared dead."""
    world = here.world
    for name in world.links if world.rng.random() < 0.5 else [here.victim]:
        world.links[name].delay = world.rng.uniform(0.2, 2.0 / 1.5)
    world.run(world.now + 4 * world.timing.ttl)
    here.nobody_fenced()
    for link in world.links.values():
        link.delay = 0.002
    here.all_is_well()


def race(here: Situation) -> None:
    """Every node claims one name in the same moment: one gets it, and the others hear so within a second."""
    world = here.world
    for number in range(5):
        results: list[object] = []
        for node in world.nodes.values():
            world.after(
                world.rng.choice((0.0, 0.001, 0.01)) * world.rng.random(),
                partial(node.publish, f"race{number}", results.append),
            )
        world.run(world.now + 1.0)
        won = sum(isinstance(each, Held) for each in results)
        if won != 1 or results.count(ClaimRefusal.TAKEN) != len(world.nodes) - 1:
            raise Violation(f"{len(world.nodes)} nodes claimed one name at once: {results}")
    here.all_is_well()


def wipe(here: Situation) -> None:
    """The registry comes back without its data: every owner claims its names again, and they are held once."""
    world = here.world
    world.registry.up = False
    world.run(world.now + world.rng.uniform(0.5, 20.0))
    world.registry.wipe()
    world.oracle.wiped()
    world.registry_back()
    world.run(world.now + 2 * world.timing.ttl)
    check_claims(world)
    here.nobody_fenced()
    here.all_is_well()


def slow_then_cut(here: Situation) -> None:
    """The registry is slow for a node, also when it joins, and then lost to it: its lease ended when it thought so."""
    world = here.world
    if world.rng.random() < 0.5:
        world.kill(here.victim)
        world.run(world.now + world.timing.ttl + 2.0)
        world.start(here.victim)
    world.links[here.victim].delay = 2.0 / 1.5
    world.run(world.now + world.rng.uniform(4.0, 12.0))
    world.nodes[here.victim].publish(here.stream)
    link = world.links[here.victim]
    world.run(world.now + world.rng.uniform(1.0, 6.0))
    link.there, link.back = world.rng.choice(((False, False), (False, True), (True, False)))
    here.freed(2 * world.timing.ttl)
    world.links[here.victim].delay = 0.002
    world.mend(here.victim)
    here.all_is_well()


def left_behind(here: Situation) -> None:
    """After an outage one node finds neither the registry nor its peers: it stops before another takes its name."""
    world = here.world
    world.registry.up = False
    world.run(world.now + world.rng.uniform(1.0, 2.0) * world.timing.ttl)
    link = world.links[here.victim]
    link.there = link.back = False
    world.registry_back(0.1)
    for other in here.survivors:
        if world.rng.random() < 0.5 or other is here.survivors[0]:
            world.cut_peers.add(frozenset((here.victim, other.name)))
    here.freed(world.timing.ttl + world.timing.grace + 2.0)
    world.cut_peers.clear()
    world.mend(here.victim)
    here.all_is_well()


def both_sides(here: Situation) -> None:
    """Nodes are cut off together, and one that they do not know takes their names: once that heals they are fenced."""
    world = here.world
    old = [name for name in world.nodes if name in world.links]
    for name in old:
        world.links[name].there = world.links[name].back = False
    world.lenient = True
    world.links["new"] = SimulatedLink()
    world.start("new")
    world.run(world.now + 3 * world.timing.ttl)
    taker = world.nodes["new"]
    taker.publish(here.stream)
    world.run(world.now + 1.0)
    if here.stream not in taker.publishers:
        raise Violation("a node that came to the registry did not get a name")
    for name in old:
        world.mend(name)
    world.run(world.now + world.timing.answer + 3.0)
    world.lenient = False
    if not world.fenced[here.victim] or here.stream in world.nodes[here.victim].publishers:
        raise Violation(f"{here.victim} was declared dead and goes on")
    here.all_is_well()


def newcomer(here: Situation) -> None:
    """After an outage a node joins that nobody knows; those who find the registry within a lease are not declared dead."""
    world = here.world
    world.registry.up = False
    world.run(world.now + world.rng.uniform(1.0, 2.0) * world.timing.ttl)
    world.registry_back()
    for link in world.links.values():
        link.found = world.now + world.rng.uniform(5.0, 6.5)
    world.links["new"] = SimulatedLink()
    world.start("new")
    world.run(world.now + 2 * world.timing.ttl)
    for name, times in world.fenced.items():
        if times:
            raise Violation(f"{name} was fenced")
    here.all_is_well()


def twin(here: Situation) -> None:
    """A second process of a name waits for as long as the first lives, and joins when that is dead."""
    world = here.world
    second = world.start_twin(here.victim)
    world.run(world.now + 3 * world.timing.ttl)
    if second.registration.life is not None:
        raise Violation(f"a second {here.victim} joined beside the first")
    here.nobody_fenced()
    world.kill(here.victim)
    world.run(world.now + world.timing.ttl + 1.0)
    if second.registration.life is None:
        raise Violation(f"the second {here.victim} did not join when the first was dead")
    second.dead = True
    world.run(world.now + world.timing.ttl + 2.0)
    here.all_is_well()


def blink(here: Situation) -> None:
    """A connection that is lost for less than a second fences nobody, and a name that is claimed meanwhile is given."""
    world = here.world
    link, node = world.links[here.victim], world.nodes[here.victim]
    for number in range(4):
        results: list[object] = []
        link.there, link.back = world.rng.choice(((False, False), (True, False), (False, True)))
        node.publish(f"new{number}", results.append)
        world.run(world.now + world.rng.random())
        world.mend(here.victim)
        world.run(world.now + world.timing.answer + 2.0)
        if len(results) != 1 or not isinstance(results[0], Held):
            raise Violation(f"{here.victim} did not get a free name: {results}")
    here.nobody_fenced()
    here.all_is_well()


def late(here: Situation) -> None:
    """A claim that arrives when its client has gone is removed: the name is free for others."""
    world = here.world
    link, node = world.links[here.victim], world.nodes[here.victim]
    link.there, link.holds = False, True
    results: list[object] = []
    node.publish("new", results.append)
    world.run(world.now + world.rng.uniform(4.5, 11.0))
    world.mend(here.victim)
    world.run(world.now + 2 * world.timing.answer + 2.0)
    if not any(isinstance(each, Held) for each in results):
        here.publishes(here.survivors[0].name, "new", world.timing.ttl)
    here.all_is_well()


def alone(here: Situation) -> None:
    """A node alone loses the registry and is fenced; when it is back, so is the node, without waiting for itself."""
    world = here.world
    world.registry.up = False
    world.run(world.now + world.rng.uniform(6.0, 20.0))
    world.registry.up = True
    world.run(world.now + world.timing.answer + 4 * world.timing.retry)
    if world.nodes["n0"].registration.life is None:
        raise Violation("a node alone is not back")
    here.all_is_well()


SITUATIONS: Sequence[Callable[[Situation], None]] = (
    kill, restart, stop, freeze, cut_off, outage, killed_in_an_outage, slow, race, wipe,
    slow_then_cut, left_behind, both_sides, newcomer, twin, blink, late, alone,
)  # fmt: skip

#: Seeds that have found a fault, by the name of the situation; each is mended and stays so.
FOUND: dict[str, tuple[int, ...]] = {"freeze": (171, 330, 783), "late": (362, 779)}


def run(situation: Callable[[Situation], None], seed: int) -> World:
    """Run one situation with a seed. Raises ``Violation``, whose notes tell what happened."""
    world = World(seed, nodes=1 if situation is alone else 2 + seed % 3)
    try:
        situation(Situation(world))
    except BaseException as error:
        error.add_note(f"{situation.__name__}, seed {seed}:\n" + "\n".join(world.log))
        raise
    return world
