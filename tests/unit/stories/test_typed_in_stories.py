"""What a page says that one types, as the stories take it from there."""

from e2e.support.typed import commands, fenced, in_notes, section

PAGE = """\
# Title

    not here

## First

Type:

    make it  # now
    see it

```yaml
a: 1
    not: typed
```

Then:

    first

    after a gap

## Second

    elsewhere
"""
NOTES = """\
NAME: porthole
  not: typed
NOTES:
Nothing leads there yet but this:

  kubectl forward

A desktop:

  echo '
    a: 1
  ' | kubectl apply
  kubectl wait

When it goes, it goes.
"""


def test_blocks_are_taken_as_somebody_copies_them() -> None:
    text = section(PAGE, "First")
    assert commands(text) == ["make it  # now\nsee it", "first\n\nafter a gap"]
    assert fenced(text, "yaml") == ["a: 1\n    not: typed\n"]
    assert commands(section(PAGE, "Second")) == ["elsewhere"]


def test_notes_are_taken_as_a_terminal_shows_them() -> None:
    wanted = "  echo '\n    a: 1\n  ' | kubectl apply\n  kubectl wait"
    assert in_notes(NOTES) == ["  kubectl forward", wanted]
