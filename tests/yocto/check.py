"""Whether the Yocto layer agrees with itself and with the product. Each check is a function; what it finds wrong it says."""

import configparser
import fnmatch
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib
import xml.etree.ElementTree

PROJECT = pathlib.Path(__file__).resolve().parent.parent.parent
YOCTO = PROJECT / "yocto"
LAYER = YOCTO / "meta-kioskd"
MIB = 1 << 20
MACHINES = ("raspberrypi4-64", "raspberrypi5", "qemuarm64", "qemux86-64")


def text(path):
    return (LAYER / path).read_text()


def variable(source, name):
    """Of a recipe or a configuration file, in one line."""
    source = source.replace("\\\n", " ")
    found = re.search(rf'^{re.escape(name)} *\??[:+]?= *"(.*)"$', source, re.M)
    return found and " ".join(found[1].split())


def partitions():
    """The medium as wic lays it out: of each partition its number, words, and first byte."""
    found, at = {}, 0
    for line in text("files/wic/kioskos.wks.in").splitlines():
        if not line.startswith("part "):
            continue
        words = dict(re.findall(r"--([\w-]+)[= ]\"?([^\s\"]+)", line))
        align = int(words["align"]) * 1024
        at = (at + align - 1) // align * align or align
        size = int(words["fixed-size"].rstrip("M")) * MIB
        found[words["part-name"]] = {"number": len(found) + 1, "at": at, "size": size, **words}
        at += size
    return found


def system_conf():
    conf = configparser.ConfigParser()
    conf.read_string(text("recipes-core/rauc/files/system.conf"))
    return conf


def ids(file):
    """Names and numbers of a table of users or groups."""
    return {line.split(":")[0]: line.split(":") for line in text(f"files/{file}").splitlines() if line.strip()}


def crates():
    done = subprocess.run([sys.executable, YOCTO / "scripts/update-crates.py", "--check"], capture_output=True, text=True)
    if done.returncode:
        yield (done.stdout + done.stderr).strip()


