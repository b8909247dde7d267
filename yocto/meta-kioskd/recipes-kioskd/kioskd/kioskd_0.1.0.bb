SUMMARY = "Unattended point of sale for small Linux boards"
DESCRIPTION = "Payment QR, relays, receipt, fleet, and nothing lost: the daemon and kioskctl, without demo and back end."
HOMEPAGE = "https://github.com/kioskd/kioskd"
SECTION = "applications"
LICENSE = "(MIT | Apache-2.0) & OFL-1.1"
LIC_FILES_CHKSUM = "\
    file://LICENSE-MIT;md5=f918c0465449d5940d423be5a41f29ab \
    file://LICENSE-APACHE;md5=33cb3e1c1b295712884e2be97fb3d2d9 \
    file://assets/fonts/OFL.txt;md5=2ed23ad74f865e76b018f3df6b6c1e81 \
"

DEPENDS = "systemd"

require kioskd-crates.inc

# The checkout that the layer is a part of, as it is committed. A release is built from its tag: KIOSKD_REVISION is the commit.
KIOSKD_REPOSITORY ?= "git://${@os.path.realpath(d.getVar('THISDIR') + '/../../../..')};protocol=file"
KIOSKD_BRANCH ?= "main"
KIOSKD_REVISION ?= "${AUTOREV}"
SRC_URI += "${KIOSKD_REPOSITORY};branch=${KIOSKD_BRANCH}"
SRCREV = "${KIOSKD_REVISION}"

inherit cargo pkgconfig systemd useradd

# The profile that ships; what is stripped and what is kept of it is the image's.
BUILD_MODE = "--profile dist"
BUILD_DIR = "dist"
CARGO_BUILD_FLAGS += "--no-default-features --features systemd --bin kioskd --bin kioskctl --config profile.dist.strip=false"

USERADD_PACKAGES = "${PN}"
# As systemd/sysusers.conf has them; the numbers are in the layer's files/passwd and files/group.
GROUPADD_PARAM:${PN} = "--system gpio; --system i2c; --system kiosk-tech; --system kiosk-camera"
USERADD_PARAM:${PN} = "--system --no-create-home --home-dir ${localstatedir}/lib/kioskd --shell /sbin/nologin --user-group kioskd"

SYSTEMD_SERVICE:${PN} = "kioskd.service kioskd-health.service"

do_install() {
    built=${B}/target/${CARGO_TARGET_SUBDIR}
    install -d ${D}${bindir} ${D}${libexecdir} ${D}${systemd_system_unitdir}/kioskd.service.d
    install -m 0755 $built/kioskd ${D}${bindir}/kioskd
    install -m 0755 $built/kioskctl ${D}${bindir}/kioskctl

    install -m 0644 ${S}/systemd/kioskd.service ${D}${systemd_system_unitdir}/kioskd.service
    install -m 0644 ${S}/systemd/kioskd@.service ${D}${systemd_system_unitdir}/kioskd@.service
    install -m 0644 ${S}/systemd/kioskd-copies.conf ${D}${systemd_system_unitdir}/kioskd.service.d/copies.conf
    install -m 0644 ${S}/systemd/kioskd-health.service ${D}${systemd_system_unitdir}/kioskd-health.service
    install -m 0755 ${S}/systemd/kioskd-health ${D}${libexecdir}/kioskd-health

    install -d ${D}${nonarch_libdir}/sysusers.d ${D}${nonarch_libdir}/tmpfiles.d ${D}${nonarch_libdir}/udev/rules.d
    install -m 0644 ${S}/systemd/sysusers.conf ${D}${nonarch_libdir}/sysusers.d/kioskd.conf
    install -m 0644 ${S}/systemd/tmpfiles.conf ${D}${nonarch_libdir}/tmpfiles.d/kioskd.conf
    install -m 0644 ${S}/systemd/udev.rules ${D}${nonarch_libdir}/udev/rules.d/60-kioskd.rules

    install -d ${D}${datadir}/dbus-1/system.d ${D}${datadir}/dbus-1/system-services ${D}${datadir}/dbus-1/interfaces
    install -m 0644 ${S}/systemd/org.kioskd.Kiosk1.conf ${D}${datadir}/dbus-1/system.d/org.kioskd.Kiosk1.conf
    install -m 0644 ${S}/systemd/org.kioskd.Kiosk1.service ${D}${datadir}/dbus-1/system-services/org.kioskd.Kiosk1.service
    install -m 0644 ${S}/systemd/org.kioskd.Kiosk1.xml ${D}${datadir}/dbus-1/interfaces/org.kioskd.Kiosk1.xml

    install -d ${D}${datadir}/polkit-1/actions ${D}${datadir}/polkit-1/rules.d
    install -m 0644 ${S}/systemd/org.kioskd.policy ${D}${datadir}/polkit-1/actions/org.kioskd.policy
    install -m 0644 ${S}/systemd/kioskd-reboot.rules ${D}${datadir}/polkit-1/rules.d/kioskd-reboot.rules

    # Fonts, themes and tariffs that a configuration may name, and one to begin with.
    install -d ${D}${datadir}/kioskd/fonts ${D}${datadir}/kioskd/examples
    install -m 0644 ${S}/assets/fonts/*.otf ${S}/assets/fonts/OFL.txt ${D}${datadir}/kioskd/fonts
    install -m 0644 ${S}/configs/raspberry-pi.toml ${D}${datadir}/kioskd/examples/kiosk.toml
    cp -r --no-preserve=ownership ${S}/configs/themes ${S}/configs/tariffs ${D}${datadir}/kioskd

    # Where /data/kioskd/etc is bound to.
    install -d -m 0750 -o kioskd -g kioskd ${D}${sysconfdir}/kioskd
    install -d -m 0700 -o kioskd -g kioskd ${D}${localstatedir}/lib/kioskd
}

FILES:${PN} += "\
    ${datadir}/dbus-1 \
    ${datadir}/polkit-1 \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_libdir}/udev \
    ${systemd_system_unitdir} \
"

RDEPENDS:${PN} += "dbus polkit tzdata-core"
