//! Themes and texts that can't be shown: found by the check, each in its own file and line.

use std::fs;
use std::path::Path;

use kioskd::kiosk::check;

/// What `kioskd check` says of the demo's kiosk with a theme of these files in a folder of their own.
fn said(theme: &str, files: &[(&str, &[u8])], kiosk: impl Fn(String) -> String) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("theme.toml"), theme).unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let demo = fs::read_to_string(root.join("configs/vending.toml")).unwrap();
    let demo = demo.replace("../assets", root.join("assets").to_str().unwrap());
    let demo = demo.replace("# theme = \"themes/harbour.toml\"", "theme = \"theme.toml\"");
    let file = folder.path().join("kiosk.toml");
    match check::parse(&file, kiosk(demo).as_bytes()) {
        Ok(_) => Vec::new(),
        Err(error) => {
            let told = error.to_string().replace(&format!("{}/", folder.path().display()), "");
            told.lines().map(str::to_owned).collect()
        }
    }
}

fn as_it_is(kiosk: String) -> String {
    kiosk
}

#[test]
fn a_theme_is_checked_where_it_stands() {
    assert_eq!(
        said("base = \"dark\"\n[colors]\nprimary = \"#ff9d4d\"\non_primary = \"#000000\"\n", &[], as_it_is),
        [""; 0]
    );
    let theme = "bass = \"dark\"\nlogo = \"gone.png\"\n[colors]\nground = \"#ffffff\"\nsoft = \"#9aa3ad\"\nerror = \"red\"\n\
                 [[slide]]\npicture = \"noise.png\"\nfrom = \"7:00\"\n";
    let lines = said(theme, &[("noise.png", b"not a picture")], as_it_is);
    let expected = [
        "theme.toml:1:1: unknown key `bass`; did you mean `base`?",
        "theme.toml:2:8: `logo` `gone.png` does not exist; write the path of a PNG or JPEG picture, seen from this file",
        "theme.toml:5:8: `soft` on `ground` has a contrast of 2.5, which many can't read; make one lighter or darker until it is 4.5",
        "theme.toml:5:8: `soft` on `surface` has a contrast of 2.3, which many can't read; make one lighter or darker until it is 4.5",
        "theme.toml:6:9: `error` can't be `red`; write \"#RRGGBB\", like \"#0b57d0\"",
        "theme.toml:8:11: `picture` `noise.png` is not a PNG or JPEG picture; write the path of one",
        "theme.toml:9:8: `from` can't be `7:00`; write the time of the day, like \"06:30\"",
        "theme.toml:9:8: `from` needs `until`; write both, or neither for the whole day",
    ];
    assert_eq!(lines, expected, "{lines:#?}");
}

/// The head of a picture says how large it is; nobody decodes ten thousand pixels a side to find out.
#[test]
fn a_picture_for_a_house_wall_is_refused_by_its_head() {
    let mut png = Vec::new();
    let one = image::RgbImage::new(1, 1);
    one.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    png[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
    // The head's checksum, so that the size is all that is wrong with it.
    let mut crc = !0u32;
    for byte in &png[12..29] {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    let lines = said("[[slide]]\npicture = \"wall.png\"\n", &[("wall.png", &png)], as_it_is);
    assert_eq!(
        lines,
        [
            "theme.toml:2:11: `picture` `wall.png` has 10000 x 10000 pixels; make it at most 4096 a side, no glass shows more"
        ]
    );
}

#[test]
fn texts_are_checked_message_by_message() {
    let harbour = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/themes/harbour/texts/fr.ftl");
    let french = fs::read_to_string(harbour).unwrap();
    let speaks = |kiosk: String| kiosk.replace("\"zh-Hans\", \"en\"]", "\"en\", \"fr\"]");
    assert_eq!(said("texts = \"t\"\n", &[("t/fr.ftl", french.as_bytes())], speaks), [""; 0]);

    let poor: String =
        french.lines().filter(|line| !line.starts_with("pay-wait")).map(|line| format!("{line}\n")).collect();
    let poor = poor.replace("{ $time }", "{ $thyme }").replace("start-hint =", "start-hin =");
    let lines = said("texts = \"t\"\n", &[("t/fr.ftl", poor.as_bytes())], speaks);
    let has = |what: &str| {
        assert!(lines.iter().any(|line| line.starts_with("t/fr.ftl:") && line.contains(what)), "{what}: {lines:#?}")
    };
    has("missing texts: pay-wait, start-hint; write each of them");
    has("unused text `start-hin`; did you mean `start-hint`?");
    has("`pay-left` has no `$thyme`; write { $time }");

    let lines = said("texts = \"t\"\n", &[("t/en.ftl", b"start = Go\n")], speaks);
    assert!(lines.len() == 1 && lines[0].contains("unknown language `fr`"), "{lines:#?}");
    let lines = said("texts = \"t\"\n", &[("t/en.ftl", "start = 龘\u{1f600} Go\n".as_bytes())], as_it_is);
    assert!(lines.len() == 1 && lines[0].contains("no face of the glass has"), "{lines:#?}");
}

#[test]
fn a_name_no_face_can_show_is_named_with_its_characters() {
    let lines = said("", &[], |kiosk| kiosk.replace("en = \"Umbrella\"", "en = \"Umbrella \u{1f302}\""));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].contains("no face of the glass has \u{1f302}; write it otherwise"), "{lines:#?}");
    // A mark of direction is drawn as nothing; what is missing and shows nothing in a message has a number.
    let invisible =
        |c: char| said("", &[], |kiosk| kiosk.replace("en = \"Umbrella\"", &format!("en = \"Umbrella{c}\"")));
    assert_eq!(invisible('\u{200e}'), [""; 0]);
    let lines = invisible('\u{e000}');
    assert!(lines.len() == 1 && lines[0].contains("no face of the glass has U+E000"), "{lines:#?}");
}
