"""Every right that the chart grants was used by some story; told last, when all were."""

import dataclasses

import pytest

from e2e.support import audit
from e2e.support.console import OUT
from e2e.support.real_cluster import RealCluster
from porthole_contract.cluster import Scope

pytestmark = pytest.mark.cluster

_USED = "porthole/rights-used"


def test_no_right_was_granted_that_no_story_needs(
    cluster: RealCluster, pytestconfig: pytest.Config
) -> None:
    used, refused = audit.counted(audit.read(cluster.place.audit))
    cache, options = pytestconfig.cache, pytestconfig.option
    assert cache is not None
    if options.lf:  # a few stories once more, on a cluster that the others never saw
        for program, scope, resource, verb in cache.get(_USED, []):
            used[audit.Use(program, Scope(scope), resource, verb)] += 1
    cache.set(_USED, [dataclasses.astuple(use) for use in used])
    OUT.mkdir(exist_ok=True)
    (OUT / "rights.md").write_text(audit.table(used, refused), encoding="utf-8")
    if options.keyword or pytestconfig.args != ["e2e"]:
        pytest.skip("Not every story about clusters was told.")
    assert audit.unused(used) == []
