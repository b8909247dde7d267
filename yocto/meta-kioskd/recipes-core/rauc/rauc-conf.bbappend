FILESEXTRAPATHS:prepend:kioskos := "${THISDIR}/files:"

# RAUC_KEYRING_URI names the certificate of who may sign. It is the operator's, and none is in this layer.
do_install:append:kioskos() {
    sed -i -e 's|@@COMPATIBLE@@|${KIOSKOS_COMPATIBLE}|' ${D}${nonarch_libdir}/rauc/system.conf
    if [ "${RAUC_KEYRING_FILE}" != "ca.cert.pem" ]; then
        mv ${D}${nonarch_libdir}/rauc/${RAUC_KEYRING_FILE} ${D}${nonarch_libdir}/rauc/ca.cert.pem
    fi
    grep -q 'BEGIN CERTIFICATE' ${D}${nonarch_libdir}/rauc/ca.cert.pem ||
        bbfatal "no certificate of who may sign bundles: set RAUC_KEYRING_URI and RAUC_KEYRING_FILE, see yocto/README.md"
}

PACKAGE_ARCH:kioskos = "${MACHINE_ARCH}"
