"""RFC 9457 problem documents: every error says what to do about it (IF-3)."""

from __future__ import annotations

MEDIA_TYPE = "application/problem+json"


def problem(
    status: int, title: str, detail: str, remedy: str, **extra: object
) -> dict[str, object]:
    """The document. title: the kind of problem, the same each time; detail: this occurrence.

    `type` is derived from the title, so that programs can tell kinds apart. extra: more members.
    """
    kind = "-".join(title.lower().split())
    return {
        "type": f"urn:onefill:problem:{kind}",
        "title": title,
        "status": status,
        "detail": detail,
        "remedy": remedy,
        **extra,
    }
