//! Who comes to the machine comes over ssh: root, a technician, and a stranger who has an account and nothing else.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use kioskd_tests::child::{Running, command};

use crate::bus::{BANNER, CALLERS};
use crate::guest::{OUTSIDE, Street, run, until};

impl Street {
    /// What they see first is the banner, and `kioskctl` is for who is a technician.
    pub fn log_in(&mut self) {
        for (user, _) in CALLERS {
            run("systemctl", &["start", &format!("lab-login@{user}")]);
        }
        for (user, may) in CALLERS {
            until(&format!("a line for {user}"), || by(user, &["true"]).status.success().then_some(()));
            // The banner comes once a line, and this one's user has theirs already: a line of its own.
            let told = Running::answer(&mut over(user, &["-tt", "-S", "none"], &[]), b"kioskctl status\nexit\n");
            let said = String::from_utf8_lossy(&told.stdout).replace('\r', "");
            fs::write(Path::new(OUTSIDE).join(format!("ssh-{user}.txt")), &said).unwrap();
            let banner = fs::read_to_string(BANNER).unwrap();
            assert!(said.contains(banner.lines().next().unwrap()), "no banner {banner:?} in {said}");
            assert_eq!(said.contains(" sells\ndevices "), may, "{user}: {said}");
            assert_eq!(
                said.contains("the bus does not let you speak with the kiosk; root may"),
                !may,
                "{user}: {said}"
            );
        }
    }
}

/// What that person's command line does.
pub fn by(user: &str, words: &[&str]) -> Output {
    over(user, &[], words).output().unwrap()
}

/// On the line that they have; without words they sit at their shell.
pub fn over(user: &str, options: &[&str], words: &[&str]) -> Command {
    let mut ssh = command("ssh");
    ssh.args(["-F", "/etc/lab-ssh", "-S", &format!("/run/lab-ssh/{user}.line")]).args(options);
    ssh.arg(format!("{user}@127.0.0.1"));
    // The shell over there takes apart what ssh puts together.
    ssh.args(words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))));
    ssh
}
