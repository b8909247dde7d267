SUMMARY = "How a machine that sells is set: watchdog, journal, who may log in"
DESCRIPTION = "Settings of the system around the kiosk, and the technicians' account."
HOMEPAGE = "https://github.com/kioskd/kioskd"
SECTION = "base"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

SRC_URI = "\
    file://10-kioskos-journal.conf \
    file://10-kioskos-manager.conf \
    file://10-kioskos-sshd.conf \
    file://kioskd-kioskos.conf \
    file://kioskos-home.conf \
    file://kioskos-sudoers \
"

S = "${UNPACKDIR}"

inherit allarch useradd

# The technicians' public keys, as in an authorized_keys file; without one nobody gets in until somebody with the medium writes
# /data/ssh/technicians/technician.
KIOSKOS_TECHNICIAN_KEYS ?= ""

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system kiosk-tech; --system systemd-journal"
# `*` is no password, and does not lock the account.
USERADD_PARAM:${PN} = "--no-create-home --home-dir /run/technician --shell /bin/sh --password '*' \
                       --user-group --groups kiosk-tech,systemd-journal technician"

do_install() {
    install -d ${D}${nonarch_libdir}/systemd/system.conf.d ${D}${nonarch_libdir}/systemd/journald.conf.d \
        ${D}${systemd_system_unitdir}/kioskd.service.d ${D}${nonarch_libdir}/tmpfiles.d \
        ${D}${sysconfdir}/ssh/sshd_config.d ${D}${sysconfdir}/sudoers.d ${D}${datadir}/kioskos/technicians
    install -m 0644 ${UNPACKDIR}/10-kioskos-manager.conf ${D}${nonarch_libdir}/systemd/system.conf.d/10-kioskos.conf
    install -m 0644 ${UNPACKDIR}/10-kioskos-journal.conf ${D}${nonarch_libdir}/systemd/journald.conf.d/10-kioskos.conf
    install -m 0644 ${UNPACKDIR}/10-kioskos-sshd.conf ${D}${sysconfdir}/ssh/sshd_config.d/10-kioskos.conf
    install -m 0644 ${UNPACKDIR}/kioskos-home.conf ${D}${nonarch_libdir}/tmpfiles.d/kioskos-home.conf
    install -m 0644 ${UNPACKDIR}/kioskd-kioskos.conf ${D}${systemd_system_unitdir}/kioskd.service.d/kioskos.conf
    install -m 0440 ${UNPACKDIR}/kioskos-sudoers ${D}${sysconfdir}/sudoers.d/kioskos
    if [ -n "${KIOSKOS_TECHNICIAN_KEYS}" ]; then
        install -m 0644 ${KIOSKOS_TECHNICIAN_KEYS} ${D}${datadir}/kioskos/technicians/technician
    fi
}
do_install[file-checksums] += "${@d.getVar('KIOSKOS_TECHNICIAN_KEYS') + ':True' if d.getVar('KIOSKOS_TECHNICIAN_KEYS') else ''}"

FILES:${PN} += "\
    ${datadir}/kioskos \
    ${nonarch_libdir}/systemd \
    ${nonarch_libdir}/tmpfiles.d \
    ${systemd_system_unitdir} \
"
