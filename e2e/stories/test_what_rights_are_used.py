"""Every right that the chart grants was used by some story; told last, when all were."""

import pytest

from e2e.support import audit
from e2e.support.console import OUT
from e2e.support.real_cluster import RealCluster

pytestmark = pytest.mark.cluster


def test_no_right_was_granted_that_no_story_needs(
    cluster: RealCluster, pytestconfig: pytest.Config
) -> None:
    used, refused = audit.counted(audit.read(cluster.place.audit))
    OUT.mkdir(exist_ok=True)
    (OUT / "rights.md").write_text(audit.table(used, refused), encoding="utf-8")
    options = pytestconfig.option
    if options.keyword or pytestconfig.args != ["e2e"]:
        pytest.skip("Not every story about clusters was told.")
    assert audit.unused(used) == []
