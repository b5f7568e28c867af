"""Which way a desktop's clipboard may go through its gate, as its template has it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ways:
    """`upload`: into the desktop; `download`: out of it; `most`: bytes that go at once."""

    upload: bool = True
    download: bool = True
    most: int = 2**20

    def gives(self, *, to_desktop: bool) -> bool:
        """Return whether what was copied at one end may go to the other."""
        return self.upload if to_desktop else self.download

    def asks(self, *, to_desktop: bool) -> bool:
        """Return whether one end may ask for what was copied at the other."""
        return self.gives(to_desktop=not to_desktop)
