"""All settings, read once from the environment (`BUS_…`, nested by `__`) and then handed down; nothing else reads the environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from bus.errors import ConfigurationError, Problem

#: The checkout (or installed tree) that holds connectors/, consumers/ and schemas/.
ROOT = Path(__file__).resolve().parent.parent

PREFIX = "BUS_"
#: Variables of the tests, which are nobody's setting.
_TEST_VARIABLES = frozenset({"BUS_TEST_DATA"})


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """The broker and what is fixed for the life of its topics."""

    bootstrap_servers: str = Field(
        "", description="host:port,host:port of the Kafka brokers; empty: `bus run` starts the embedded one where allowed"
    )
    embedded: bool = Field(
        False, description="the broker is the embedded one (set by whoever starts it): no idempotent producers, no topic changes"
    )
    event_partitions: int = Field(4, ge=1, le=256, description="partitions of every event topic; fixed for life once topics exist")
    partials_partitions: int = Field(4, ge=1, le=64, description="partitions of bus.partials; fixed for life")
    replication: int = Field(1, ge=1, le=5, description="replicas of each topic; 3 where there are three brokers")
    session_timeout_seconds: float = Field(6.0, gt=0, description="a worker silent for this long loses its partitions")
    request_timeout_seconds: float = Field(30.0, gt=0, description="how long one request may take")
    retry_seconds: float = Field(
        120.0, gt=0, description="how long a broker may be away before a role gives up and lets its supervisor restart it"
    )


class StreamsSettings(_Section):
    """The fold and merge workers."""

    group: str = Field("bus-streams", description="consumer group of all workers")
    instance: str = Field(
        "", description="static membership id, stable over restarts; empty: made from the host name and the process's slot"
    )
    snapshot_seconds: float = Field(
        5.0, gt=0, description="how often changed states are written, at most; also on a timer when traffic stops"
    )
    max_poll_records: int = Field(100_000, ge=1, description="records fetched at once, over all partitions")
    stall_seconds: float = Field(60.0, gt=0, description="a worker whose offsets stand still this long with work waiting exits")
    reload_seconds: float = Field(2.0, gt=0, description="how often the indicator folders are looked at for new or changed definitions")
    metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port on 127.0.0.1; 0: none")


class IngestSettings(_Section):
    """The connectors."""

    settle_seconds: float = Field(2.0, ge=0, description="a file is whole when its size and time stood still this long")
    poll_seconds: float = Field(1.0, gt=0, description="how often a watched folder is looked at")
    longest_poll_seconds: float = Field(
        86_400.0, gt=0, description="no database and no interface is left unasked for longer, whatever its manifest says"
    )
    batch_records: int = Field(500, ge=1, description="events sent at once")
    lease_seconds: float = Field(10.0, gt=0, description="a publisher silent for this long loses its source to another")
    spool_bytes: int = Field(
        1 << 30, ge=1 << 20, description="messages that a source keeps on disk while Kafka is away; then its sender waits"
    )
    totals_seconds: float = Field(900.0, gt=0, description="how often the agencies' own daily counts are compared with the bus's")
    ingress_host: str = Field("127.0.0.1", description="address on which webhooks are received; say 0.0.0.0 only behind a proxy with TLS")
    ingress_port: int = Field(8081, ge=0, le=65535, description="port on which webhooks are received; 0: any free one")
    ingress_body_bytes: int = Field(8 << 20, ge=1 << 10, description="the largest body that may be posted, also after unpacking")
    ingress_records: int = Field(10_000, ge=1, description="the most records in one post")
    ingress_posts_per_second: float = Field(2_000.0, gt=0, description="posts of one agency; more are told to come back (429)")
    metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port on 127.0.0.1; 0: none")


class ReleaseSettings(_Section):
    """Disclosure control: what the public gets."""

    poll_seconds: float = Field(1.0, gt=0, description="how often the histories are looked at for what is to be let out")
    metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port on 127.0.0.1; 0: none")


class GatewaySettings(_Section):
    """The dashboard gateway."""

    host: str = Field("127.0.0.1", description="address to listen on; say 0.0.0.0 only behind a proxy")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0: any free one")
    max_clients: int = Field(2_000, ge=1, description="live streams of a role served at once; more are refused with 503")
    queue_cells: int = Field(
        10_000, ge=1, description="changed cells kept for one slow client before they are coalesced into a new snapshot"
    )
    keys_file: Path | None = Field(
        None, description="file of API keys (name, role and hash a line), read again when it changes; `bus gateway-key` adds to it"
    )
    anonymous: Literal["", "public", "internal", "restricted"] = Field(
        "",
        description="role of who has no key; more than public only on a loopback address and asked directly. Empty: restricted there as long "
        "as there is no keys_file, otherwise public",
    )
    requests_per_second: float = Field(
        100.0, gt=0, description="requests of one client (key, or address); more are told to come back (429)"
    )
    burst: int = Field(500, ge=1, description="requests that a client may save up")
    streams_per_client: int = Field(500, ge=1, description="live streams of one client at once; more are refused with 429")
    history_seconds: float = Field(
        10.0, gt=0, description="how long one request may read in a history; what it has read is kept, and the next one goes on from there"
    )
    verify_seconds: float = Field(120.0, gt=0, description="how long one number may be recomputed")
    verify_queue: int = Field(
        4, ge=0, description="requests that wait for a number to be recomputed, one at a time; more are told to come back"
    )
    access_log: bool = Field(True, description="one line a request: who asked, by which route, and what it cost; no query, no key")
    public_url: str = Field("", description="URL under which clients reach the gateway, for its OpenAPI description; empty: where they ask")
    portal_url: str = Field("", description="the PPID portal, https://…, whose feedback page indicators link to; empty: no link")
    alerts_url: str = Field("", description="where `bus run alerts` is reached, whose alerts are passed on by role; empty: none are")
    metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port on 127.0.0.1; 0: none (/metrics is there for restricted)")


class AlertsSettings(_Section):
    """The alerts consumer."""

    host: str = Field("127.0.0.1", description="address of the alerts page strip; say 0.0.0.0 only behind a proxy")
    port: int = Field(8082, ge=0, le=65535, description="port of the alerts page strip; 0: any free one")
    max_clients: int = Field(2_000, ge=1, description="live streams of alerts served at once; more are refused with 503")
    channels: Path | None = Field(None, description="TOML file of the channels that alerts go to; none: the page strip alone")
    smtp_host: str = Field("", description="mail server of the channels of kind email")
    smtp_port: int = Field(587, ge=1, le=65535, description="its port")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection to it is secured; none only for a server on this machine"
    )
    smtp_user: str = Field("", description="user name there; empty: no authentication")
    smtp_password: SecretStr = Field(SecretStr(""), description="password there")
    sender: str = Field("", description="address that alerts are sent from")
    timeout_seconds: float = Field(10.0, gt=0, description="how long one delivery may take")
    longest_wait_seconds: float = Field(60.0, gt=0, description="the longest wait before a channel that failed is tried again")
    give_up_seconds: float = Field(
        86_400.0, gt=0, description="a delivery that fails for so long is given up once its episode is over; before that, never"
    )
    oldest_seconds: float = Field(
        3_600.0, gt=0, description="of an episode that was over for so long before a channel could be told, it is told nothing"
    )
    silence_margin_seconds: float = Field(
        5.0, ge=0, description="how long a record may be under way to the log before time is taken to have passed without it"
    )
    keep_days: int = Field(90, ge=1, description="how long episodes that are over are kept")


class ArchiveSettings(_Section):
    """The archive of events: who writes it, and who reads what topics no longer have."""

    folder: str = Field(
        "",
        description="folder of the archive, the same for all who write and read it; empty: nothing is archived, and a trimmed topic stops"
        " who needs what it had",
    )
    seconds: float = Field(21_600.0, ge=0, description="no event waits longer to be archived")
    file_records: int = Field(50_000, ge=1, description="so many waiting events of a partition are archived at once; a file has no more")
    file_bytes: int = Field(64 << 20, ge=1 << 10, description="a file is ended when its records have this size, before compression")
    metrics_port: int = Field(0, ge=0, le=65535, description="Prometheus port of the archiver on 127.0.0.1; 0: none")

    @property
    def path(self) -> Path | None:
        """The folder, where one is set."""
        return Path(self.folder).expanduser().resolve() if self.folder else None


class PpidSettings(_Section):
    """The open-data store and portal of the PPID."""

    host: str = Field("127.0.0.1", description="address to listen on; say 0.0.0.0 only behind a proxy")
    port: int = Field(8083, ge=0, le=65535, description="port to listen on; 0: any free one")
    database_url: SecretStr = Field(
        SecretStr(""),
        description="postgresql://user:password@host:port/database, or sqlite:////folder/file; empty: ppid.db in BUS_DATA_DIR",
    )
    base_url: str = Field("", description="the address by which the public knows the portal, https://…; empty: the one it listens on")
    auto_publish: bool = Field(True, description="datasets that pass every check are published at once; false: walidata publish each")
    publisher: str = Field("Pemerintah Kabupaten Boyolali", description="who publishes the catalogue")
    publisher_url: str = Field("https://www.boyolali.go.id", description="the publisher's address")
    contact: str = Field("ppid@boyolali.go.id", description="the PPID's e-mail address for questions about a dataset")
    walidata: str = Field("Dinas Komunikasi dan Informatika", description="the walidata, who checks and spreads data (Perpres 39/2019)")
    feedback_url: str = Field("", description="where feedback goes, http://host:port/v1/events/ppid/masukan of the ingress; empty: no form")
    feedback_key: SecretStr = Field(SecretStr(""), description="the key that is shown there: BUS_PPID__PORTAL_KEY of the connectors")
    feedback_per_hour: int = Field(10, ge=1, description="how many feedbacks one client may send in an hour")
    trusted_proxies: str = Field("127.0.0.1", description="proxies, by commas, whose X-Forwarded-For says who a client is")
    ckan_url: str = Field("", description="a CKAN portal that `bus ppid push` writes to")
    ckan_key: SecretStr = Field(SecretStr(""), description="the API token at that portal")


class LogSettings(_Section):
    """Logging (to standard error)."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    json_lines: bool = Field(False, description="one JSON object a line, for machines")


