"""What ``smproxy serve`` prints when it is ready: the URLs to use."""

from __future__ import annotations

from smproxy.addresses import WILDCARDS, network_names, url_host
from smproxy.simulator import Simulator


def banner(simulator: Simulator) -> str:
    """Return the lines of the banner."""
    settings = simulator.settings
    host = url_host(settings.host)
    plain = f"{host}:{simulator.port}"
    app = settings.default_app
    rows = [
        ("Dashboard", f"http://{plain}/"),
        ("Test pages", f"http://{plain}/publish and /subscribe"),
        ("Stream manager", f"http://{plain}/streammanager/api/4.0/event/{app}/NAME?action=broadcast"),
        ("Proxy", simulator.url if settings.proxy_enabled else f"disabled by proxy.enabled in {settings.config}"),
        ("WHIP and WHEP", f"http://{plain}/{app}/whip/endpoint/NAME and …/{app}/whep/endpoint/NAME"),
        ("Webhook socket", f"ws://{plain}/{app}/webhook?customerScope=SCOPE"),
    ]
    rows += [("The same", f"http://{host}:{port}/") for port in simulator.ports[1:]]
    rows += [
        ("With TLS", f"https://{host}:{port} and wss://{host}:{port}/streammanager") for port in simulator.tls_ports
    ]
    if (
        others := network_names(settings.host, settings.tls_host)
        if settings.host in WILDCARDS or settings.tls_host
        else []
    ):
        scheme, port = ("http", simulator.port) if simulator.tls_port is None else ("https", simulator.tls_port)
        rows.append(("Other machines", " ".join(f"{scheme}://{url_host(name)}:{port}/" for name in others)))
    if simulator.authority is not None:
        rows.append(("Authority", f"{simulator.authority.authority.resolve()} (trust it in browser or system)"))
    origins = [
        f"{node.address} ({'in this process' if node.reports else 'external'})"
        for node in simulator.manager.registry.nodes
    ]
    rows.append(("Origins", ", ".join(origins) or "none registered"))
    media = [f"UDP port {simulator.media_port}"] if simulator.media_port is not None else []
    media += [f"TCP port {simulator.port}, where UDP does not pass"] if settings.media_tcp else []
    if media:
        rows.append(("Media", "; ".join(media)))
    sinks = [status.name for status in simulator.dispatcher.status()]
    rows.append(("Hooks go to", ", ".join(sinks) or "the webhook socket only (add --hook-uri URL)"))
    width = max(len(label) for label, _ in rows)
    lines = [f"  {label.ljust(width)}  {text}" for label, text in rows]
    return "\n".join(["Local stream manager is ready. Ctrl-C stops it.", *lines])
