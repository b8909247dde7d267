# nooelint: oelint.var.mandatoryvar.SRC_URI - a bundle is made of an image
SUMMARY = "New software for a machine that runs kioskos"
DESCRIPTION = "A signed bundle for RAUC with one copy of the software."
HOMEPAGE = "https://github.com/kioskd/kioskd"
LICENSE = "MIT"

inherit bundle

RAUC_BUNDLE_COMPATIBLE = "${KIOSKOS_COMPATIBLE}"
RAUC_BUNDLE_VERSION = "${DISTRO_VERSION}"
RAUC_BUNDLE_DESCRIPTION = "kioskos ${DISTRO_VERSION}"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_SLOTS = "rootfs"
RAUC_SLOT_rootfs = "kioskos-image"
RAUC_SLOT_rootfs[fstype] = "ext4"
RAUC_SLOT_rootfs[adaptive] = "block-hash-index"

# RAUC writes into the manifest that it is given; each bundle's is made anew.
do_bundle[prefuncs] += "fresh_manifest"
python fresh_manifest() {
    write_manifest(d)
}

# Keys are the operator's: RAUC_KEY_FILE and RAUC_CERT_FILE, see yocto/README.md. The certificate's purpose is to sign code.
