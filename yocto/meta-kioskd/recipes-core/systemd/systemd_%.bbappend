# Grows the data partition; openssl is what it asks for.
PACKAGECONFIG:append:kioskos = " repart openssl"
# Nobody logs in on the glass, and there is one system on the machine.
PACKAGECONFIG:remove:kioskos = "binfmt hibernate localed machined nss-mymachines quotacheck vconsole wheel-group"
