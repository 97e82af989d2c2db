"""Results do not outlive what the site promised."""

from __future__ import annotations

from pathlib import Path


def purge(results: Path, retention_days: int, now_s: float) -> list[Path]:
    """Remove files below `results` last written more than `retention_days` before `now_s`; return them."""
    old = [
        path
        for path in sorted(results.rglob("*"))
        if path.is_file() and not path.is_symlink() and now_s - path.stat().st_mtime > retention_days * 86_400
    ]
    for path in old:
        path.unlink()
    for folder in sorted((path for path in results.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return old
