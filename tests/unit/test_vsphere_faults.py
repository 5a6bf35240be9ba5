"""What vSphere's faults become: what may pass is tried again, what stays is told."""

import http.client
import ssl
from xml.parsers.expat import ExpatError

import pytest
from pyVmomi import vim, vmodl

from contracts.errors import FerryError, Remedy
from platforms.vsphere.faults import translated


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (vim.fault.TaskInProgress, "vsphere.busy"),
        (vim.fault.ConcurrentAccess, "vsphere.busy"),
        (vim.fault.FileLocked, "vsphere.busy"),
        (vim.fault.ResourceInUse, "vsphere.busy"),
        (vmodl.fault.SystemError, "vsphere.busy"),
        (vmodl.RuntimeFault, "vsphere.busy"),
        (vmodl.fault.HostCommunication, "vsphere.unreachable"),
        (vmodl.fault.HostNotConnected, "vsphere.unreachable"),
        (vim.fault.NotAuthenticated, "vsphere.unreachable"),
        (vim.fault.InvalidLogin, "vsphere.login_refused"),
        (vim.fault.PasswordExpired, "vsphere.login_refused"),
        (vim.fault.NoPermission, "vsphere.no_permission"),
        (vim.fault.RestrictedVersion, "vsphere.licence"),
        (vim.fault.LicenseExpired, "vsphere.licence"),
        (vim.fault.ApplicationQuiesceFault, "vsphere.snapshot_failed"),
        (vim.fault.ToolsUnavailable, "preflight.tools_not_running"),
        (vmodl.fault.ManagedObjectNotFound, "vm.gone"),
        (vim.fault.FileFault, "vsphere.fault"),
        (vim.fault.InvalidPowerState, "vsphere.fault"),
    ],
)
def test_a_fault_has_the_code_of_the_reference(fault, code):
    assert translated(fault(), "do it").code == code


@pytest.mark.parametrize(
    "fault", [vmodl.fault.InvalidArgument, vmodl.fault.NotSupported, vmodl.fault.MethodNotFound, vim.fault.FileFault]
)
def test_what_stays_as_it_is_is_not_tried_for_ever(fault):
    assert translated(fault(), "do it").remedy is Remedy.ASK


def test_a_page_in_place_of_a_fault_is_no_answer():
    told = translated(Exception("Raising a non-exception object:\n  Attributes:"), "look at web01")

    assert told.code == "vsphere.unreachable"
    assert translated(Exception("something else"), "look at web01").code == "vsphere.fault"


def test_the_missing_privilege_and_the_wrong_argument_are_named():
    lacking = vim.fault.NoPermission(privilegeId="VirtualMachine.State.CreateSnapshot")
    wrong = vmodl.fault.InvalidArgument(invalidProperty="startOffset")

    assert "VirtualMachine.State.CreateSnapshot" in translated(lacking, "take a snapshot").message
    assert "startOffset" in translated(wrong, "ask").message


def test_a_refused_login_does_not_repeat_what_the_server_says():
    told = translated(vim.fault.InvalidLogin(msg="user ferry with sesame"), "log in")

    assert "sesame" not in told.message


@pytest.mark.parametrize(
    "error", [ConnectionResetError(), TimeoutError(), http.client.BadStatusLine(""), http.client.HTTPException("503"),
              ExpatError("no element found")]
)  # fmt: skip
def test_trouble_on_the_way_is_tried_again(error):
    assert translated(error, "ask").code == "vsphere.unreachable"


def test_a_certificate_that_is_not_trusted_is_told_as_that():
    error = ssl.SSLCertVerificationError("self-signed")
    error.verify_message = "self-signed certificate"

    assert translated(error, "log in").code == "vsphere.certificate"


def test_an_error_of_ours_stays_what_it_is():
    error = FerryError("vm.gone", "away")

    assert translated(error, "look") is error
