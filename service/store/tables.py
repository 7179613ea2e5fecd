"""The tables. A value has its own column only where rows are looked up or listed by it.

A change of them needs a revision in `service.store.migrations`, and is not whole without one: a test compares.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# SQLite numbers rows by itself only if the column's type is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

windows = Table(
    "windows",
    metadata,
    Column("id", String, primary_key=True),
    Column("sensor", String, nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("end_ns", BigInteger, nullable=False),
    Column("digest", String, nullable=False),
    Column("patterns", JSON, nullable=False),
    Column("alerts", JSON, nullable=False),
    Column("sources", Integer, nullable=False),
    Column("services", Integer, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("shed", BigInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    Index("windows_of_sensor", "sensor", "start_ns"),
    Index("windows_by_time", "end_ns"),
)

patterns = Table(
    "patterns",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("sensor", String, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("length_ns", BigInteger, nullable=False),
    Column("recurring", Boolean, nullable=False),
    Column("status", String, nullable=False),
    Column("state", String, nullable=False),
    # Names of its services, each between two spaces.
    Column("services", Text, nullable=False),
    Index("patterns_of_sensor", "sensor", "sequence"),
    Index("patterns_by_status", "sensor", "status", "last_seen_ns"),
    Index("patterns_of_catalogue", "sensor", "length_ns", "recurring", "last_seen_ns"),
    sqlite_autoincrement=True,
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("sensor", String, primary_key=True),
    Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("windows", BigInteger, nullable=False),
)

pattern_versions = Table(
    "pattern_versions",
    metadata,
    Column("pattern", String, ForeignKey("patterns.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Text, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("sensor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("first_seen_ns", BigInteger, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
    Column("open_until_ns", BigInteger, nullable=False),
    # A window was recorded that ends after open_until.
    Column("ended", Boolean, nullable=False),
    Column("allowed", Boolean, nullable=False),
    # Evidence over threshold: comparable between grounds.
    Column("score", Float, nullable=False),
    Column("pattern", String),
    Column("updates", Integer, nullable=False),
    Column("document", Text, nullable=False),
    Index("alerts_of_sensor", "sensor", "open_until_ns"),
    Index("alerts_going_on", "sensor", "ended", "open_until_ns"),
    Index("alerts_of_pattern", "pattern"),
    Index("alerts_of_kind", "kind", "sequence"),
    Index("alerts_by_time", "last_seen_ns"),
    sqlite_autoincrement=True,
)

memories = Table(
    "memories",
    metadata,
    Column("sensor", String, primary_key=True),
    Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
    # Whose: what the groups' history, the factorisation and others remember is written apart.
    Column("part", String, primary_key=True),
    Column("window", String, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

alert_sources = Table(
    "alert_sources",
    metadata,
    Column("source", String, primary_key=True),
    Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
    # 16 bytes, IPv4 as ::ffff:0:0/96: networks are ranges of them.
    Column("address", LargeBinary(16), nullable=False),
    Index("sources_of_alert", "alert"),
    Index("sources_by_address", "address"),
)

alert_services = Table(
    "alert_services",
    metadata,
    Column("service", String, primary_key=True),
    Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
    Index("services_of_alert", "alert"),
)

# What people say of alerts; no window changes it.
alert_states = Table(
    "alert_states",
    metadata,
    Column("alert", String, ForeignKey("alerts.id"), primary_key=True),
    Column("acknowledged_ns", BigInteger),
    Column("acknowledged_by", String),
    Column("muted_until_ns", BigInteger),
    Column("muted_by", String),
)

comments = Table(
    "comments",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("alert", String, ForeignKey("alerts.id"), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("author", String, nullable=False),
    Column("text", Text, nullable=False),
    Index("comments_of_alert", "alert", "sequence"),
    sqlite_autoincrement=True,
)

# What happened to alerts, written with them in one transaction: streams and outputs read it in order.
events = Table(
    "events",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("kind", String, nullable=False),
    Column("alert", String, nullable=False),
    Column("document", Text, nullable=False),
    sqlite_autoincrement=True,
)

sensors = Table(
    "sensors",
    metadata,
    Column("name", String, primary_key=True),
    # Raised with whatever is written of the sensor: who decided on an older one has to look again.
    Column("revision", BigInteger, nullable=False),
    Column("first_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    Column("latest_end_ns", BigInteger),
    Column("windows", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("shed", BigInteger, nullable=False),
    Column("dropped", BigInteger),
    Column("leased_by", String),
    Column("leased_until_ns", BigInteger, nullable=False),
)

# Work that was accepted. It is done in the order of its numbers for each sensor, and stays a while as a receipt.
jobs = Table(
    "jobs",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("sensor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("window", String),
    Column("digest", String, nullable=False),
    Column("state", String, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
    Column("size", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("outcome", Text),
    Index("jobs_of_sensor", "state", "sensor", "sequence"),
    Index("jobs_of_window", "window"),
    Index("jobs_done", "state", "done_ns"),
    sqlite_autoincrement=True,
)

# What jobs work on, in parts of at most a mebibyte; gone when the job is done.
payloads = Table(
    "payloads",
    metadata,
    Column("job", String, primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    # Sensors that it may write as; null: any.
    Column("sensors", JSON),
    Column("created_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    Column("used_ns", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", String, nullable=False),
    Column("request", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False),
    Column("status", Integer, nullable=False),
    sqlite_autoincrement=True,
)

settings = Table(
    "settings",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", JSON, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Column("changed_by", String, nullable=False),
)

allow_rules = Table(
    "allow_rules",
    metadata,
    Column("id", String, primary_key=True),
    Column("rule", String, nullable=False, unique=True),
    Column("note", String, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("created_by", String, nullable=False),
)

# How far each output has told the events, and what it gave up.
deliveries = Table(
    "deliveries",
    metadata,
    Column("output", String, primary_key=True),
    Column("position", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("failure", Text),
)

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("sequence", _Sequence, primary_key=True),
    Column("output", String, nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
    sqlite_autoincrement=True,
)

# What is left of windows that were let go of.
days = Table(
    "days",
    metadata,
    Column("sensor", String, primary_key=True),
    Column("length_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("day_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("windows", BigInteger, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("answered", BigInteger, nullable=False),
    Column("most_sources", BigInteger, nullable=False),
    Column("most_services", BigInteger, nullable=False),
    Column("shed", BigInteger, nullable=False),
)
