"""What a fault is, in one class: name, layer, parameters and effect."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import Any, ClassVar

from smproxy.faults.parameter import AnyParameter, FaultError, Parameter, Value, Values


class Layer(StrEnum):
    """Where a fault acts, as people choose it."""

    SIGNALING = "signaling"
    MEDIA = "media"
    ORIGIN = "origin"
    HTTP = "http"
    HOOKS = "hooks"


class FaultKind:
    """One kind of fault.

    Its instances are what it does: one for each connection, origin or attempt that it is used on.

    A kind is a subclass of what acts on its layer: ``AdmissionFault``, ``AuthFault``, ``SignalingFault``, ``ExchangeFault``,
    ``MediaFault``, ``OriginFault`` or ``HookFault``. ``effect`` says what it does, ``publish`` what ``publish()`` of SDK 11
    makes of it, and ``whip`` what it does to WHIP and WHEP, if that is something else. ``live``: it acts on sessions, too, that
    were there before it was switched on. Its :class:`Parameter` attributes are its parameters.
    """

    name: ClassVar[str]
    layer: ClassVar[Layer]
    effect: ClassVar[str]
    publish: ClassVar[str] = ""
    whip: ClassVar[str] = "the same"
    live: ClassVar[bool] = False
    parameters: ClassVar[tuple[AnyParameter, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        classes = reversed(cls.__mro__)
        cls.parameters = tuple(each for one in classes for each in vars(one).values() if isinstance(each, Parameter))

    def __init__(self, values: Values, rng: Random) -> None:
        """Begin one use, with the values that :meth:`read` gave and random numbers of its own."""
        vars(self).update(values)
        self.rng = rng

    @classmethod
    def read(cls, given: Mapping[str, object]) -> dict[str, Value]:
        """Return the values of all parameters, those given and the defaults of the others.

        Raises:
            FaultError: one is unknown or unusable.
        """
        known = {parameter.name: parameter for parameter in cls.parameters}
        for name in given:
            if name not in known:
                listed = f"those are {', '.join(known)}" if known else "it has none"
                raise FaultError(f"{cls.name} has no parameter {name[:100]!r}: {listed}")
        try:
            return {
                name: parameter.read(given[name]) if name in given else parameter.default
                for name, parameter in known.items()
            }
        except FaultError as error:
            raise FaultError(f"{cls.name}: {error}") from None
