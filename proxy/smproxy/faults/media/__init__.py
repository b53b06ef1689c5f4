"""Faults in the media, which the origin carries out."""

from smproxy.faults.kind import FaultKind
from smproxy.faults.media import ice_never_completes, media_stops, packet_loss, peer_dies

FAULTS: tuple[FaultKind, ...] = (ice_never_completes.FAULT, peer_dies.FAULT, packet_loss.FAULT, media_stops.FAULT)
