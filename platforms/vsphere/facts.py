"""What a vCenter or host is, for the preflight."""

from contracts.machine import Machine
from contracts.steps import SourceFacts
from platforms.vsphere.session import Session


def facts(session: Session, machine: Machine) -> SourceFacts:
    """The system, and what it lets our account do with that machine."""
    product: str = session.call("log in", lambda instance: instance.RetrieveContent().about.fullName)
    return SourceFacts(product=product)
