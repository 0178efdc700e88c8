"""nginx, lighttpd and Caddy, from Debian: one worker each, tuned as their own documentation advises."""

import os

from benchmarks.peers.peer import Debian, Launch, Peer

NGINX_CONF = """\
{user}worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {scratch}/nginx.pid;
error_log stderr crit;
{thread_pool}
events {{ worker_connections 16384; multi_accept on; }}
http {{
    default_type application/octet-stream;
    types {{ text/plain txt; }}
    access_log {access_log};
    sendfile on;
    tcp_nopush on;
    {aio}
    open_file_cache max=10000 inactive=60s;
    open_file_cache_valid 1s;
    keepalive_requests 1000000000;
    keepalive_timeout 75s;
    server_tokens on;
    client_body_temp_path {scratch}/body;
    proxy_temp_path {scratch}/proxy;
    fastcgi_temp_path {scratch}/fastcgi;
    uwsgi_temp_path {scratch}/uwsgi;
    scgi_temp_path {scratch}/scgi;
    server {{
        listen 127.0.0.1:{port} reuseport{backlog};
        root {root};
    }}
}}
"""

LIGHTTPD_CONF = """\
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.modules = ( {modules} )
server.max-fds = 20000
server.max-connections = 16384
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 60
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.stat-cache-engine = "simple"
mimetype.assign = ( ".txt" => "text/plain", "" => "application/octet-stream" )
{access_log}
"""

CADDYFILE = """\
{{
    admin off
    auto_https off
    log {{
        level ERROR
    }}
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    root * {root}
    file_server
}}
"""


def nginx_command(launch: Launch, *, threads: bool = False, backlog: str = " backlog=4096") -> list[str]:
    """A buffered access log, as its documentation advises; `threads` reads cold files in a pool of 32."""
    log = f"{launch.access_log} combined buffer=64k flush=1s" if launch.access_log else "off"
    settings = NGINX_CONF.format(
        user="user root;\n" if os.geteuid() == 0 else "",  # the cache folder may be root's own
        scratch=launch.scratch,
        port=launch.port,
        root=launch.root,
        access_log=log,
        thread_pool="thread_pool default threads=32 max_queue=65536;" if threads else "",
        aio="aio threads;" if threads else "",
        backlog=backlog,
    )
    written = launch.scratch / "nginx.conf"
    written.write_text(settings)
    return [str(launch.program), "-p", str(launch.scratch), "-c", str(written)]


def _lighttpd(launch: Launch) -> list[str]:
    settings = LIGHTTPD_CONF.format(
        port=launch.port,
        root=launch.root,
        modules='"mod_accesslog"' if launch.access_log else "",
        access_log=f'accesslog.filename = "{launch.access_log}"' if launch.access_log else "",
    )
    written = launch.scratch / "lighttpd.conf"
    written.write_text(settings)
    return [str(launch.program), "-D", "-f", str(written)]


def _caddy(launch: Launch) -> list[str]:
    written = launch.scratch / "Caddyfile"
    written.write_text(CADDYFILE.format(port=launch.port, root=launch.root))
    return [str(launch.program), "run", "--adapter", "caddyfile", "--config", str(written)]


def _one_processor(launch: Launch) -> dict[str, str]:
    return {"GOMAXPROCS": "1", "HOME": str(launch.scratch), "XDG_CONFIG_HOME": str(launch.scratch)}


NGINX = Debian("nginx", "nginx-light", ("-v",))

PEERS = (
    Peer("nginx", "C", NGINX, nginx_command, can_log=True),
    Peer("nginx-threads", "C", NGINX, lambda launch: nginx_command(launch, threads=True), can_log=True),
    Peer("lighttpd", "C", Debian("lighttpd", "lighttpd", ("-v",)), _lighttpd, can_log=True),
    Peer("caddy", "Go", Debian("caddy", "caddy", ("version",)), _caddy, environment=_one_processor),
)
