FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

SRC_URI:append:kioskos = " file://de.pengutronix.rauc.conf"

do_install:append:kioskos() {
    install -m 0644 ${UNPACKDIR}/de.pengutronix.rauc.conf ${D}${datadir}/dbus-1/system.d/de.pengutronix.rauc.conf
}

# The kiosk says what is good: see docs/update.md.
RRECOMMENDS:${PN}:remove:kioskos = "${PN}-mark-good"
