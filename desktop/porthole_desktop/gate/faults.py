"""What ends a conversation with a viewer or a desktop, and whose fault it was."""

from porthole_contract.errors import RemoteProtocolError


class ViewerFault(RemoteProtocolError):
    """The viewer said something that the gate does not admit."""

    code = "viewer_protocol"


class DesktopFault(RemoteProtocolError):
    """The desktop said something that the gate does not admit."""

    code = "desktop_protocol"
