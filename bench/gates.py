"""`python -m bench.gates KUBECONFIG NAMESPACE PORT`: gates for pods that only seem to run.

Each pod's address leads here. Whoever comes is shown the certificate of that pod's session, is
let in whatever they bring, and is told again and again that the screen was painted.
"""

import asyncio
import base64
import contextlib
import ssl
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from porthole_contract.stream.control import HEARTBEAT, State, encode
from porthole_contract.stream.preface import Admitted, Decoder
from porthole_contract.stream.preface import encode as encode_preface
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import PODS, SECRETS


class Gates:
    """The gates of all pods of a namespace."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._pods: dict[str, tuple[str, UUID]] = {}

    async def follow(self) -> None:
        """Know which address is whose; until cancelled."""
        _, version = await self._cluster.list_to_watch(PODS, self._namespace)
        news = self._cluster.watch(PODS, self._namespace, version, seconds=3600)
        async for _, body in news:
            address = (body.get("status") or {}).get("podIP")
            if address:
                (owner,) = body["metadata"]["ownerReferences"]
                self._pods[address] = (body["metadata"]["name"], UUID(owner["uid"]))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be the gate that somebody has come to."""
        with contextlib.suppress(OSError, ssl.SSLError, KeyError):
            name, session = self._pods[writer.get_extra_info("sockname")[0]]
            await writer.start_tls(await self._tls(name))
            decoder = Decoder()
            while decoder.feed(await reader.read(4096)) is None:
                pass
            writer.write(encode_preface(Admitted()))
            begun = asyncio.get_running_loop().time()
            while not reader.at_eof():
                idle = asyncio.get_running_loop().time() - begun
                writer.write(encode(State(session=session, drawn=True, idle_seconds=idle)))
                await writer.drain()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(HEARTBEAT.total_seconds()):
                        await reader.read(4096)
        writer.transport.abort()

    async def _tls(self, name: str) -> ssl.SSLContext:
        """Return how the gate of this session is known."""
        secret = await self._cluster.get(SECRETS, self._namespace, name)
        assert secret is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            pems = (base64.b64decode(secret["data"][key]) for key in ("tls.key", "tls.crt"))
            file.write(b"\n".join(pems))
            file.flush()
            context.load_cert_chain(file.name)
        return context


async def main(kubeconfig: Path, namespace: str, port: int) -> None:
    """Serve until asked to end."""
    cluster = await Cluster.connect(kubeconfig, "gates")
    gates = Gates(cluster, namespace)
    try:
        async with await asyncio.start_server(gates.serve, "0.0.0.0", port, backlog=1000):
            await gates.follow()
    finally:
        await cluster.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
