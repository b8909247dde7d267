use super::*;

#[test]
fn the_version_is_read_from_the_copys_own_release() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("os-release");
    let said = |text: &str| {
        std::fs::write(&file, text).unwrap();
        version(&file).map(|version| version.to_string())
    };
    assert_eq!(
        said("NAME=\"Kiosk OS\"\nVERSION_ID=\"6.0\"\nIMAGE_VERSION='2026.11.30'\n").as_deref(),
        Some("2026.11.30")
    );
    assert_eq!(said("VERSION_ID=6.0\n").as_deref(), Some("6.0"));
    assert_eq!(said("VERSION_ID=\"6 0\"\nXVERSION_ID=1\n"), None);
    assert_eq!(version(&folder.path().join("none")), None);
}

#[test]
fn the_board_is_restarted_for_a_ledger_only_on_trial_and_not_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let trial = Trial::new(folder.path());
    assert!(!trial.gives_up(), "nothing is on trial");
    trial.begin().unwrap();
    assert_eq!((0..9).filter(|_| trial.gives_up()).count(), 6);
    trial.begin().unwrap();
    assert!(trial.gives_up(), "another update counts anew");
    trial.end();
    assert!(!trial.gives_up());
}
