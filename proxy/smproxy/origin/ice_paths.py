"""The client's addresses: which count, and which is sent to (RFC 8445, 8.1.1; RFC 7675).

Sans-I/O.

The client nominates an address. When a NAT gives it another port in mid-session it does not know, and nominates nothing: its
signed checks and its media come from a new address, and the old one is silent. Then the new one is sent to.

A check proves who wrote it, not where it was written, so one that was seen before and comes again from elsewhere is a copy.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

Address = tuple[str, int]
LocalSocket = TypeVar("LocalSocket")

#: Addresses of the client that are known at a time; the one whose last check is the oldest makes room.
MAX_CHECKED = 64
#: Transactions that are remembered; a browser makes one check in 2.5 s once it is connected.
_MAX_TRANSACTIONS = 128


class Sign(Enum):
    """The kind of a datagram from another address of the client.

    The value is how long the nominated one must be silent, in seconds.

    A browser checks its spare pairs now and then, so checks alone need longer than its own keep-alive takes. What was
    decrypted from the data channel is waited for, and never comes by the spare pair.
    """

    MESSAGE = 0.0
    MEDIA = 0.5
    CHECK = 2.5


class Paths(Generic[LocalSocket]):
    """The addresses of one client.

    ``selected`` is the local socket and the address that is sent to.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        #: Where fresh checks signed with our password came from, the latest check last.
        self.checked: dict[Address, None] = {}
        self.selected: tuple[LocalSocket, Address] | None = None
        #: Datagrams that came from addresses other than the selected one.
        self.elsewhere = 0
        self._monotonic = monotonic
        self._transactions: OrderedDict[bytes, Address] = OrderedDict()
        #: For an address that may be new: the count of datagrams from the selected one, and the time when that began.
        self._silence: dict[Address, tuple[int, float]] = {}

    def check(self, transaction: bytes, address: Address) -> bool:
        """Take a signed check; False when it is a copy of another one."""
        if self._transactions.setdefault(transaction, address) != address:
            return False
        if len(self._transactions) > _MAX_TRANSACTIONS:
            self._transactions.popitem(last=False)
        self.checked.pop(address, None)
        if len(self.checked) >= MAX_CHECKED:
            oldest = next(iter(self.checked))
            del self.checked[oldest]
            self._silence.pop(oldest, None)
        self.checked[address] = None
        return True

    def select(self, local: LocalSocket, address: Address) -> None:
        """Send to this address from now on."""
        self.selected = (local, address)
        self._silence.clear()

    def sign(self, sign: Sign, local: LocalSocket, address: Address, datagrams: int) -> bool:
        """Take a sign of the client from an address that is not selected.

        Returns whether that one is selected now.

        ``datagrams`` is how many came from all addresses, so that nothing has to be counted for each of them.
        """
        if self.selected is None:
            return False
        heard, now = datagrams - self.elsewhere, self._monotonic()
        before, since = self._silence.get(address, (-1, now))
        if before != heard:
            self._silence[address] = (heard, now)
            return False
        if now - since < sign.value:
            return False
        self.select(local, address)
        return True
