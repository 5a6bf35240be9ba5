"""Which version of the API is spoken: the newest that both know."""

import pytest

from contracts.errors import FerryError
from platforms.vsphere.transports.https import target_of
from platforms.vsphere.versions import best_of


def document(*versions, name="urn:vim25"):
    prior = "".join(f"<version>{each}</version>" for each in versions[1:])
    return (
        '<?xml version="1.0"?><namespaces version="1.0"><namespace><name>urn:vsan</name><version>9.1.1.0</version>'
        f"</namespace><namespace><name>{name}</name><version>{versions[0]}</version>"
        f"<priorVersions>{prior}</priorVersions></namespace></namespaces>"
    )


@pytest.mark.parametrize(
    ("versions", "spoken"),
    [
        (("6.5", "6.0", "5.5"), "vim.version.version11"),
        (("7.0.3.2", "7.0.3.1", "7.0.0.0", "6.5"), "vim.version.v7_0_3_2"),
        (("8.0.3.0", "8.0.2.0", "7.0.3.2"), "vim.version.v8_0_3_0"),
        (("77.0.0.0", "9.0.0.0", "8.0.3.0"), "vim.version.v9_0_0_0"),
    ],
)
def test_the_newest_that_both_know_is_spoken(versions, spoken):
    assert best_of(document(*versions)) == spoken


@pytest.mark.parametrize("text", ["", "<html>sorry</html>", document("1.2.3.4"), document("8.0.3.0", name="urn:other")])
def test_a_host_with_no_version_in_common_is_told(text):
    with pytest.raises(FerryError, match="no version"):
        best_of(text)


def test_a_files_url_names_datastore_path_and_the_whole_path_of_the_datacenter():
    assert target_of("[nfs 1] web 01/web#01-flat.vmdk", "Europe/DC&1") == (
        "/folder/web%2001/web%2301-flat.vmdk?dcPath=Europe%2FDC%261&dsName=nfs%201"
    )
