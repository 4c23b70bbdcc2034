"""A folder on a real SFTP server: read as a local one, over good and bad lines."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncssh
import pytest
from structlog.testing import capture_logs

from bus.errors import ConfigurationError, TransientError
from bus.ingest.sftp import SftpAddress
from tests.conftest import unavailable
from tests.pipeline.ingest_world import deliver_tables, facts, quarantined
from tests.sources.files_made import workbook
from tests.sources.files_world import AgencyWorld, lab_agency_world
from tests.sources.sftp_server import BadLine, SftpServer, sshd_binary

Make = Callable[..., SftpServer]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[Make]:
    if sshd_binary() is None:
        unavailable("sshd (apt-get install openssh-server)")
    servers: list[SftpServer] = []

    def make(*, read_only: bool = False) -> SftpServer:
        server = SftpServer(tmp_path / f"sshd{len(servers)}", read_only=read_only)
        server.start()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(autouse=True)
def copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are put."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def remote_world(base: Path, server: SftpServer, *, port: int | None = None) -> AgencyWorld:
    world = lab_agency_world(base)
    world.environ |= server.settings("lab", world.folder, port=port)
    return world


async def test_it_is_read_as_a_local_folder(tmp_path: Path, make_server: Make, copies: Path) -> None:
    local, remote = lab_agency_world(tmp_path / "local"), remote_world(tmp_path / "remote", make_server())
    for world in (local, remote):
        deliver_tables(world)
        world.put_bytes("7.xlsx", workbook({"x": [("no", "value"), (0, "a"), (6, "z")]}))
        (world.folder / "8.folder").mkdir()
        await world.run()
    assert facts(remote.envelopes()) == facts(local.envelopes())
    assert await quarantined(remote) == await quarantined(local)
    assert {name: text.splitlines()[3:6] for name, text in remote.receipts().items()} == {
        name: text.splitlines()[3:6] for name, text in local.receipts().items()
    }
    assert len(remote.receipts()) == 8
    assert not list(copies.rglob("*"))
    await remote.run()  # a restart: nothing is new
    assert facts(remote.envelopes()) == facts(local.envelopes())
    assert not list(copies.rglob("*"))


@pytest.mark.parametrize(("after", "times"), [(1_000, 2), (20_000, 2), (150_000, 3), (400_000, 1)])  # a file has about 270,000 bytes
async def test_a_line_that_breaks_in_mid_read(tmp_path: Path, make_server: Make, copies: Path, after: int, times: int) -> None:
    server = make_server()
    async with BadLine(server.port, after=after, times=times).up() as line:
        world = remote_world(tmp_path, server, port=line.port)
        world.environ["BUS_INGEST__BATCH_RECORDS"] = "5000"
        for number in range(2):
            world.put(f"{number}.csv", *(f"{n},{n % 7}{'x' * 60}" for n in range(4_000)), header="no,value")
        await world.run()
        assert line.left == 0
    assert len(world.folded()) == len(world.envelopes()) == 4_000
    assert len(world.receipts()) == 2
    assert not list(copies.rglob("*"))


async def test_a_server_that_is_away_is_waited_for(tmp_path: Path, make_server: Make) -> None:
    server = make_server()
    world = remote_world(tmp_path, server)
    world.put("1.csv", "1,a", header="no,value")
    server.stop()
    waits = 0

    async def sleep(seconds: float) -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            server.start()
        await world.clock.sleep(seconds)

    await world.runner(sleep=sleep).run(until_end=True)
    assert waits >= 3
    assert len(world.envelopes()) == 1
    server.stop()
    world.environ["BUS_KAFKA__RETRY_SECONDS"] = "5"
    with pytest.raises(TransientError, match="is not to be reached"):
        await world.run()


async def test_a_server_that_takes_no_acknowledgement_is_read_all_the_same(tmp_path: Path, make_server: Make) -> None:
    world = remote_world(tmp_path, make_server(read_only=True))
    for name in "ab":
        world.put(f"{name}.csv", f"{name},a", header="no,value")
    with capture_logs() as logs:
        await world.run()
    assert len(world.envelopes()) == 3  # the second table cancels what the first had
    assert sum("acknowledgements cannot be written" in str(entry["event"]) for entry in logs) == 1
    assert not world.receipts()


async def test_another_server_in_its_place_is_not_believed(tmp_path: Path, make_server: Make) -> None:
    server = make_server()
    world = remote_world(tmp_path, server)
    world.put("1.csv", "1,a", header="no,value")
    server.known_hosts(key=asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip())
    with pytest.raises(ConfigurationError, match="is not the one that it shows"):
        await world.run()
    assert not world.envelopes()


async def test_who_may_not_come_in_waits(tmp_path: Path, make_server: Make) -> None:
    server = make_server()
    world = remote_world(tmp_path, server)
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    stranger.write_private_key(str(server.key))
    with pytest.raises(ConfigurationError, match="is no private key that can be used"):  # the public half beside it is another's
        await world.run()
    stranger.write_public_key(f"{server.key}.pub")
    world.environ["BUS_KAFKA__RETRY_SECONDS"] = "5"
    with pytest.raises(TransientError, match="PermissionDenied"):
        await world.run()


async def test_a_folder_that_is_none(tmp_path: Path, make_server: Make) -> None:
    server = make_server()
    world = lab_agency_world(tmp_path)
    world.environ |= server.settings("lab", tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match=r"sftp://.*nowhere, which is no folder"):
        await world.run()


def test_settings_that_do_not_suffice(tmp_path: Path) -> None:
    def wrong(**values: str) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            SftpAddress.of("lab", "folder", values)
        assert "rahasia" not in str(caught.value)
        return [problem.where.removeprefix("BUS_LAB__FOLDER") for problem in caught.value.problems]

    file = str(tmp_path / "file")
    (tmp_path / "file").touch()
    assert wrong(folder="sftp://u@h/p") == ["_KNOWN_HOSTS", "_KEY_FILE"]
    assert wrong(folder="sftp://h/p", folder_known_hosts=file, folder_password="rahasia") == [""]
    assert wrong(folder="sftp://u:rahasia@h:99999/", folder_known_hosts=file, folder_key_file="/nowhere") == ["", "", "_KEY_FILE"]
    address = SftpAddress.of(
        "lab", "folder", {"folder": "sftp://u%40x@h:2222/a%20b/", "folder_known_hosts": file, "folder_password": "rahasia"}
    )
    assert (address.user, address.host, address.port, address.path) == ("u@x", "h", 2222, "/a b")
    assert str(address) == "sftp://u@x@h:2222/a b"
