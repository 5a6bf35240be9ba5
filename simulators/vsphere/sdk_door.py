"""SOAP at ``/sdk``: each message to whoever carries it out, with its session and its faults."""

import datetime
import logging
from typing import Any

from pyVmomi import VmomiSupport, vim, vmodl

from simulators.vsphere import authorization, clusters, soap
from simulators.vsphere.door import COOKIE, Door
from simulators.vsphere.sessions import Session
from simulators.vsphere.world import World

log = logging.getLogger(__name__)


class _Dropped(Exception):
    """The connection is to be reset instead of answered."""


class SdkDoor(Door):
    """Messages without a session are few; all others are refused without one."""

    def say_versions(self) -> None:
        """``vimServiceVersions.xml``."""
        api = self.lab.world.about().apiVersion
        self.plain(
            200,
            '<?xml version="1.0" encoding="UTF-8" ?><namespaces version="1.0"><namespace><name>urn:vim25</name>'
            f"<version>{api}</version><priorVersions><version>6.5</version><version>6.0</version>"
            "</priorVersions></namespace></namespaces>".encode(),
            "text/xml",
        )

    def answer_soap(self, body: bytes) -> None:
        """One message, answered by its value or by a fault."""
        version = soap.version_of(self.headers.get("SOAPAction", ""))
        try:
            method, said, this = soap.parse(body)
        except soap.BadRequest:
            return self.plain(400)
        self.lab.stats.calls[method] += 1
        extra: dict[str, str] = {}
        try:
            value, kind = self._carry_out(method, said, this, extra)
            text, status = soap.answer(method, value, kind, version), 200
        except vmodl.MethodFault as error:
            text, status = soap.fault(error, version), 500
        except NotImplementedError:
            text, status = soap.fault(soap.named_fault("MethodNotFound", method), version), 500
        except _Dropped:
            return self.reset()
        except Exception as error:
            log.exception("a bug of the simulator in %s", method)
            text, status = soap.fault(soap.named_fault("SystemError", repr(error)), version), 500
        self.plain(status, text, "text/xml; charset=utf-8", extra)
        return None

    def _carry_out(self, method: str, said: dict[str, Any], this: str, extra: dict[str, str]) -> tuple[Any, Any]:
        lab = self.lab
        self._strike(method, this)
        if method == "RetrieveServiceContent":
            return _service_content(lab.world), vim.ServiceInstanceContent
        if method == "Login":
            session = lab.sessions.login(said.get("userName", ""), said.get("password", ""))
            if session is None:
                raise soap.named_fault(
                    "InvalidLogin", "Cannot complete login due to an incorrect user name or password."
                )
            extra["Set-Cookie"] = f'{COOKIE}="{session.key}"; Path=/; HttpOnly; Secure;'
            user = soap.complete(vim.UserSession(key=session.key, userName=said["userName"]))
            return user, vim.UserSession
        if method == "CurrentTime":
            skew = datetime.timedelta(seconds=lab.said.clock_skew_seconds)
            return datetime.datetime.now(datetime.UTC) + skew, datetime.datetime
        session = self.session()
        if method == "Fetch" and this == "ServiceInstance":
            return _fetch_service(lab.world, said["prop"])
        if session is None:
            raise soap.named_fault("NotAuthenticated", "The session is not authenticated.")
        return self._of_session(method, said, this, session)

    def _of_session(self, method: str, said: dict[str, Any], this: str, session: Session) -> tuple[Any, Any]:
        lab, views = self.lab, session.views
        collector = lab.collector
        match method:
            case "Logout":
                lab.sessions.end(session.key)
                return None, type(None)
            case "Fetch":
                if this == "SessionManager" and said["prop"] == "currentSession":
                    return soap.complete(vim.UserSession(key=session.key, userName=lab.said.user)), vim.UserSession
                return collector.value(this, said["prop"], views)
            case "CreateContainerView":
                kinds = tuple(said.get("type") or [vim.ManagedEntity])
                moid = f"session[{session.key[:8]}]view-{next(views.numbers)}"
                views.views[moid] = [ref for ref in _everything(lab.world) if isinstance(ref, kinds)]
                return vim.view.ContainerView(moid), vim.view.ContainerView
            case "DestroyView":
                views.views.pop(this, None)
                return None, type(None)
            case "RetrievePropertiesEx" | "RetrieveProperties":
                most = said["options"].maxObjects if said.get("options") is not None else None
                result = collector.retrieve(said["specSet"], most, views)
                if method == "RetrieveProperties":
                    content = vmodl.query.PropertyCollector.ObjectContent
                    return (result.objects if result else None), VmomiSupport.CreateArrayType(content)
                return result, vmodl.query.PropertyCollector.RetrieveResult
            case "ContinueRetrievePropertiesEx":
                return collector.go_on(said["token"], views), vmodl.query.PropertyCollector.RetrieveResult
            case "CancelRetrievePropertiesEx":
                views.pages.pop(said["token"], None)
                return None, type(None)
            case "CreatePropertyCollector":
                moid = f"session[{session.key[:8]}]collector-{next(views.numbers)}"
                views.filters[moid] = []
                return vmodl.query.PropertyCollector(moid), vmodl.query.PropertyCollector
            case "DestroyPropertyCollector":
                views.filters.pop(this, None)
                return None, type(None)
            case "CreateFilter":
                moid = f"session[{session.key[:8]}]filter-{next(views.numbers)}"
                views.filters.setdefault(this, []).append((moid, said["spec"]))
                return vmodl.query.PropertyCollector.Filter(moid), vmodl.query.PropertyCollector.Filter
            case "DestroyPropertyFilter":
                for filters in views.filters.values():
                    filters[:] = [each for each in filters if each[0] != this]
                return None, type(None)
            case "WaitForUpdatesEx":
                options = said.get("options")
                seconds = options.maxWaitSeconds if options is not None else None
                update = collector.wait(this, said.get("version") or "", seconds, views, session.ended)
                return update, vmodl.query.PropertyCollector.UpdateSet
            case "WaitForUpdates":
                update = collector.wait(this, said.get("version") or "", None, views, session.ended)
                return update, vmodl.query.PropertyCollector.UpdateSet
            case "FindByUuid":
                return self._by_uuid(said), vim.ManagedEntity
            case "FindByInventoryPath":
                name = said["inventoryPath"].rpartition("/")[2]
                found = [each.ref for each in lab.world.machines.values() if each.name == name]
                return (found[0] if found else None), vim.ManagedEntity
        if method in ("FetchUserPrivilegeOnEntities", "HasPrivilegeOnEntities"):
            return authorization.answer(lab.world, method, said, session.key)
        if method.startswith("HttpNfcLease"):
            return self._of_lease(method.removeprefix("HttpNfcLease"), this, said)
        if method in clusters.PRIVILEGES:
            return lab.world.clusters.call(method, this, said), vim.Task
        value = lab.methods.call(method, this, said)
        if method == "QueryChangedDiskAreas":
            return value, type(value)
        return value, vim.HttpNfcLease if method.startswith("Export") else vim.Task

    def _of_lease(self, deed: str, this: str, said: dict[str, Any]) -> tuple[Any, Any]:
        leases = self.lab.world.leases
        match deed:
            case "Progress":
                leases.progress(this, int(said["percent"]))
            case "Complete" | "Abort":
                leases.end(this, complete=deed == "Complete")
            case "GetManifest":
                return leases.manifest(this), VmomiSupport.CreateArrayType(vim.HttpNfcLease.ManifestEntry)
            case _:
                raise NotImplementedError(deed)
        return None, type(None)

    def _by_uuid(self, said: dict[str, Any]) -> Any:
        for machine in self.lab.world.machines.values():
            mine = machine.instance_uuid if said.get("instanceUuid") else machine.bios_uuid
            if mine == said["uuid"] and said.get("vmSearch"):
                return machine.ref
        return None

    def _strike(self, method: str, this: str) -> None:
        machine = self.lab.world.machines.get(this)
        rule = self.lab.faults.strike(method, machine.name if machine else this)
        if rule is not None and rule.action == "fault":
            raise soap.named_fault(str(rule.argument))
        if rule is not None and rule.action == "drop":
            raise _Dropped


def _everything(world: World) -> list[Any]:
    return [
        *(each.ref for each in world.machines.values()), *(each.ref for each in world.datastores.values()),
        *world.networks.values(), *world.hosts, world.datacenter, world.vm_folder, *world.folders.values(),
        world.compute, world.resource_pool,
    ]  # fmt: skip


def _service_content(world: World) -> Any:
    return soap.complete(
        vim.ServiceInstanceContent(
            rootFolder=world.root, propertyCollector=vmodl.query.PropertyCollector("propertyCollector"),
            viewManager=vim.view.ViewManager("ViewManager"), about=world.about(),
            sessionManager=vim.SessionManager("SessionManager"), searchIndex=vim.SearchIndex("SearchIndex"),
            licenseManager=vim.LicenseManager("LicenseManager"),
            authorizationManager=vim.AuthorizationManager("AuthorizationManager"),
        )
    )  # fmt: skip


def _fetch_service(world: World, prop: str) -> tuple[Any, Any]:
    if prop == "content":
        return _service_content(world), vim.ServiceInstanceContent
    raise NotImplementedError(prop)
