"""What `service.outputs.output` promises, held against every output and a real receiver."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from service.errors import DeliveryError
from service.outputs.courier import Courier, CourierSpec, Outlet
from service.store.sql import SqlStore
from tests.builders import an_alert
from tests.outputs.receivers import CountedLog, Hook, Lines, Log, Receiver, a_notice, eventually, running

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file with the key and the certificate of 127.0.0.1."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("certificate")
    made = [
        program,
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run([*made, *named, *files], check=True, capture_output=True)
    both = folder / "both"
    both.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return both


@pytest.fixture(params=["webhook", "syslog over UDP", "syslog over TCP", "syslog over TLS", "file"])
def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Receiver]:
    made: Receiver
    match request.param:
        case "webhook":
            made = Hook()
        case "syslog over UDP":
            made = Log()
        case "syslog over TCP":
            made = CountedLog()
        case "syslog over TLS":
            made = CountedLog(certificate=request.getfixturevalue("certificate"))
        case _:
            made = Lines(tmp_path / "log")
    with running(made):
        yield made


def test_events_arrive_in_order_with_their_ids(receiver: Receiver) -> None:
    notices = [a_notice(number, id=f"a{number}") for number in range(1, 8)]
    output = receiver.output()
    for notice in notices:
        output.deliver(notice)
    eventually(lambda: len(receiver.received()) >= 7)
    assert receiver.received() == [notice.id for notice in notices]
    output.close()


def test_it_goes_on_after_it_was_closed(receiver: Receiver) -> None:
    output = receiver.output()
    for number in (1, 2):
        output.deliver(a_notice(number))
        output.close()
        output.close()
    eventually(lambda: len(receiver.received()) >= 2)


def test_a_receiver_that_is_away_is_said_to_be_so_and_found_again(receiver: Receiver) -> None:
    output = receiver.output()
    output.deliver(a_notice(1))
    eventually(lambda: len(receiver.received()) == 1)
    receiver.stop()
    with pytest.raises(DeliveryError) as failure:
        output.deliver(a_notice(2))
    assert failure.value.away
    assert not failure.value.permanent
    assert "\n" not in str(failure.value)
    receiver.start()
    output.deliver(a_notice(2))
    eventually(lambda: len(receiver.received()) == 2)
    assert receiver.received() == [a_notice(1).id, a_notice(2).id]
    output.close()


def test_a_courier_brings_all_of_it_through_an_outage(receiver: Receiver, tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path}/store.db")
    now = [10**18]
    courier = Courier(Outlet("out", receiver.output()), store, CourierSpec(pause=0.01), clock=lambda: now[0])
    courier.step()
    for number in range(3):
        with store.begin() as unit:
            unit.save_alerts([an_alert(id=f"a{number}")])
        if number == 1:
            eventually(lambda: len(receiver.received()) == 1)
            receiver.stop()
            courier.step()
            receiver.start()
        courier.step()
        now[0] += 10**12
    courier.step()
    eventually(lambda: len(receiver.received()) >= 3)
    with store.read() as unit:
        events = unit.events.after(0, 10)
        assert unit.deliveries.standings()[0].behind == 0
    assert [name.partition("-")[0] for name in receiver.received()] == [str(event.sequence) for event in events]
    courier.close()
    store.close()