class Settings(_Section):
    """Everything that can be set. Values come from the environment only; command-line options override single fields."""

    kafka: KafkaSettings = KafkaSettings()
    streams: StreamsSettings = StreamsSettings()
    ingest: IngestSettings = IngestSettings()
    release: ReleaseSettings = ReleaseSettings()
    gateway: GatewaySettings = GatewaySettings()
    alerts: AlertsSettings = AlertsSettings()
    archive: ArchiveSettings = ArchiveSettings()
    ppid: PpidSettings = PpidSettings()
    log: LogSettings = LogSettings()
    overlay: tuple[Path, ...] = Field(
        (), description="folders outside the repository with connectors/, consumers/ or schemas/ (separated by :)"
    )
    only_agencies: tuple[str, ...] = Field(
        (), description="ids of the agencies that this installation serves (separated by :); empty: every one that is declared"
    )
    data_dir: Path = Field(Path("var"), description="where this machine keeps keys, logs and the embedded broker's files")
    simulation: bool = Field(False, description="identifiers that cannot exist (NIK of province 00, phones with 0800) are accepted")
    registry_url: str = Field("", description="a Confluent-compatible schema registry; empty: the embedded, read-only one")
    agencies: Mapping[str, Mapping[str, SecretStr]] = Field(
        default_factory=dict, description="settings that manifests ask for: BUS_<AGENCY>__<NAME>"
    )

    @classmethod
    def from_env(cls, environ: Mapping[str, str], *, agencies: Collection[str] = ()) -> Settings:
        """Read every `BUS_…` variable. Raises `ConfigurationError` naming each unknown or malformed one, and what is allowed.

        `agencies` are the ids whose variables (`BUS_DLH__BASE_URL`) are to be accepted beside the sections. Where an agency and a section have
        the same name (ppid), what the section knows is the section's.
        """
        tree: dict[str, object] = {}
        wanted: dict[str, dict[str, str]] = {}
        problems: list[Problem] = []
        for name, value in sorted(environ.items()):
            if not name.startswith(PREFIX) or name in _TEST_VARIABLES:
                continue
            head, _, rest = name[len(PREFIX) :].lower().partition("__")
            if head in agencies and rest and rest not in section_settings(head):
                wanted.setdefault(head, {})[rest] = value
            elif problem := _place(tree, head, rest, value):
                problems.append(Problem(name, problem))
        if wanted:
            tree["agencies"] = wanted
        settings = None
        try:
            settings = cls.model_validate(tree)
        except ValidationError as error:
            for item in error.errors():
                name = PREFIX + "__".join(str(part) for part in item["loc"]).upper()
                problems.append(Problem(name, f"{item['msg']}; received {item['input']!r}"))
        if problems or settings is None:
            raise ConfigurationError(problems)
        return settings

    def connector_roots(self) -> tuple[Path, ...]:
        """Folders of agency folders: the repository's, then each overlay's."""
        return self._roots("connectors")

    def consumer_roots(self) -> tuple[Path, ...]:
        """Folders of consumer folders: the repository's, then each overlay's."""
        return self._roots("consumers")

    def schemas_roots(self) -> tuple[Path, ...]:
        """Schemas folders: the repository's, then each overlay's."""
        return self._roots("schemas")

    def _roots(self, name: str) -> tuple[Path, ...]:
        return tuple(path for path in (base / name for base in (ROOT, *self.overlay)) if path.is_dir())


