FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

SRC_URI:append:qemuall:kioskos = " file://kioskos-qemu.cfg"
