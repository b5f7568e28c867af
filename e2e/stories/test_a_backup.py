"""Somebody saves what their Porthole knows, goes on, and goes back to it."""

from pathlib import Path

import pytest

from e2e.support.instance import Instance


@pytest.mark.timeout(240)
def test_a_backup_is_made_while_it_runs_and_put_back_when_it_has_ended(
    home: Path, tmp_path: Path
) -> None:
    desks, saved, later = Instance(home), tmp_path / "saved.sql", tmp_path / "later.sql"
    nothing = desks.porthole("backup", "save", str(saved), code=3)
    assert "There is no database" in nothing

    desks.start()
    desks.token("before")
    assert f"to {saved}." in desks.porthole("backup", "save", str(saved))
    assert saved.stat().st_mode & 0o777 == 0o600
    desks.token("after")
    assert "already" in desks.porthole("backup", "save", str(saved), code=7)
    assert "End it first" in desks.porthole("backup", "load", str(saved), "--yes", code=7)
    assert desks.stop() == 0

    desks.porthole("backup", "save", str(later))
    broken = tmp_path / "broken.sql"
    broken.write_bytes(saved.read_bytes()[:-200])
    said = desks.porthole("backup", "load", str(broken), "--yes", code=1)
    assert "nothing has changed" in said
    desks.porthole("backup", "load", str(saved), code=1)  # it asks, and nobody says yes
    assert _tokens_after(desks, later) == {"before", "after"}
    assert _tokens_after(desks, saved) == {"before"}


def _tokens_after(desks: Instance, saved: Path) -> set[str]:
    """Put a backup back; return which tokens there are then."""
    assert "Loaded." in desks.porthole("backup", "load", str(saved), "--yes")
    desks.start()
    listed = desks.porthole("token", "list").splitlines()
    assert desks.stop() == 0
    return {"before", "after"} & {word for line in listed for word in line.split()}
