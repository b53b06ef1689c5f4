"""What must hold in every run of the simulated cluster, whatever happens to it."""

from __future__ import annotations

from dataclasses import dataclass, field


class Violation(AssertionError):
    """A promise was broken."""


@dataclass(slots=True)
class Oracle:
    """Watches acts, starts and ends.

    * Fencing: once the owner of a higher epoch has acted on a stream, no lower epoch acts on it again, and an epoch has one
      owner.
    * Ends: each start gets ends of one uuid only, and in the end it has one.
    * Names: in the end, every name can be claimed.
    """

    epochs: dict[str, int] = field(default_factory=dict)
    owners: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    starts: dict[int, str] = field(default_factory=dict)
    ends: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    acts: int = 0

    def acted(self, stream: str, owner: tuple[str, str], epoch: int) -> bool:
        """Take that a node sent a packet or a hook of a stream; return whether it is the first of its epoch."""
        self.acts += 1
        highest = self.epochs.get(stream, 0)
        if epoch < highest:
            raise Violation(f"{owner} acted on {stream} with epoch {epoch} after epoch {highest} had acted")
        if self.owners.setdefault((stream, epoch), owner) != owner:
            raise Violation(f"{owner} and {self.owners[stream, epoch]} both acted on {stream} with epoch {epoch}")
        self.epochs[stream] = epoch
        return epoch > highest

    def wiped(self) -> None:
        """Take that the registry lost its data: epochs begin again."""
        self.epochs.clear()
        self.owners.clear()

    def started(self, session: int, uuid: str) -> None:
        """Take a session's start, with the uuid that its end must have."""
        assert session not in self.starts
        self.starts[session] = uuid

    def ended(self, session: int, uuid: str, by: str) -> None:
        """Take an end that was written."""
        if session not in self.starts:
            raise Violation(f"{by} ended session {session}, which never began")
        if self.starts[session] != uuid:
            raise Violation(f"{by} ended session {session} with the uuid {uuid}, not {self.starts[session]}")
        known = self.ends.setdefault(session, [])
        if any(each == by for _, each in known):
            raise Violation(f"{by} ended session {session} twice")
        known.append((uuid, by))

    def check_ends(self, but: frozenset[int] = frozenset()) -> None:
        """Check that every session has its end."""
        open_ = self.starts.keys() - self.ends.keys() - but
        if open_:
            raise Violation(f"sessions without an end: {sorted(open_)}")
