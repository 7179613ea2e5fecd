"""The file of outputs: TOML, one table for each, by its name."""

from __future__ import annotations

import re
import ssl
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.alerts.alert import Kind
from service.client.patience import Patience
from service.errors import SettingsError
from service.export.severity import Severity
from service.outputs.courier import Outlet
from service.outputs.file import File, FileSpec
from service.outputs.forms import Form
from service.outputs.syslog import FACILITIES, Carrier, Syslog, SyslogSpec
from service.outputs.wanted import SCANS, Wanted
from service.outputs.webhook import Webhook, WebhookSpec
from service.store.events import EventKind

if TYPE_CHECKING:
    from service.outputs.output import Output

MOST_OUTPUTS = 32
LEAST_SECRET = 16
"""Bytes of a secret for signatures."""

_MOST_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_PORTS = {Carrier.UDP: 514, Carrier.TCP: 601, Carrier.TLS: 6514}


class _Table(BaseModel):
    """What all outputs have."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    events: frozenset[EventKind] = SCANS
    kinds: frozenset[Kind] = frozenset(Kind)
    severity: Severity = Severity.LOW
    allowed: bool = False
    muted: bool = False
    tries: int = Field(20, ge=1, le=10_000)
    longest_pause: float = Field(300.0, ge=1, le=3600)

    def outlet(self, name: str, version: str) -> Outlet:
        """Return the output; raises SettingsError for what can't be used."""
        wanted = Wanted(self.events, self.kinds, self.severity, self.allowed, self.muted)
        patience = Patience(tries=self.tries, first=1.0, longest=self.longest_pause)
        return Outlet(name, self.output(version), wanted, patience)

    def output(self, version: str) -> Output:
        raise NotImplementedError


class _Webhook(_Table):
    type: Literal["webhook"]
    url: str
    secret_file: Path
    authorization_file: Path | None = None
    format: Form = Form.JSON
    timeout: float = Field(10.0, gt=0, le=60)
    proxy: str | None = None
    ca_file: Path | None = None

    def output(self, version: str) -> Output:
        secret = _read(self.secret_file, "secret_file").strip()
        if len(secret) < LEAST_SECRET:
            raise SettingsError(f"secret_file: {self.secret_file} has fewer than {LEAST_SECRET} bytes; write more")
        named = self.authorization_file
        spec = WebhookSpec(
            url=self.url,
            secret=secret,
            authorization=None if named is None else _header(_read(named, "authorization_file"), named),
            form=self.format,
            timeout=self.timeout,
            proxy=self.proxy,
            trust=_trust(self.ca_file),
        )
        return Webhook(spec, version)


class _Syslog(_Table):
    type: Literal["syslog"]
    url: str
    facility: str = Field("local0", pattern=f"^({'|'.join(FACILITIES)})$")
    timeout: float = Field(10.0, gt=0, le=60)
    ca_file: Path | None = None

    def output(self, version: str) -> Output:
        try:
            parts = urlsplit(self.url)
            carrier, host, port = Carrier(parts.scheme), parts.hostname, parts.port
        except ValueError:
            host = None
        if not host or parts.path or parts.query or parts.username:
            raise SettingsError(f"url: {self.url} is not of the form udp://, tcp:// or tls://HOST:PORT")
        spec = SyslogSpec(carrier, host, port or _PORTS[carrier], self.facility, self.timeout, _trust(self.ca_file))
        return Syslog(spec, version)


class _File(_Table):
    type: Literal["file"]
    path: Path
    format: Form = Form.EVE

    def output(self, version: str) -> Output:
        if not self.path.parent.is_dir():
            raise SettingsError(f"path: {self.path.parent} is no folder; make it, or name another one")
        if self.path.exists() and not self.path.is_file():
            raise SettingsError(f"path: {self.path} is no file; name another one")
        return File(FileSpec(self.path, self.format), version)


_TABLE: TypeAdapter[_Webhook | _Syslog | _File] = TypeAdapter(
    Annotated[_Webhook | _Syslog | _File, Field(discriminator="type")]
)


def read_outlets(file: Path, version: str) -> tuple[Outlet, ...]:
    """Return the outputs of a file, in its order; `version` is Yocho's own.

    Raises SettingsError, which says where, for what is unknown, wrong, or can't be read.
    """
    try:
        tables = tomllib.loads(_read(file, "outputs").decode())
    except (tomllib.TOMLDecodeError, UnicodeError) as error:
        raise SettingsError(f"{file}: is no TOML: {error}") from None
    if len(tables) > MOST_OUTPUTS:
        raise SettingsError(f"{file}: has {len(tables)} outputs; {MOST_OUTPUTS} are the most")
    return tuple(_outlet(file, name, table, version) for name, table in tables.items())


def _outlet(file: Path, name: str, table: object, version: str) -> Outlet:
    if not isinstance(table, dict) or not _NAME.fullmatch(name):
        raise SettingsError(
            f"{file}: {name}: is no table of an output; write [NAME], in up to 40 of a-z, 0-9, - and _, before it"
        )
    try:
        return _TABLE.validate_python(table).outlet(name, version)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        # The first place is the type.
        where = ".".join(map(str, first["loc"][1:])) or "type"
        raise SettingsError(f"{file}: [{name}] {where}: {first['msg'].lower()}") from None
    except SettingsError as error:
        raise SettingsError(f"{file}: [{name}] {error}") from None


def _read(file: Path, what: str) -> bytes:
    try:
        with file.open("rb") as opened:
            content = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{what}: {file}: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise SettingsError(f"{what}: {file}: has more than {_MOST_BYTES} bytes")
    return content


def _header(content: bytes, file: Path) -> str:
    """Return the value of a header that a file holds."""
    text = content.strip().decode("ascii", "replace")
    if not text or not text.isascii() or not text.isprintable():
        raise SettingsError(f"authorization_file: {file}: is no line such as Bearer TOKEN")
    return text


def _trust(file: Path | None) -> ssl.SSLContext | None:
    """Return a context that believes the authorities of a file alone, or None if there is none."""
    if file is None:
        return None
    try:
        return ssl.create_default_context(cafile=file)
    except OSError as error:
        raise SettingsError(f"ca_file: {file}: {error.strerror or 'holds no certificates'}") from None
