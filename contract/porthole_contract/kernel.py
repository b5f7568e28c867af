"""What the kernel writes down about what is used, as text (pure)."""


def carried(text: str) -> tuple[int, int]:
    """Return the bytes that came in and went out, of /proc/net/dev, without the loopback."""
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        fields = numbers.split()
        if name.strip() != "lo" and len(fields) > 8:  # noqa: PLR2004 - the ninth is what was sent
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent
