//! The proxy of logind, which restarts the board for who may have it.
//!
//! Policy: polkit decides, by the rule of `systemd/kioskd-reboot.rules`. Whether it lets us is asked before anything is promised,
//! and a no says what there is to do.

use std::time::Duration;

use zbus::DynamicType;
use zbus::connection::Builder;

const NAME: &str = "org.freedesktop.login1";
const PATH: &str = "/org/freedesktop/login1";

/// For an answer, which polkit may have to give.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether this program may restart the board now.
///
/// # Errors
/// Why not, and what to do about it.
pub async fn can_reboot() -> Result<(), String> {
    let asked = async { ask("CanReboot", &()).await?.body().deserialize::<String>() };
    let says = asked.await.map_err(|error| not_asked(&error))?;
    match says.as_str() {
        "yes" => Ok(()),
        "na" => Err("logind says that this machine can't be restarted by a program".into()),
        says if says.contains("inhibit") => {
            Err("a program holds it up: systemd-inhibit --list names it, and when it has ended it can be asked again"
                .into())
        }
        says => Err(format!(
            "logind does not let the kiosk do it (it says `{says}`): look at systemctl status polkit, whether \
             kioskd-reboot.rules is installed, and at systemd-inhibit --list; or call as root: systemctl reboot"
        )),
    }
}

/// Asks for it. The board goes down some moments after the answer.
///
/// # Errors
/// It does not.
pub async fn reboot() -> Result<(), String> {
    // Nobody is there who could be asked for a password.
    let interactive = false;
    ask("Reboot", &interactive).await.map(drop).map_err(|error| not_asked(&error))
}

async fn ask<A: serde::Serialize + DynamicType>(method: &str, arguments: &A) -> zbus::Result<zbus::Message> {
    let connection = Builder::system().method_timeout(PATIENCE).build().await?;
    connection.call_method(Some(NAME), PATH, Some("org.freedesktop.login1.Manager"), method, arguments).await
}

fn not_asked(error: &zbus::Error) -> String {
    format!(
        "logind can't be asked ({error}); look at systemctl status systemd-logind, or call as root: systemctl reboot"
    )
}