def section_settings(name: str) -> Collection[str]:
    """The settings of the section of that name; none when there is no such section."""
    field = Settings.model_fields.get(name)
    section = field.annotation if field is not None else None
    return section.model_fields if isinstance(section, type) and issubclass(section, _Section) else ()


def _place(tree: dict[str, object], head: str, rest: str, value: str) -> str:
    """Put one variable where it belongs; what is wrong with its name, or nothing."""
    field = Settings.model_fields.get(head)
    if field is None or head == "agencies":
        allowed = ", ".join(f"{PREFIX}{key.upper()}" for key in Settings.model_fields if key != "agencies")
        return f"unknown setting; known are {allowed} (sections take __NAME) and BUS_<AGENCY>__<NAME> of a declared agency"
    section = field.annotation
    if isinstance(section, type) and issubclass(section, _Section):
        if rest not in section.model_fields:
            return f"unknown setting; {PREFIX}{head.upper()}__ takes " + ", ".join(key.upper() for key in section.model_fields)
        bucket = tree.setdefault(head, {})
        assert isinstance(bucket, dict)
        bucket[rest] = value
        return ""
    if rest:
        return f"{PREFIX}{head.upper()} takes no part after it"
    tree[head] = tuple(part for part in value.split(":") if part) if head in ("overlay", "only_agencies") else value
    return ""
