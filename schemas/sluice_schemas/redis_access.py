"""How to get into Redis: one URL that redis-py and kombu read alike, and what it means when Redis turns one away."""

from pathlib import Path
from ssl import SSLCertVerificationError
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError, ResponseError

from sluice_schemas.errors import Misconfigured

FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
# Both libraries spell the one value that is allowed in more ways than one.
VERIFIED = {"ssl_cert_reqs": ("required", "cert_required"), "ssl_check_hostname": ("true", "yes", "1")}
ESCAPES = "Write @ / : # ? % in a user or password as %40 %2F %3A %23 %3F %25."


def checked(url: str) -> str:
    """The URL in the one form that redis-py and kombu read alike, under TLS with the certificate verified.

    kombu would not verify one unless told so, and would speak no TLS at all where it is given a transport by name.
    Raises `Misconfigured`, which quotes nothing that might be part of a password.
    """
    if not url.startswith(("redis://", "rediss://")):
        raise Misconfigured(
            "The Redis URL must start with redis:// or rediss://. Neither a Unix socket nor Redis Cluster can serve "
            "both the ledger and Celery's queues."
        )
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        # Without its cause, which quotes what it took for a port.
        raise _unreadable() from None
    database = parts.path.removeprefix("/") or "0"
    if parts.fragment or not database.isdecimal():
        raise _unreadable()
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "127.0.0.1"
    query = urlencode(_tls(parts.scheme, options))
    return f"{parts.scheme}://{_credentials(parts)}{host}:{port}/{database}{query and '?'}{query}"


def masked(url: str) -> str:
    """The URL without its password, to be shown."""
    parts = urlsplit(url)
    return url if parts.password is None else url.replace(f":{parts.password}@", ":***@", 1)


def refusal(exc: RedisError) -> Misconfigured | None:
    """What ops must change when Redis, or TLS before it, turned this client away. None for any other failure."""
    if isinstance(exc, AuthenticationError | AuthorizationError):
        return Misconfigured(f"Redis refuses the user or the password of its URL. Set SLUICE_REDIS_URL. {ESCAPES}")
    if isinstance(exc, NoPermissionError) or (isinstance(exc, ResponseError) and "can't run this command" in str(exc)):
        return Misconfigured(
            f"Redis forbids its user what Sluice does: {str(exc).rstrip('.')}. Give it the ACL in Sluice's README."
        )
    if distrust := _distrust(exc):
        return Misconfigured(
            f"The certificate of Redis is not trusted, and nothing was sent: {distrust.verify_message.rstrip('.')}. "
            "Name its CA in SLUICE_REDIS_URL, rediss://...?ssl_ca_certs=FILE, and the host as in the certificate."
        )
    return None


def _unreadable() -> Misconfigured:
    return Misconfigured(
        "The Redis URL cannot be read. It looks like redis://host:6379/0 or rediss://user:password@host:6379/0. "
        f"{ESCAPES}"
    )


def _credentials(parts: SplitResult) -> str:
    if parts.username is None and parts.password is None:
        return ""
    user, password = (quote(unquote(each or ""), safe="") for each in (parts.username, parts.password))
    return f"{user}:{password}@" if password else f"{user}@"


def _tls(scheme: str, options: dict[str, str]) -> dict[str, str]:
    """The options of a URL; under rediss:// with those that verify the certificate."""
    if scheme == "redis":
        if options:
            raise Misconfigured("The Redis URL has options, which only TLS takes: it must start with rediss://.")
        return {}
    if not options.keys() <= {*FILES, *VERIFIED}:
        raise Misconfigured(f"After its ? the Redis URL may have {', '.join((*FILES, *VERIFIED))}, and nothing else.")
    for name, values in VERIFIED.items():
        if options.pop(name, values[0]).lower() not in values:
            raise Misconfigured(
                f"{name} of the Redis URL must be {values[0]}: anybody could pose as Redis. "
                "Name the CA of its certificate in ssl_ca_certs."
            )
    for name, file in options.items():
        if not Path(file).is_file():
            raise Misconfigured(f"{name} of the Redis URL must name a file, and {file} is none.")
    return options | {name: values[0] for name, values in VERIFIED.items()}


def _distrust(exc: BaseException) -> SSLCertVerificationError | None:
    """redis-py words the failure anew, and what it was stands behind it."""
    behind: BaseException | None = exc
    while behind is not None:
        if isinstance(behind, SSLCertVerificationError):
            return behind
        behind = behind.__cause__ or behind.__context__
    return None
