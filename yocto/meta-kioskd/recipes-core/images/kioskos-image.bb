SUMMARY = "A machine that sells, complete"
DESCRIPTION = "kioskd on a read-only system with two copies and one partition for what lasts."
HOMEPAGE = "https://github.com/kioskd/kioskd"
LICENSE = "MIT"

# Whoever builds it must not open it by mistake.
CONFLICT_IMAGE_FEATURES = "allow-empty-password empty-root-password allow-root-login"

inherit core-image features_check

IMAGE_FEATURES += "read-only-rootfs splash"
IMAGE_LINGUAS = ""

IMAGE_INSTALL = "\
    packagegroup-core-boot \
    ca-certificates \
    e2fsprogs-e2fsck \
    kernel-image \
    kernel-modules \
    kioskd \
    kioskos-persist \
    kioskos-settings \
    libubootenv-bin \
    openssh-sshd \
    openssh-sftp-server \
    polkit \
    rauc \
    rauc-service \
    sudo \
    tzdata-core \
    u-boot-env \
"

# For wic, which takes the copy as it is in the bundle, and what starts it.
# nooelint: oelint.vars.specific - wic is a type of image
IMAGE_TYPEDEP:wic = "ext4"
IMAGE_BOOT_FILES:qemuall = "boot.scr splash.bmp"
do_image_wic[depends] += "\
    kioskos-boot:do_deploy \
    virtual/bootloader:do_deploy \
"

# What fleets compare; os-release says it in each copy.
ROOTFS_POSTPROCESS_COMMAND += "kioskos_release"
kioskos_release() {
    echo 'IMAGE_ID="${KIOSKOS_COMPATIBLE}"' >> ${IMAGE_ROOTFS}${nonarch_libdir}/os-release
    echo 'IMAGE_VERSION="${DISTRO_VERSION}"' >> ${IMAGE_ROOTFS}${nonarch_libdir}/os-release
    # A place to mount, and where PID 1 looks for the earliest time there can be.
    install -d ${IMAGE_ROOTFS}/data
    : > ${IMAGE_ROOTFS}${nonarch_libdir}/clock-epoch
    # What kioskos-init binds the machine's own id over.
    : > ${IMAGE_ROOTFS}${sysconfdir}/machine-id
}
