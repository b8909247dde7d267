# The machine's own keys are made once, at its first start, and outlive updates.
OPENSSH_HOST_KEY_DIR_READONLY_CONFIG:kioskos = "/data/ssh"
PACKAGECONFIG:kioskos = "systemd-sshd-service-mode hostkey-ed25519"