def oelint():
    suppress = []
    # A machine without network reaches no home page; the licence of files of ours is not at somebody else's.
    for rule in ("oelint.vars.homepageping", "oelint.var.licenseremotefile"):
        suppress += ["--suppress", rule]
    files = sorted([*LAYER.rglob("*.bb"), *LAYER.rglob("*.bbappend"), *LAYER.rglob("*.inc"), *(LAYER / "conf").rglob("*.conf")])
    # What is written by a program has a check of its own, and takes the linter long.
    files = [file for file in files if file.name != "kioskd-crates.inc"]
    command = [sys.executable, "-m", "oelint_adv", "--release", "wrynose", "--quiet", "--hide", "info", "--jobs", "2"]
    command += ["--constantmods", f"+{PROJECT / 'tests/yocto/oelint.json'}", *suppress, "--", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = (done.stdout + done.stderr).replace(f"{LAYER}/", "").strip()
    if done.returncode or said:
        yield said or f"it ended with {done.returncode}"


def kas():
    import jsonschema
    import kas as program
    import yaml

    schema = json.loads((pathlib.Path(program.__file__).parent / "schema-kas.json").read_text())
    check = jsonschema.validators.validator_for(schema)(schema)
    files = {file.name: yaml.safe_load(file.read_text()) for file in sorted((YOCTO / "kas").glob("*.yml"))}
    for name, content in files.items():
        for error in check.iter_errors(content):
            yield f"{name}: {error.message}"
        for include in content.get("header", {}).get("includes", []):
            if not (PROJECT / include).exists():
                yield f"{name} includes {include}, which is not there"
        for repo, says in content.get("repos", {}).items():
            if says.get("url") and not re.fullmatch(r"[0-9a-f]{40}", says.get("commit", "")):
                yield f"{name}: {repo} has no commit"
    for machine in MACHINES:
        there = files.get(f"{machine}.yml", {}).get("machine")
        if there != machine:
            yield f"{machine}.yml builds {there}"
    if files["base.yml"].get("distro") != "kioskos":
        yield "base.yml builds another distribution than kioskos"


def medium():
    """Table, boot loader's variables and their tools, fstab and repart name the same places."""
    parts = partitions()
    if list(parts) != ["kioskos-boot", "kioskos-bootenv", "kioskos-a", "kioskos-b", "kioskos-data"]:
        yield f"the partitions are {list(parts)}"
        return
    uuids = [part["uuid"] for part in parts.values()]
    if len(set(uuids)) != len(uuids):
        yield "two partitions have one uuid"
    if parts["kioskos-a"]["fixed-size"] != parts["kioskos-b"]["fixed-size"]:
        yield "the copies have different sizes"
    distro = text("conf/distro/kioskos.conf")
    if int(variable(distro, "IMAGE_ROOTFS_MAXSIZE")) * 1024 > parts["kioskos-a"]["size"]:
        yield "IMAGE_ROOTFS_MAXSIZE is more than a copy's partition"
    if int(variable(distro, "IMAGE_ROOTFS_ALIGNMENT")) % 4:
        yield "IMAGE_ROOTFS_ALIGNMENT is not whole blocks of 4 KiB, which adaptive updates want"

    kconfig = dict(re.findall(r"^CONFIG_(\w+)=(.*)$", text("recipes-bsp/u-boot/files/kioskos.cfg"), re.M))
    size = int(kconfig["ENV_SIZE"], 0)
    offsets = [int(kconfig[key], 0) for key in ("ENV_OFFSET", "ENV_OFFSET_REDUND")]
    env = parts["kioskos-bootenv"]
    for offset in offsets:
        if not env["at"] <= offset <= env["at"] + env["size"] - size:
            yield f"U-Boot keeps variables at {offset:#x}, and kioskos-bootenv is {env['at']:#x}+{env['size']:#x}"
    if kconfig.get("ENV_REDUNDANT") != "y" or abs(offsets[0] - offsets[1]) < 4 * MIB:
        yield "the boot loader's variables are not there twice, in two erase units"
    tools = [line.split() for line in text("recipes-bsp/u-boot/files/fw_env.config").splitlines() if not line.startswith("#")]
    wanted = [["/dev/disk/by-partlabel/kioskos-bootenv", offset - env["at"], size] for offset in offsets]
    if [[device, int(offset, 0), int(length, 0)] for device, offset, length in tools] != wanted:
        yield f"fw_env.config has {tools}, and U-Boot {wanted}"

    data = parts["kioskos-data"]
    fstab = text("recipes-core/base-files/files/fstab")
    lines = {line.split()[1]: line.split() for line in fstab.splitlines() if line.strip() and not line.startswith("#")}
    if lines.get("/data", [None])[0] != f"PARTUUID={data['uuid']}":
        yield "fstab's /data is another partition than wic's"
    if "x-systemd.growfs" not in lines["/data"][3]:
        yield "the file system of /data does not grow"
    repart = configparser.ConfigParser()
    repart.optionxform = str
    repart.read_string(text("recipes-core/kioskos-persist/files/50-data.conf"))
    if repart["Partition"]["Type"] != data["part-type"] or repart["Partition"]["Label"] != "kioskos-data":
        yield "repart grows another partition than wic's"
    if list(parts)[-1] != "kioskos-data":
        yield "data is not last, so it can't grow"
    made = re.findall(r"^folder \d+ [\d:]+ (\S+)$", text("recipes-core/kioskos-persist/files/kioskos-init"), re.M)
    for place, line in lines.items():
        if "bind" in line[3].split(",") and line[0].removeprefix("/data/") not in made:
            yield f"fstab binds {line[0]} to {place}, and kioskos-init does not make it"
        if place == "/etc" or place.startswith("/etc/") and place.count("/") != 2:
            yield f"{place} covers what an update brings"
    for place in ("/etc/kioskd", "/var/lib/kioskd", "/var/lib/systemd"):
        if place not in lines:
            yield f"{place} does not last"


def boot():
    """The boot script, wic and RAUC's configuration have the same copies."""
    parts, conf, script = partitions(), system_conf(), text("recipes-bsp/kioskos-boot/files/boot.cmd.in")
    slots = {conf[section]["bootname"]: conf[section] for section in conf.sections() if section.startswith("slot.rootfs.")}
    if sorted(slots) != ["A", "B"]:
        yield f"system.conf has the copies {sorted(slots)}"
        return
    prefix = re.search(r"root=PARTUUID=([0-9a-f-]+)\$\{part\}", script)[1]
    for name, slot in slots.items():
        part = parts[f"kioskos-{name.lower()}"]
        if slot["device"] != f"/dev/disk/by-partuuid/{part['uuid']}":
            yield f"system.conf has copy {name} in {slot['device']}"
        if slot["type"] != "ext4":
            yield f"system.conf has copy {name} as {slot['type']}"
        number = re.search(rf'"\$\{{copy\}}" = "{name}"; then\n\s+setenv left "\$\{{BOOT_{name}_LEFT\}}"\n\s+setenv part (\d+)', script)
        if not number or int(number[1]) != part["number"]:
            yield f"the boot script has copy {name} in partition {number and number[1]}, and wic in {part['number']}"
        if f"{prefix}{part['number']}" != part["uuid"]:
            yield f"the boot script's root for copy {name} is {prefix}{part['number']}, and wic's {part['uuid']}"
    system = conf["system"]
    given = set(re.findall(r"setenv BOOT_[AB]_LEFT (\d+)", script))
    if given != {system["boot-attempts"]} or system["boot-attempts-primary"] != system["boot-attempts"]:
        yield f"the boot script gives {given} attempts, RAUC {system['boot-attempts']} and {system['boot-attempts-primary']}"
    if script.count("setenv BOOT_ORDER") != 1:
        yield "the boot script makes up an order"
    saved = [match.start() for match in re.finditer(r"^\s*saveenv$", script, re.M)]
    start = script.index("@@START@@")
    if len(saved) != 2 or not saved[0] < script.index("boot/@@KERNEL@@") < start < saved[1]:
        yield "an attempt is not saved before it is made"
    if "rauc.slot=${copy}" not in script:
        yield "RAUC is not told which copy was started"
    init = re.search(r"init=(\S+)", script)[1]
    if init != "/usr/sbin/kioskos-init" or "${D}${sbindir}/kioskos-init" not in text("recipes-core/kioskos-persist/kioskos-persist_1.0.bb"):
        yield f"the first process is {init}, which no recipe installs"
    wanted = {"bootloader": "uboot", "bundle-formats": "-plain", "compatible": "@@COMPATIBLE@@"}
    for key, value in wanted.items():
        if system.get(key) != value:
            yield f"system.conf has {key}={system.get(key)}"
    if conf["keyring"].get("check-purpose") != "codesign":
        yield "system.conf takes any certificate: check-purpose"
    for key in ("statusfile", "data-directory"):
        if not system[key].startswith("/data/rauc"):
            yield f"system.conf's {key} does not last: {system[key]}"


def bundle():
    recipe, conf = text("recipes-core/bundles/kioskos-bundle_1.0.bb"), text("recipes-core/rauc/rauc-conf.bbappend")
    if variable(recipe, "RAUC_BUNDLE_COMPATIBLE") != "${KIOSKOS_COMPATIBLE}" or "s|@@COMPATIBLE@@|${KIOSKOS_COMPATIBLE}|" not in conf:
        yield "bundle and machine have different ideas of what fits"
    if "${MACHINE}" not in (variable(text("conf/distro/kioskos.conf"), "KIOSKOS_COMPATIBLE") or ""):
        yield "a bundle of one board fits another"
    wanted = {
        "RAUC_BUNDLE_FORMAT": "verity",
        "RAUC_BUNDLE_VERSION": "${DISTRO_VERSION}",
        "RAUC_SLOT_rootfs": "kioskos-image",
        "RAUC_SLOT_rootfs[adaptive]": "block-hash-index",
        "RAUC_SLOT_rootfs[fstype]": "ext4",
    }
    for name, value in wanted.items():
        if variable(recipe, name) != value:
            yield f"{name} is {variable(recipe, name)}, not {value}"
    if 'do_bundle[prefuncs] += "fresh_manifest"' not in recipe:
        yield "the manifest of a bundle that is made again is the one that RAUC has changed"
    if "IMAGE_VERSION=\"${DISTRO_VERSION}\"" not in text("recipes-core/images/kioskos-image.bb"):
        yield "a copy does not say the version of its bundle"
    if not re.search(r"hash_seed=[0-9a-f-]{36}", variable(text("conf/distro/kioskos.conf"), "EXTRA_IMAGECMD:ext4") or ""):
        yield "two builds of one file system have different hashes of names"


def health():
    if not re.search(r"^RRECOMMENDS:\$\{PN\}:remove\S* = \"\$\{PN\}-mark-good\"", text("recipes-core/rauc/rauc_%.bbappend"), re.M):
        yield "RAUC marks software good that has not proved itself"
    unit = (PROJECT / "systemd/kioskd-health.service").read_text()
    for line in ("Before=boot-complete.target", "RequiredBy=boot-complete.target", "ExecStart=/usr/libexec/kioskd-health"):
        if line not in unit.splitlines():
            yield f"kioskd-health.service has no {line}"
    if "kioskd-health.service" not in variable(text("recipes-kioskd/kioskd/kioskd_0.1.0.bb"), "SYSTEMD_SERVICE:${PN}"):
        yield "kioskd-health.service is not enabled"

    def gate(config, active, trial, seconds=0.6):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            for name, does in (("systemctl", "exit " + ("0" if active else "3")), ("rauc", f"echo \"$@\" >{folder}/marked")):
                (folder / name).write_text(f"#!/bin/sh\n{does}\n")
                (folder / name).chmod(0o755)
            for name, there in (("config", config), ("trial", trial)):
                if there:
                    (folder / name).touch()
            environment = {"PATH": f"{folder}:/usr/bin:/bin", "KIOSKD_CONFIG": f"{folder}/config", "KIOSKD_TRIAL": f"{folder}/trial"}
            process = subprocess.Popen(["sh", PROJECT / "systemd/kioskd-health"], env=environment, stdout=subprocess.DEVNULL)
            try:
                good = process.wait(seconds if trial or not active else 30) == 0
            except subprocess.TimeoutExpired:
                good = False
                process.kill()
                process.wait()
            marked = folder / "marked"
            return good, marked.exists() and marked.read_text().strip()

    for given, wanted in (
        ((True, True, False), (True, False)),
        ((True, True, True), (False, False)),
        ((True, False, False), (False, False)),
        ((False, True, False), (True, "status mark-good")),
    ):
        if gate(*given) != wanted:
            yield f"with (set up, kiosk active, on trial) = {given} the health unit is (good, marked) = {gate(*given)}"


def people():
    """Users and groups have one number in every copy, and everybody who is named is there."""
    users, groups = ids("passwd"), ids("group")
    for table, name in ((users, "passwd"), (groups, "group")):
        numbers = [line[2] for line in table.values()]
        if len(set(numbers)) != len(numbers):
            yield f"two lines of files/{name} have one number"
    for name, line in users.items():
        if name not in groups or groups[name][2] != line[3]:
            yield f"files/passwd has {name} in group {line[3]}, files/group has {groups.get(name)}"
    made = {"user": set(), "group": set()}
    for recipe in LAYER.rglob("*.bb"):
        source = recipe.read_text()
        for command in (variable(source, "GROUPADD_PARAM:${PN}") or "").split(";"):
            made["group"] |= {command.split()[-1]} if command.split() else set()
        for command in (variable(source, "USERADD_PARAM:${PN}") or "").split(";"):
            words = command.split()
            if words:
                made["user"].add(words[-1])
                made["group"] |= {words[-1]} if "--user-group" in words else set()
                named = {group for group in (words[words.index("--groups") + 1].split(",") if "--groups" in words else [])}
                for group in named - made["group"]:
                    yield f"{recipe.name} puts {words[-1]} into {group}, which it does not make"
    for name in made["user"] - set(users):
        yield f"a recipe makes the user {name}, who has no number"
    for name in made["group"] - set(groups):
        yield f"a recipe makes the group {name}, which has no number"
    wanted = {"u": set(), "g": set()}
    for line in (PROJECT / "systemd/sysusers.conf").read_text().splitlines():
        if line[:2] in ("u ", "g "):
            wanted[line[0]].add(line.split()[1])
    wanted["g"] |= wanted["u"]
    for name in wanted["u"] - made["user"]:
        yield f"sysusers.conf has the user {name}, and no recipe makes them"
    for name in wanted["g"] - made["group"]:
        yield f"sysusers.conf has the group {name}, and no recipe makes it"
    owners = re.findall(r"^folder \d+ (\d+):(\d+) (\S+)$", text("recipes-core/kioskos-persist/files/kioskos-init"), re.M)
    number = {"kioskd/state": "kioskd", "kioskd/etc": "kioskd", "journal": "systemd-journal"}
    for user, group, path in owners:
        name = number.get(path)
        expect = ("0", "0") if name is None else ("0" if name == "systemd-journal" else users[name][2], groups[name][2])
        if (user, group) != expect:
            yield f"kioskos-init gives {path} to {user}:{group}, and the tables have {expect}"


def bus():
    """Of RAUC the kiosk may ask what it asks, and nobody but root anything else."""
    policy = xml.etree.ElementTree.fromstring(text("recipes-core/rauc/files/de.pengutronix.rauc.conf"))
    rules = {}
    for part in policy.iter("policy"):
        who = part.get("user") or part.get("context") or part.get("group")
        rules[who] = [(rule.tag, rule.get("own"), rule.get("send_interface"), rule.get("send_member")) for rule in part]
    if rules.get("default") != [("deny", None, None, None)]:
        yield f"everybody may {rules.get('default')}"
    source = (PROJECT / "src/update/rauc.rs").read_text()
    asked = {(f"de.pengutronix.rauc.Installer", name) for name in re.findall(r'\.call\("(\w+)"', source)}
    asked |= {("org.freedesktop.DBus.Properties", name) for name in re.findall(r'Some\(PROPERTIES\), "(\w+)"', source)}
    allowed = {(interface, member) for tag, _, interface, member in rules.get("kioskd", []) if tag == "allow"}
    if allowed != asked:
        yield f"the kiosk may {sorted(allowed - asked)} for nothing, and may not {sorted(asked - allowed)}"
    if set(rules) != {"default", "root", "kioskd"}:
        yield f"there are rules for {sorted(rules)}"


def recipe():
    """The daemon's recipe fits Cargo.toml, and installs what the product brings, where the product says."""
    cargo = tomllib.loads((PROJECT / "Cargo.toml").read_text())
    (file,) = LAYER.glob("recipes-kioskd/kioskd/kioskd_*.bb")
    source = file.read_text()
    if file.name != f"kioskd_{cargo['package']['version']}.bb":
        yield f"{file.name} is to build {cargo['package']['version']}"
    if tuple(map(int, cargo["package"]["rust-version"].split("."))) > (1, 94):
        yield "the release's Rust is 1.94, and Cargo.toml wants a newer one"
    flags = variable(source, "CARGO_BUILD_FLAGS").split()
    features = flags[flags.index("--features") + 1].split(",")
    if features != ["systemd"] or "--no-default-features" not in flags or set(features) - set(cargo["features"]):
        yield f"the device's build has {flags}"
    programs = {flags[at + 1] for at, word in enumerate(flags) if word == "--bin"}
    if programs != {program["name"] for program in cargo["bin"] if "required-features" not in program}:
        yield f"it builds {sorted(programs)}"
    profile = variable(source, "BUILD_MODE").split()[-1]
    if "inherits" not in cargo["profile"].get(profile, {}) or variable(source, "BUILD_DIR") != profile:
        yield f"it builds the profile {profile} in {variable(source, 'BUILD_DIR')}"
    for path, digest in re.findall(r"file://(\S+);md5=(\w+)", source):
        if not (PROJECT / path).exists() or hashlib.md5((PROJECT / path).read_bytes()).hexdigest() != digest:
            yield f"the licence {path} is another"

    names = {
        "${bindir}": "/usr/bin", "${libexecdir}": "/usr/libexec", "${datadir}": "/usr/share", "${nonarch_libdir}": "/usr/lib",
        "${systemd_system_unitdir}": "/usr/lib/systemd/system", "${sysconfdir}": "/etc", "${localstatedir}": "/var",
    }
    installed = {}
    for line in source.replace("\\\n", " ").splitlines():
        words = line.split()
        if words[:2] == ["install", "-m"]:
            place = words[-1].removeprefix("${D}")
            for name, folder in names.items():
                place = place.replace(name, folder)
            for one in words[3:-1]:
                installed[one.removeprefix("${S}/")] = place
    for one in installed:
        if not one.startswith("$built/") and not list(PROJECT.glob(one)):
            yield f"it installs {one}, which is not there"
    theirs = fnmatch.filter(os.listdir(PROJECT / "systemd"), "*")
    for name in sorted(theirs):
        said = (PROJECT / "systemd" / name).read_text()
        # An operator's, not a machine's.
        if name.startswith("kioskfleet"):
            continue
        place = installed.get(f"systemd/{name}")
        if place is None:
            yield f"it does not install systemd/{name}"
            continue
        wanted = re.search(r"(?:Install )?as\s+(?:#\s*)?(/(?:usr|etc)/[\w./@-]*\w)", said)
        if wanted and wanted[1] != place:
            yield f"systemd/{name} is to be {wanted[1]}, and the recipe installs {place}"
    for key, value in tomllib.loads((PROJECT / "configs/raspberry-pi.toml").read_text())["glass"].items():
        if key.startswith("font_") and not any(fnmatch.fnmatch(value, f"{place}/{pathlib.Path(one).name}") for one, place in installed.items()):
            yield f"the configuration's {key} is {value}, which the recipe does not install"
    if not variable(text("recipes-core/images/kioskos-image.bb"), "IMAGE_INSTALL") or "kioskd" not in variable(
        text("recipes-core/images/kioskos-image.bb"), "IMAGE_INSTALL"
    ).split():
        yield "the image has no kioskd"


def closed():
    """Nobody gets in but by key, and no key is in the layer."""
    for path in YOCTO.rglob("*"):
        if path.is_file() and b"PRIVATE KEY-----" in path.read_bytes():
            yield f"{path.relative_to(PROJECT)} has a private key"
    image = text("recipes-core/images/kioskos-image.bb")
    opened = {"allow-empty-password", "empty-root-password", "allow-root-login", "debug-tweaks"}
    for path in [*LAYER.rglob("*.bb*"), *LAYER.rglob("*.conf"), *(YOCTO / "kas").glob("*.yml")]:
        for name in opened:
            for line in path.read_text().splitlines():
                if name in line and not line.startswith("CONFLICT_IMAGE_FEATURES"):
                    yield f"{path.relative_to(PROJECT)}: {line.strip()}"
    if not {"allow-empty-password", "empty-root-password", "allow-root-login"} <= set((variable(image, "CONFLICT_IMAGE_FEATURES") or "").split()):
        yield "the image can be opened by its features"
    if "read-only-rootfs" not in (variable(image, "IMAGE_FEATURES") or "").split():
        yield "the root is not read-only"
    manager = text("recipes-core/kioskos-settings/files/10-kioskos-manager.conf")
    if "RuntimeWatchdogSec=8" not in manager.splitlines():
        yield "the watchdog does not watch"

    for path in ("ssh", "ssh/technicians"):
        if f"folder 0755 0:0 {path}\n" not in text("recipes-core/kioskos-persist/files/kioskos-init"):
            yield f"/data/{path} is not root's, or sshd can't read the technicians' keys there"

    with tempfile.TemporaryDirectory() as folder:
        key = pathlib.Path(folder) / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        os.makedirs("/run/sshd", exist_ok=True)
        file = LAYER / "recipes-core/kioskos-settings/files/10-kioskos-sshd.conf"
        asked = ["sshd", "-T", "-f", file, "-h", key, "-C", "user=technician,host=h,addr=127.0.0.1"]
        done = subprocess.run(asked, capture_output=True, text=True, env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}, executable="/usr/sbin/sshd")
        if done.returncode:
            yield f"sshd does not like its settings: {done.stderr.strip()}"
            return
        says = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
        wanted = {
            "permitrootlogin": "no", "passwordauthentication": "no", "kbdinteractiveauthentication": "no", "allowgroups": "kiosk-tech",
            "authenticationmethods": "publickey", "allowtcpforwarding": "no", "permitemptypasswords": "no",
        }
        for name, value in wanted.items():
            if says.get(name) != value:
                yield f"sshd has {name} {says.get(name)}, not {value}"


def first_process():
    """kioskos-init on a root of its own, where mount and the like only say what they were asked."""

    class Machine:
        def __init__(self, folder):
            self.root = pathlib.Path(folder)
            for path in ("dev", "etc", "data", "proc/self", "proc/sys/kernel/random", "sys/class", "sbin", "bin", "usr/lib"):
                (self.root / path).mkdir(parents=True)
            # Another disk comes first, and has a partition of that name, too.
            for disk, part, name, number in (
                ("mmcblk0", "mmcblk0p3", "kioskos-a", "179:3"), ("mmcblk0", "mmcblk0p5", "kioskos-data", "179:5"),
                ("aaa", "aaa1", "kioskos-data", "8:1"),
            ):
                place = self.root / "sys/devices" / disk / part
                place.mkdir(parents=True)
                (place / "uevent").write_text(f"DEVNAME={part}\nPARTNAME={name}\n")
                (self.root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
                (self.root / "sys/dev/block" / number).symlink_to(place)
            (self.root / "proc/sys/kernel/random/uuid").write_text("01234567-89ab-cdef-0123-456789abcdef\n")
            (self.root / "etc/machine-id").touch()
            self.program("sbin/init", "echo init \"$@\"")
            for name, does in (
                ("mount", ""), ("mountpoint", "echo 179:3"), ("e2fsck", ""), ("reboot", "kill $PPID"), ("sleep", ""), ("chown", ""), ("sync", ""),
                ("date", 'case $1 in +%s) echo 1000000000 ;; esac'),
            ):
                self.program(f"bin/{name}", f"echo {name} \"$@\" >>{self.root}/asked\n{does}")

        def program(self, name, does):
            (self.root / name).write_text(f"#!/bin/sh\n{does}\n")
            (self.root / name).chmod(0o755)

        def start(self):
            (self.root / "asked").unlink(missing_ok=True)
            script = text("recipes-core/kioskos-persist/files/kioskos-init")
            path = f"PATH={self.root}/bin:/usr/bin:/bin"
            script = re.sub(r"^PATH=.*$", path, script, count=1, flags=re.M)
            (self.root / "kioskos-init").write_text(script)
            done = subprocess.run(
                ["sh", self.root / "kioskos-init", "word"], capture_output=True, text=True, env={"KIOSKOS_ROOT": str(self.root), "PATH": "/bin"}, timeout=30
            )
            return done.stdout.strip(), (self.root / "asked").read_text().replace(str(self.root), "").splitlines()

    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder)
        ended, asked = machine.start()
        if ended != "init word":
            yield f"it does not become systemd: {ended!r}"
        if "mount -t ext4 -o noatime,nodev,nosuid /dev/mmcblk0p5 /data" not in asked:
            yield f"it does not mount the data of its own disk: {asked}"
        if "mount -o bind /data/machine-id /etc/machine-id" not in asked:
            yield f"the machine's id is not bound: {asked}"
        if asked.index("e2fsck -p /dev/mmcblk0p5") > asked.index("mount -t ext4 -o noatime,nodev,nosuid /dev/mmcblk0p5 /data"):
            yield "a file system is checked after it was mounted"
        identity = machine.root / "data/machine-id"
        if identity.read_text() != "0123456789abcdef0123456789abcdef\n":
            yield f"the machine's id is {identity.read_text()!r}"
        (machine.root / "proc/sys/kernel/random/uuid").write_text("ffffffff-ffff-ffff-ffff-ffffffffffff\n")
        machine.start()
        if identity.read_text() != "0123456789abcdef0123456789abcdef\n":
            yield "the machine's id changes with a start"
        identity.chmod(0o644)
        identity.write_text("")
        machine.start()
        if identity.read_text() != "f" * 32 + "\n":
            yield "a machine's id that a power cut has emptied stays empty"
        ledger = machine.root / "data/kioskd/state/kiosk.db-wal"
        epoch = machine.root / "usr/lib/clock-epoch"
        for path, time in ((epoch, 900_000_000), (ledger, 999_999_999)):
            path.touch()
            os.utime(path, (time, time))
        if any(line.startswith("date -s") for line in machine.start()[1]):
            yield "a clock that is later than all that is known is put back"
        for latest, other in ((ledger, epoch), (epoch, ledger)):
            os.utime(latest, (1_500_000_000, 1_500_000_000))
            os.utime(other, (1_400_000_000, 1_400_000_000))
            if "date -s @1500000000" not in machine.start()[1]:
                yield f"the clock does not start at the time of {latest.name}"
        machine.program("bin/mount", f'echo mount "$@" >>{machine.root}/asked; case $* in *ext4*) exit 1 ;; esac')
        ended, asked = machine.start()
        if "reboot -f" not in asked or ended:
            yield f"it goes on without its data: {ended!r} {asked}"


CHECKS = {
    "crates are those of Cargo.lock": crates,
    "oelint-adv finds nothing": oelint,
    "kas files are as kas's schema": kas,
    "one layout of the medium": medium,
    "one idea of the two copies": boot,
    "a bundle fits its machine": bundle,
    "who says what is good": health,
    "users and groups": people,
    "RAUC's policy on the bus": bus,
    "the daemon's recipe": recipe,
    "nobody gets in": closed,
    "the first process": first_process,
}


def main():
    wanted = sys.argv[1:]
    failed = ran = 0
    for name, check in CHECKS.items():
        if wanted and check.__name__ not in wanted:
            continue
        ran += 1
        try:
            wrong = list(check())
        except Exception as error:
            wrong = [f"{type(error).__name__}: {error}"]
        print(f"{'FAILED' if wrong else 'ok':7} {name}")
        for line in wrong:
            print(f"        {line}")
        failed += bool(wrong)
    sys.exit(1 if failed or not ran else 0)


main()
