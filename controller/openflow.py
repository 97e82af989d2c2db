"""Where switches dial in, as both bases are told."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any, Final

from spectrum.errors import Failed
from spectrum.site_file import TlsTable

# A switch that leaves two of these unanswered is taken for lost.
ECHO_S: Final = 2.0
UNANSWERED_ECHOES: Final = 2


@dataclass(frozen=True, slots=True)
class OpenFlowListen:
    """Address and port for switches; mutual TLS where keys are given."""

    host: str
    port: int
    tls: TlsTable | None = None


def free(listen: OpenFlowListen) -> None:
    """Failed when the address is taken: a base would only log it."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        socket.create_server((listen.host, listen.port), family=family).close()
    except OSError as error:
        message = f"cannot listen for switches on {listen.host}:{listen.port} ({error.strerror}): is another controller"
        raise Failed(f"{message} running there?") from None


def configure(conf: Any, listen: OpenFlowListen) -> None:
    """Set a base's own options; Failed when the address is taken."""
    free(listen)
    conf([], project="airshed", default_config_files=[])
    conf.set_override("ofp_listen_host", listen.host)
    conf.set_override("ofp_tcp_listen_port", listen.port)
    conf.set_override("ofp_ssl_listen_port", listen.port)
    conf.set_override("echo_request_interval", ECHO_S)
    conf.set_override("maximum_unreplied_echo_requests", UNANSWERED_ECHOES)
    if listen.tls is not None:
        conf.set_override("ctl_privkey", listen.tls.key)
        conf.set_override("ctl_cert", listen.tls.certificate)
        conf.set_override("ca_certs", listen.tls.ca)
