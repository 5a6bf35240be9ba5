"""Trouble of a whole system, as a client without any cleverness meets it: simulators/outages.py."""

import http.client
import ssl
import time
from xml.parsers.expat import ExpatError

import pytest
from pyVmomi import vmodl

from simulators.outages import Outage
from tests.conformance import vsphere_lab, xapi_lab
from tests.conformance.vsphere_lab import WEB01, running_vcenter
from tests.conformance.xapi_lab import connection, logged_in, running_pool


@pytest.fixture
def pool(tmp_path):
    hosts = [{"name": "xcp1"}, {"name": "xcp2"}]
    with running_pool(tmp_path, hosts=hosts, srs=[{"name": "nfs", "type": "nfs"}]) as simulator:
        yield simulator


def asked(pool, folder, number=0):
    """A status and a page, or how it failed."""
    door = connection(pool, folder, number)
    try:
        door.request("GET", "/nothing")
        answer = door.getresponse()
        return answer.status, answer.read()
    finally:
        door.close()


def test_an_outage_begins_with_the_request_that_it_was_told_and_meets_so_many(pool, tmp_path):
    pool.gate.begin(Outage("http", skip=1, count=2, argument=503))

    statuses = [asked(pool, tmp_path)[0] for _ in range(4)]

    assert statuses == [404, 503, 503, 404]


def test_a_network_that_is_cut_refuses_all_and_is_back_after_its_time(pool, tmp_path):
    pool.gate.begin(Outage("cut", count=-1, seconds=0.5))

    for _ in range(3):
        with pytest.raises((OSError, http.client.HTTPException)):
            asked(pool, tmp_path)
    time.sleep(0.6)

    assert asked(pool, tmp_path)[0] == 404


def test_another_authority_s_certificate_is_shown_for_a_while_and_open_connections_end(pool, tmp_path):
    pool.gate.begin(Outage("certificate", count=-1, seconds=0.5))

    with pytest.raises((OSError, http.client.HTTPException)):
        asked(pool, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        asked(pool, tmp_path)
    time.sleep(0.6)

    assert asked(pool, tmp_path)[0] == 404


def test_an_answer_ends_after_so_many_bytes(pool, tmp_path):
    with logged_in(pool, tmp_path) as session:
        pool.gate.begin(Outage("truncated", argument=300))
        with pytest.raises((OSError, http.client.HTTPException, ExpatError)):
            session.xenapi.host.get_all_records()
        assert len(session.xenapi.host.get_all_records()) == 2


def test_another_host_becomes_the_coordinator_and_the_old_one_names_it(pool, tmp_path):
    first, second = pool.urls
    with logged_in(pool, tmp_path):
        pool.gate.begin(Outage("master"))
        asked(pool, tmp_path)

        with pytest.raises(Exception, match="HOST_IS_SLAVE") as told, logged_in(pool, tmp_path, first):
            pass

    assert second.endswith(told.value.details[1])
    with logged_in(pool, tmp_path, second) as session:
        [record] = session.xenapi.pool.get_all_records().values()
        assert session.xenapi.host.get_name_label(record["master"]) == "xcp2"


def test_a_toolstack_that_restarts_ends_sessions_and_answers_nobody_meanwhile(pool, tmp_path):
    with logged_in(pool, tmp_path) as session:
        task = session.xenapi.task.create("copy", "")
        pool.gate.begin(Outage("restart", closed=0.4))

        with pytest.raises((OSError, http.client.HTTPException)):
            session.xenapi.task.get_status(task)
        time.sleep(0.5)
        assert session.xenapi.task.get_status(task) == "cancelled"
        assert pool.pool.sessions.logins == 2  # XenAPI.py logs in again by itself


def test_a_task_of_vsphere_that_is_lost_is_not_found_while_its_work_goes_on(tmp_path):
    with running_vcenter(tmp_path, WEB01) as vcenter, vsphere_lab.logged_in(vcenter, tmp_path) as instance:
        vm = vsphere_lab.the_vm(instance, vcenter)
        vcenter.gate.begin(Outage("tasks"))

        task = vm.CreateSnapshot_Task("s", "", False, False)
        with pytest.raises(vmodl.fault.ManagedObjectNotFound):
            _ = task.info
        while not vcenter.state()["web01"]["snapshots"]:
            time.sleep(0.01)


def test_a_task_of_a_pool_that_is_lost_takes_its_outcome_along(pool, tmp_path):
    with logged_in(pool, tmp_path) as session:
        vdi = xapi_lab.make_vdi(session, 1 << 20)
        pool.pool.tasks.lose()
        task = getattr(session.xenapi, "Async.VDI.checksum")(vdi)

        with pytest.raises(Exception, match="HANDLE_INVALID"):
            for _ in range(200):
                session.xenapi.task.get_status(task)
                time.sleep(0.01)


def test_removing_a_snapshot_takes_as_long_as_it_was_told_and_is_seen_under_way(tmp_path):
    from simulators.faults import FaultRule

    with running_vcenter(tmp_path, WEB01, speed=3600) as vcenter:
        with vsphere_lab.logged_in(vcenter, tmp_path) as instance:
            vm = vsphere_lab.the_vm(instance, vcenter)
            snapshot = vsphere_lab.done(vm.CreateSnapshot_Task("s", "", False, False))
            vcenter.faults.add(FaultRule("RemoveSnapshot_Task!", "lab-seconds", argument=3600))
            began = time.monotonic()

            task = snapshot.RemoveSnapshot_Task(False)
            assert [each._moId for each in vm.recentTask] == [task._moId]
            vsphere_lab.done(task)

            assert time.monotonic() - began > 0.9
            assert list(vm.recentTask) == []
