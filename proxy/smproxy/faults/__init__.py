"""Things that go wrong on purpose: a module for each fault, and the registry of active ones.

A fault is switched on by REST (``POST /api/v1/faults``), by the connection parameter ``simulate``, or in Python::

    fault = simulator.faults.add("publish-denied", id="s1")              # before or after the simulator's start
    simulator.faults.add("close", stage="publish", code=4000, customer_scope="acme", count=1)
    simulator.faults.add("packet-loss", percent=20, probability=0.5, seed=7, ttl=60)
    ...
    assert fault.injected == 1      # how often it has acted
    fault.remove()                  # may be called again; a fault that has run out is no error

``add`` takes the fault's name, or its class if it is one of your own (``docs/add-a-fault.md``), its parameters, and these,
all optional: ``id``, ``customer_scope`` (or ``customerScope``), ``role`` (``publisher`` or ``subscriber``) and ``app`` choose
the connections that it is for (a ``*`` in one stands for anything; one that is not given matches everything); ``count`` how
often it is used (on sessions; the faults of hooks on events); ``probability`` from 0 to 1; ``seed`` of its random numbers;
``ttl`` in seconds. It returns a :class:`Fault` with ``id``, ``name``, ``parameters``, ``injected``, ``active`` and
``remove()``, and raises :class:`FaultError`, a ``ValueError`` whose text lists what there is.

:class:`FaultRegistry` also has ``remove(id)``, ``clear()``, ``active()``, ``log()`` (the latest :class:`Injection` last), and
``names_for(session_number)``, the names of the faults that have acted on a session. All kinds:
``smproxy.faults.catalog.KINDS``, and ``docs/faults.md``, which is made from them.

A fault never touches a connection that it does not match.
"""

from __future__ import annotations

from smproxy.faults.fault import Fault
from smproxy.faults.fault_registry import FaultRegistry, Injection
from smproxy.faults.kind import FaultKind, Layer
from smproxy.faults.match import Match
from smproxy.faults.parameter import FaultError, Parameter

__all__ = ["Fault", "FaultError", "FaultKind", "FaultRegistry", "Injection", "Layer", "Match", "Parameter"]
