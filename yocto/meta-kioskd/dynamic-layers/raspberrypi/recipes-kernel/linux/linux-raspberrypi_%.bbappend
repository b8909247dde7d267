FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

SRC_URI:append:kioskos = " file://kioskos-rpi.cfg"
