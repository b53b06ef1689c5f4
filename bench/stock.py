"""aiortc as it is, as a server: an RTCPeerConnection for each offer, its tracks read and thrown away.

python bench/stock.py PORT          takes a line of JSON with an offer and answers with one; runs without this project
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole


async def answer(connection: RTCPeerConnection, offer: str) -> str:
    """Answer an offer."""
    sink = MediaBlackhole()

    @connection.on("track")
    def _(track: object) -> None:
        sink.addTrack(track)

    await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    for transport in {each.receiver.transport.transport for each in connection.getTransceivers()}:
        # On the loopback, which aioice leaves out.
        ice = transport._connection
        ice._local_candidates_start = True
        ice._local_candidates += await ice.get_component_candidates(component=1, addresses=["127.0.0.1"])
        ice._local_candidates_end = True
    await connection.setLocalDescription(await connection.createAnswer())
    await sink.start()
    return str(connection.localDescription.sdp)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client: its peer connection lasts as long as its socket."""
    connection = RTCPeerConnection()
    with contextlib.suppress(ConnectionError):
        if line := await reader.readline():
            writer.write(json.dumps(await answer(connection, json.loads(line))).encode() + b"\n")
            await reader.read()
    await connection.close()
    writer.close()


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
