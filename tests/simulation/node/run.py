"""One run: a seed's steps, processes that come and go, and in the end everything must be as promised."""

from __future__ import annotations

import asyncio
import logging
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smproxy.hooks.journal import JournalError
from smproxy.signaling.clock import Clock

from tests.simulation.node.disk import Disk
from tests.simulation.node.loop import SimulatedLoop, SimulatedTime
from tests.simulation.node.models.violation import BrokenPromise, broken
from tests.simulation.node.process import SimulatedProcess
from tests.simulation.node.receivers import SimulatedReceiver
from tests.simulation.node.steps import LENGTH, MORE_RECEIVERS, RECEIVERS, Setup, Step, draw
from tests.simulation.node.witness import Witness

#: Virtual seconds in which a healed node delivers all: FAST gives up after 30 s, a group of events takes its turn.
SETTLE = 600.0

_EPOCH = 1_790_000_000.0


class Run:
    """The world of one run."""

    def __init__(self, seed: int, setup: Setup, steps: Sequence[Step], folder: Path) -> None:
        self._seed = seed
        self._setup = setup
        self._steps = sorted(steps, key=lambda step: step.at)
        self._time = SimulatedTime()
        self._wall = _EPOCH
        self._clock = Clock(wall=lambda: self._wall + self._time.now, monotonic=lambda: self._time.now)
        self.witness = Witness(setup, lambda: self._time.now)
        self._disk = Disk(folder, random.Random(f"disk/{seed}"))
        rng = random.Random(f"receivers/{seed}")
        for name in (*RECEIVERS, *MORE_RECEIVERS):
            url = f"http://{name}/"
            self.witness.receivers[url] = SimulatedReceiver(url, rng, self._requested)
        self._lives = 0
        self._pause = 0.0
        self.witness.stop = self._kill
        self._process: SimulatedProcess | None = None
        self._loop: SimulatedLoop | None = None
        self._stopping: asyncio.Event | None = None

    def execute(self) -> Witness:
        """Run to the end. Raises :class:`BrokenPromise`, whose note tells what happened."""
        try:
            return self._execute()
        except BrokenPromise as error:
            error.add_note("\n".join(self.witness.log))
            raise

    def _execute(self) -> Witness:
        while self._live(last=False):
            self._time.now += self._pause
            while self._steps and self._steps[0].at <= self._time.now:
                self._world(self._steps.pop(0))
        self._disk.mode = "ok"
        for receiver in self.witness.receivers.values():
            receiver.mode = "good"
        self._live(last=True)
        return self.witness

    def _live(self, *, last: bool) -> bool:
        """Run one process until it is killed, stopped, or there are no more steps; return whether another is to follow."""
        self._lives += 1
        self.witness.restarted(self._disk.path)
        rng = random.Random(f"process/{self._seed}/{self._lives}")
        loop = self._loop = SimulatedLoop(self._time, random.Random(rng.getrandbits(64)))
        loop.connector = self._connect
        self._disk.killed = self._kill
        process = self._process = SimulatedProcess(loop, rng, self._clock, self._setup, self._disk, self.witness)
        self.witness.note(f"process {self._lives} starts")
        asyncio.set_event_loop(loop)
        main = loop.create_task(self._main(process, last))
        main.add_done_callback(lambda _: loop.stop())
        try:
            loop.run_forever()
            if loop.dead:
                self.witness.note("killed")
            elif (error := main.exception()) is not None:
                raise error
        except JournalError as error:
            self.witness.note(f"does not start: {str(error).rpartition(chr(58))[2]}")
            self._disk.mode = "ok"
            self._pause = 1.0
            if last:
                raise BrokenPromise(f"start: {error}") from error
        finally:
            loop.bury()
            process.crash()
            self._disk.restart()
            asyncio.set_event_loop(None)
        if self.witness.failure is not None:
            raise self.witness.failure
        return not last and bool(self._steps)

    async def _main(self, process: SimulatedProcess, last: bool) -> None:
        loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        for step in self._steps:
            loop.call_at(step.at, self._step, step)
        if not self._steps:
            self._stopping.set()
        await process.start()
        if last:
            for client in list(process._clients):
                process.origin.leave(client, "goodbye")
            self._stopping.set()
        else:
            loop.call_at(max(LENGTH, self._time.now), self._stopping.set)
        await self._stopping.wait()
        if last:
            if not await process.settled(SETTLE):
                broken("delivery", f"after {SETTLE:g} s with good receivers: {process.dispatcher.status()}")
            self._check_dead_letters(process)
        await process.stop()
        if last:
            self.witness.finished(self._disk.path)

    def _check_dead_letters(self, process: SimulatedProcess) -> None:
        """Those in memory are those that this process has given up."""
        for letter in process.dispatcher.dead_letters():
            if (letter.sink, letter.event.uuid) not in self.witness.delivery.ever:
                broken("dead letters", f"{letter.event.uuid} is one, but was not given up at {letter.sink}")

    # steps

    def _step(self, step: Step) -> None:
        if step not in self._steps:
            return
        self._steps.remove(step)
        self.witness.guarded(self._take, step)
        if not self._steps and self._stopping is not None:
            self._stopping.set()

    def _take(self, step: Step) -> None:
        self.witness.note(f"step {step.what} {step.detail}")
        assert self._process is not None
        assert self._stopping is not None
        match step.what:
            case "kill":
                self._pause = float(step.detail.split()[1])
                self._kill()
            case "kill in a write":
                self._pause = 0.5
                self._disk.kill_after = 1 + step.number % 5
            case "stop":
                self._pause = float(step.detail.split()[1])
                self._stopping.set()
            case "receiver" | "disk" | "clock":
                self._world(step)
            case _:
                self._process.take(step)

    def _world(self, step: Step) -> None:
        """Let something happen that needs no running node."""
        match step.what:
            case "receiver":
                name, mode = step.detail.split()
                self.witness.receivers[f"http://{name}/"].mode = int(mode) if mode.isdigit() else mode
            case "disk":
                self._disk.mode = step.detail
            case "clock":
                self._wall += float(step.detail)

    def _kill(self) -> None:
        assert self._loop is not None
        self._disk.keep()
        self._loop.kill()

    async def _connect(self, factory: Any, host: str, port: int) -> Any:
        assert self._loop is not None
        return await self.witness.receivers[f"http://{host}/"].connect(self._loop, factory)

    def _requested(self, receiver: str, uuid: str, body: bytes) -> None:
        self.witness.guarded(self.witness.requested, receiver, uuid, body)


def run(seed: int, steps: Sequence[Step] | None = None, setup: Setup | None = None) -> Witness:
    """Run a seed, or other steps with its chances. Raises :class:`BrokenPromise`."""
    drawn = draw(seed)
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(dir=_memory()) as folder:
            return Run(seed, setup or drawn[0], drawn[1] if steps is None else steps, Path(folder)).execute()
    finally:
        logging.disable(level)


def _memory() -> str | None:
    """Return a folder that wears out no disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
