"""`onefill demo`: everything on one machine, trading on paper before your eyes. Source: OPS-5."""
