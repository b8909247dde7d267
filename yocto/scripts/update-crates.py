#!/usr/bin/env python3
"""Writes the crates that the daemon's recipe fetches from Cargo.lock, or, with --check, says whether they are those of it."""

import pathlib
import sys
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
LOCK = HERE.parent.parent / "Cargo.lock"
CRATES = HERE.parent / "meta-kioskd/recipes-kioskd/kioskd/kioskd-crates.inc"
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def crates(lock):
    """The text of the file. What is not from the registry must be in the checkout, where it has no source."""
    fetched = []
    for package in lock["package"]:
        source = package.get("source")
        if source is None:
            continue
        if source != REGISTRY:
            sys.exit(f"{package['name']} comes from {source}; only crates.io can be fetched")
        fetched.append((f"{package['name']}-{package['version']}", package))
    fetched.sort(key=lambda crate: crate[0])
    lines = ["# Written by yocto/scripts/update-crates.py from Cargo.lock.", "", 'SRC_URI += "\\']
    lines += [f"    crate://crates.io/{package['name']}/{package['version']} \\" for _, package in fetched]
    lines += ['"', ""]
    lines += [f'SRC_URI[{name}.sha256sum] = "{package["checksum"]}"' for name, package in fetched]
    return "\n".join(lines) + "\n"


def main():
    arguments = sys.argv[1:]
    if arguments not in ([], ["--check"]):
        sys.exit("usage: update-crates.py [--check]")
    with open(LOCK, "rb") as lock:
        wanted = crates(tomllib.load(lock))
    if not arguments:
        CRATES.write_text(wanted)
        return
    there = CRATES.read_text() if CRATES.exists() else ""
    if there != wanted:
        lines = set(there.splitlines()) ^ set(wanted.splitlines())
        for line in sorted(lines)[:10]:
            print(("- " if line in there.splitlines() else "+ ") + line)
        sys.exit(f"{CRATES.name} is not what Cargo.lock says ({len(lines)} lines differ): run yocto/scripts/update-crates.py")


main()
