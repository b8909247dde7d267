FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

hostname:kioskos = "kioskos"
