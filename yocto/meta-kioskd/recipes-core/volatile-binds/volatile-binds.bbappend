# /var/lib is not among them: what lasts of it is bound by name.
VOLATILE_BINDS:kioskos = "\
    ${localstatedir}/volatile/cache ${localstatedir}/cache\n\
    ${localstatedir}/volatile/spool ${localstatedir}/spool\n\
"
