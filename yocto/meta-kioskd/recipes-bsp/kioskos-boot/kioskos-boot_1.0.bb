SUMMARY = "Boot script that chooses between two copies of the software"
DESCRIPTION = "The script that U-Boot starts, and the picture it shows meanwhile."
HOMEPAGE = "https://github.com/kioskd/kioskd"
SECTION = "bootloaders"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/MIT;md5=0835ade698e0bcf8506ecda2f7b4f302"

DEPENDS = "u-boot-mkimage-native"
PROVIDES += "u-boot-default-script"

SRC_URI = "\
    file://boot.cmd.in \
    file://splash.bmp \
"

S = "${UNPACKDIR}"

inherit kernel-arch deploy nopackages

PACKAGE_ARCH = "${MACHINE_ARCH}"
INHIBIT_DEFAULT_DEPS = "1"

KIOSKOS_KERNEL = "Image"
KIOSKOS_KERNEL:qemux86-64 = "bzImage"
KIOSKOS_START = "booti \${kernel_addr_r} - \${fdt_addr}"
KIOSKOS_START:qemux86-64 = "zboot \${kernel_addr_r} \${filesize}"

do_compile() {
    sed -e 's|@@KERNEL@@|${KIOSKOS_KERNEL}|' -e 's|@@START@@|${KIOSKOS_START}|' \
        ${UNPACKDIR}/boot.cmd.in > ${B}/boot.cmd
    mkimage -A ${UBOOT_ARCH} -T script -C none -n kioskos -d ${B}/boot.cmd ${B}/boot.scr
}

do_deploy() {
    install -d ${DEPLOYDIR}
    install -m 0644 ${B}/boot.scr ${DEPLOYDIR}/boot.scr
    install -m 0644 ${UNPACKDIR}/splash.bmp ${DEPLOYDIR}/splash.bmp
}

addtask deploy after do_compile before do_build
