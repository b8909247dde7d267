FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

SRC_URI:append:kioskos = " file://kioskos.cfg"
SRC_URI:append:rpi:kioskos = " file://kioskos-rpi.cfg"
SRC_URI:append:qemuarm64:kioskos = " file://kioskos-qemu.cfg file://fw_env.config"
SRC_URI:append:qemux86-64:kioskos = " file://kioskos-qemu.cfg file://fw_env.config"
