FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

# The same picture as the boot loader's, until the kiosk draws.
SPLASH_IMAGES:kioskos = "file://psplash-kioskos-img.png;outsuffix=default"
PACKAGECONFIG:remove:kioskos = "progress-bar startup-msg"
