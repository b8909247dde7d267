SUMMARY = "What outlives an update, at its place from the first process on"
DESCRIPTION = "Mounts the data partition, binds what lasts by name, and gives the clock its floor before systemd starts."
HOMEPAGE = "https://github.com/kioskd/kioskd"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "\
    file://50-data.conf \
    file://kioskos-init \
"

S = "${UNPACKDIR}"

inherit allarch

do_install() {
    install -d ${D}${sbindir} ${D}${nonarch_libdir}/repart.d
    install -m 0755 ${UNPACKDIR}/kioskos-init ${D}${sbindir}/kioskos-init
    install -m 0644 ${UNPACKDIR}/50-data.conf ${D}${nonarch_libdir}/repart.d/50-data.conf
    # The id is on /data already; where it is mounted, this would want it to be on a temporary file system.
    install -d ${D}${sysconfdir}/systemd/system
    ln -s /dev/null ${D}${sysconfdir}/systemd/system/systemd-machine-id-commit.service
}

FILES:${PN} += "${nonarch_libdir}/repart.d"

RDEPENDS:${PN} += "e2fsprogs-e2fsck"
