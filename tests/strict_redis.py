"""A Redis that lets in one user alone, who may do what the README lists, over TLS where the binary can."""

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from redis import Redis
from redis_server import RedisServer

README = Path(__file__).parent.parent / "README.md"
PASSWORD = "p@ss/w:rd#%"
IN_URL = "p%40ss%2Fw%3Ard%23%25"


def acl() -> list[str]:
    """The arguments of `ACL SETUSER` as the README tells ops to give them."""
    found = re.search(r"^ +redis-cli (ACL SETUSER (?:.*\\\n)*.*)", README.read_text(), re.MULTILINE)
    assert found is not None, "the README has the command"
    return shlex.split(found[1].replace("\\\n", " ").replace("PASSWORD", PASSWORD))


def speaks_tls(binary: str) -> bool:
    """It stops at the first setting that it does not know."""
    said = subprocess.run([binary, "--tls-port", "0", "--port", "none"], capture_output=True, text=True, check=False)
    return "tls-port" not in said.stdout + said.stderr


def certificates(folder: Path, ca: trustme.CA, host: str = "127.0.0.1") -> dict[str, Path]:
    """Files for Redis's settings of TLS, by their names, with a certificate for `host`."""
    names = ("tls-ca-cert-file", "tls-cert-file", "tls-key-file")
    files = {name: folder / f"{name}.pem" for name in names}
    issued = ca.issue_cert(host)
    ca.cert_pem.write_to_path(str(files["tls-ca-cert-file"]))
    issued.cert_chain_pems[0].write_to_path(str(files["tls-cert-file"]))
    issued.private_key_pem.write_to_path(str(files["tls-key-file"]))
    return files


@dataclass(frozen=True, slots=True)
class StrictRedis:
    """`admin` may do all, over a connection from before the default user was shut out."""

    server: RedisServer
    admin: Redis

    def url(self, password: str = IN_URL, user: str = "sluice") -> str:
        return self.server.url.replace("://", f"://{user}:{password}@", 1)

    def refused(self) -> list[str]:
        """What the user asked for and was not given, from Redis's own log."""
        return [f"{each['reason']}: {each['object']}" for each in self.admin.acl_log()]


def start(binary: str, folder: Path) -> StrictRedis:
    tls = certificates(folder, trustme.CA()) if speaks_tls(binary) else None
    server = RedisServer(binary, folder, tls=tls)
    server.start()
    # redis-py leaves `execute_command` untyped.
    admin: Any = Redis.from_url(server.url, decode_responses=True, single_connection_client=True)
    admin.execute_command(*acl())
    admin.execute_command("ACL", "SETUSER", "default", "off")
    return StrictRedis(server, admin)
