//! What can be wrong with a configuration, and what is said about it. The list of messages in `docs/configuration.md` is
//! made from this table.

/// A good file (`kiosk.toml`) with `this` replaced by `that` once, and every message that must come, in order.
pub struct Case {
    pub this: &'static str,
    pub that: &'static str,
    pub says: &'static [&'static str],
}

macro_rules! cases {
    ($($this:literal => $that:literal: $($says:literal)+;)*) => {
        &[$(Case { this: $this, that: $that, says: &[$($says),+] }),*]
    };
}

pub const SYNTAX: &[Case] = cases! {
    "id = \"K1\"" => "id = K1":
        "kiosk.toml:2:6: a text needs straight quotes; write \"K1\"";
    "id = \"K1\"" => "id = “K1”":
        "kiosk.toml:2:6: a text needs straight quotes; write \"K1\"";
    "id = \"K1\"" => "id =":
        "kiosk.toml:2:5: nothing after `=`; write a value, or leave the key out";
    "id = \"K1\"" => "id: \"K1\"":
        "kiosk.toml:2:3: a value comes after `=`, not `:`; write key = value";
    "id = \"K1\"" => "id":
        "kiosk.toml:2:3: a key without `=`; write key = value, and # before a remark";
    "id = \"K1\"" => "id = \"K1":
        "kiosk.toml:2:9: the text is not closed; end it with a quotation mark on the same line";
    "id = \"K1\"" => "id = \"K\\1\"":
        "kiosk.toml:2:9: `\\` has a meaning of its own in a text; write \\\\";
    "id = \"K1\"" => "id = \"K1\"  fleet = \"x\"":
        "kiosk.toml:2:12: a second value on the line; write one key = value a line";
    "id = \"K1\"" => "// id\nid = \"K1\"":
        "kiosk.toml:2:1: a remark begins with #; write # instead of //";
    "id = \"K1\"" => "號 = \"K1\"":
        "kiosk.toml:2:1: a key of letters, digits, `_` and `-` needs no quotes, this one does; write \"號\"";
    "id = \"K1\"" => "id = \"K1\"\nid = \"K2\"":
        "kiosk.toml:3:1: `id` is written a second time; keep one of them";
    "id = \"K1\"" => "id = \"K1\u{7}\"":
        "kiosk.toml:2:9: a control character in a text; leave it out";
    "[kiosk]" => "[kiosk":
        "kiosk.toml:1:7: the heading is not closed; write ] at its end";
    "[[rail]]" => "[[rail]":
        "kiosk.toml:45:8: the heading is not closed; write ]] at its end";
    "[[rail]]" => "[]":
        "kiosk.toml:45:2: a name is missing here; write [kiosk] or key = value";
    "[state]" => "[kiosk]":
        "kiosk.toml:11:2: `kiosk` is written a second time; keep one of them";
    "[sale]" => "[[fleet]]\n[sale]":
        "kiosk.toml:43:2: `fleet` is written a second time; keep one of them";
    "[[slot]]\nname = \"A1\"\nproduct" => "[slot]\nname = \"A1\"\nproduct":
        "kiosk.toml:69:3: `slot` is a list; write [[slot]] above each";
    "qr_life = \"90s\"" => "qr_life = 90s":
        "kiosk.toml:16:11: a text needs straight quotes; write \"90s\"";
    "price = 300" => "price = 0300":
        "kiosk.toml:53:9: a number does not begin with 0; leave the 0 out";
    "\"zh-Hans\" = \"街角\" }" => "\"zh-Hans\" = \"街角\"":
        "kiosk.toml:5:1: a comma or the closing bracket is missing before this";
    "en = \"Corner\", " => "en = \"Corner\" ":
        "kiosk.toml:4:25: a comma or the closing bracket is missing before this";
    "[\"zh-Hant\", \"en\"]" => "[\"zh-Hant\" \"en\"]":
        "kiosk.toml:8:24: a comma or the closing bracket is missing before this";
    "[\"zh-Hant\", \"en\"]" => "[\"zh-Hant\", \"en\"":
        "kiosk.toml:9:1: a comma or the closing bracket is missing before this";
    "[\"zh-Hant\", \"en\"]" => "[zh-Hant, en]":
        "kiosk.toml:8:14: a text needs straight quotes; write \"zh-Hant\"";
    "counter = 0x50" => "counter = 0X50":
        "kiosk.toml:35:11: not TOML: radix must be lowercase, expected `0x`";
    "counter = 0x50" => "counter = true5":
        "kiosk.toml:35:11: a text needs straight quotes, and a switch is true or false";
    "phone = \"123\"\ncurrency = \"CNY\"" => "phone = 1 2\ncurrency = CNY":
        "kiosk.toml:6:9: a text needs straight quotes; write \"1 2\""
        "kiosk.toml:7:12: a text needs straight quotes; write \"CNY\"";
};

pub const SHAPE: &[Case] = cases! {
    "price = 300" => "pirce = 300":
        "kiosk.toml:53:1: unknown key `pirce` in [[product]]; did you mean `price`?";
    "price = 300" => "price = 300\nshelf_life = 3":
        "kiosk.toml:54:1: unknown key `shelf_life` in [[product]]; known here: category, id, max_temperature, max_temperature_for, name, picture, price, tax";
    "fall_time = \"300ms\"" => "fall_time = \"300ms\"\nheartbeat = \"2s\"":
        "kiosk.toml:37:1: unknown key `heartbeat` in [board.drop_sensor]; it belongs in [board]";
    "[printer]" => "[printr]":
        "kiosk.toml:38:2: unknown key `printr`; did you mean `printer`?";
    "[printer]" => "[\"pri\\nnter\"]":
        "kiosk.toml:38:2: unknown key `pri\\u{a}nter`; did you mean `printer`?";
    "id = \"K1\"\n" => "":
        "kiosk.toml:1:1: missing `id` in [kiosk]; write id = \"K0001\"";
    "[glass]" => "[sale.glass]":
        "kiosk.toml:1:1: missing [glass]; write [glass] with driver, font_sc and font_tc"
        "kiosk.toml:20:7: unknown key `glass` in [sale]; it has a heading of its own: write [glass]";
    "[[rail]]\nkind = \"sandbox\"\nlabel = { en = \"Wallet\" }\npoll_seconds = 3\n" => "":
        "kiosk.toml:1:1: missing [[rail]]; write at least one [[rail]] with kind and label";
    "[[rail]]" => "[rail]":
        "kiosk.toml:45:1: `rail` is a list of tables; write [[rail]] above each";
    "[board]" => "[[board]]":
        "kiosk.toml:27:1: `board` must be a table, not a list; write [board] with driver";
    "languages = [\"zh-Hant\", \"en\"]" => "languages = []":
        "kiosk.toml:8:13: `languages` is empty; write languages = [\"zh-Hant\", \"en\"]";
    "languages = [\"zh-Hant\", \"en\"]" => "languages = \"en\"":
        "kiosk.toml:8:13: `languages` is a list; write languages = [\"en\"]";
    "languages = [\"zh-Hant\", \"en\"]" => "languages = [\"zh-TW\", 3, \"en\"]":
        "kiosk.toml:8:14: unknown language `zh-TW`; write one of en, zh-Hans, zh-Hant, or put its texts into the theme's `texts`"
        "kiosk.toml:8:23: `languages` is a list of texts; write each like \"en\"";
    "languages = [\"zh-Hant\", \"en\"]" => "languages = [[\"en\"]]":
        "kiosk.toml:8:14: `languages` is a list of texts; write each like \"en\"";
    "phone = \"123\"" => "phone = 123":
        "kiosk.toml:6:9: `phone` is a text; write it in quotes: phone = \"123\"";
    "phone = \"123\"" => "phone = \" \"":
        "kiosk.toml:6:9: `phone` is empty; write something like \"400-000-0000\"";
    "phone = \"123\"" => "phone = \"12345678901234567890123456789012345678901\"":
        "kiosk.toml:6:9: `phone` is too long; write at most 40 characters";
    "phone = \"123\"" => "phone = \"\"\"1\n2\"\"\"":
        "kiosk.toml:6:9: `phone` has a line break or another control character; write one line";
    "phone = \"123\"" => "phone = true":
        "kiosk.toml:6:9: `phone` must be a text, not true or false; write phone = \"400-000-0000\"";
    "currency = \"CNY\"" => "currency = \"RMB\"":
        "kiosk.toml:7:12: unknown currency `RMB`; write its ISO 4217 code, like \"CNY\"";
    "qr_life = \"90s\"" => "qr_life = 90":
        "kiosk.toml:16:11: `qr_life` is a duration and needs its unit; write \"90s\"";
    "qr_life = \"90s\"" => "qr_life = \"90 sec\"":
        "kiosk.toml:16:11: `90 sec` is not a duration; write a number and ms, s, min or h, like \"90s\"";
    "qr_life = \"90s\"" => "qr_life = \"4s\"":
        "kiosk.toml:16:11: `qr_life` is `4s`; write \"5s\" to \"10min\"";
    "qr_life = \"90s\"" => "qr_life = \"11min\"":
        "kiosk.toml:16:11: `qr_life` is `11min`; write \"5s\" to \"10min\"";
    "reserve = \"4 MiB\"" => "reserve = 4":
        "kiosk.toml:13:11: `reserve` is a size and needs its unit; write \"4 MiB\"";
    "reserve = \"4 MiB\"" => "reserve = \"4 MB\"":
        "kiosk.toml:13:11: `4 MB` is not a size; write a number and B, KiB, MiB or GiB, like \"4 MiB\"";
    "reserve = \"4 MiB\"" => "reserve = \"512 KiB\"":
        "kiosk.toml:13:11: `reserve` is `512 KiB`; write \"1 MiB\" to \"1 GiB\"";
    "pulse = \"1500ms\"" => "pulse = 1500":
        "kiosk.toml:67:9: `pulse` is a duration and needs its unit; write \"1500ms\"";
    "pulse = \"1500ms\"" => "pulse = \"11s\"":
        "kiosk.toml:67:9: `pulse` is `11s`; write \"10ms\" to \"10s\"";
    "pulse = \"1500ms\"" => "pulse = \"9ms\"":
        "kiosk.toml:67:9: `pulse` is `9ms`; write \"10ms\" to \"10s\"";
    "poll_seconds = 3" => "poll_seconds = 30":
        "kiosk.toml:17:9: `lease` 30s is less than twice rail `sandbox`'s `poll_seconds` of 30s; write \"1min\" or more"
        "kiosk.toml:48:16: `poll_seconds` is 30; write 1 to 10";
    "poll_seconds = 3" => "poll = \"3s\"":
        "kiosk.toml:48:1: unknown key `poll` in [[rail]]; known here: fee, kind, label, name, poll_seconds, timeout";
    "poll_seconds = 3" => "mchid = \"1900007291\"":
        "kiosk.toml:48:1: unknown key `mchid` in [[rail]]; known here: fee, kind, label, name, poll_seconds, timeout";
    "kind = \"sandbox\"" => "kind = \"wechatpay\"":
        "kiosk.toml:46:8: unknown value `wechatpay` for `kind`; write \"sandbox\", \"wechat\", \"alipay\", \"gateway\" or \"emv\"";
    "kind = \"sandbox\"\n" => "":
        "kiosk.toml:45:1: missing `kind` in [[rail]]; write kind = \"sandbox\"";
    "kind = \"sandbox\"" => "kind = \"gateway\"\nname = \"we chat\"":
        "kiosk.toml:46:8: rail `gateway` asks the gateway, and there is none; write [fleet.gateway]"
        "kiosk.toml:47:8: `name` can't be `we chat`; write 1 to 24 letters, digits, `_` or `-`";
    "poll_seconds = 3" => "[rail.platform_key]":
        "kiosk.toml:48:7: unknown key `platform_key` in [[rail]]; known here: fee, kind, label, name, poll_seconds, timeout";
    "poll_seconds = 3" => "[[rail.fee]]\nfrom = \"2026-01-01\"\nrate = \"0.60\"":
        "kiosk.toml:49:8: `from` is a day, without quotes; write from = 2026-01-01"
        "kiosk.toml:50:8: `rate` `0.60` is no rate from 0% to 100% with at most four decimals; write \"0.60%\"";
    "poll_seconds = 3" => "[[rail.fee]]\nfrom = 2026-01-01T00:00:00\nrate = 1":
        "kiosk.toml:49:8: `from` is a day; write from = 2026-01-01"
        "kiosk.toml:50:8: `rate` is a text; write it in quotes: rate = \"1\"";
    "poll_seconds = 3" => "[[rail.fee]]\nfrom = 2026-01-01\nrate = \"0.6%\"\nminimum = 5\ncap = 1\n[[rail.fee]]\nfrom = 2026-01-01\nrate = \"1%\"":
        "kiosk.toml:52:7: `cap` 1 is less than `minimum`; write 5 or more"
        "kiosk.toml:54:8: two rates begin on this day; keep one of them";
    "unknown_delivery = \"refund\"" => "unknown_delivery = \"refnd\"":
        "kiosk.toml:18:20: unknown value `refnd` for `unknown_delivery`; did you mean \"refund\"? Write \"refund\", \"hold\" or \"assume-delivered\"";
    "unknown_delivery = \"refund\"" => "unknown_delivery = \"keep\"":
        "kiosk.toml:18:20: unknown value `keep` for `unknown_delivery`; write \"refund\", \"hold\" or \"assume-delivered\"";
    "driver = \"simulated\"" => "driver = \"hdmi\"":
        "kiosk.toml:21:10: unknown value `hdmi` for `driver`; write \"simulated\", \"drm\", \"fbdev\" or \"none\"";
    "driver = \"simulated\"\nwidth = 1280\nheight = 800" => "driver = \"drm\"\nrotation = 45\nwidth = 1280":
        "kiosk.toml:22:12: `rotation` is 45; write 0, 90, 180 or 270"
        "kiosk.toml:23:1: unknown key `width` in [glass]; known here: driver, font_more, font_sc, font_sc_bold, font_tc, font_tc_bold, logo, night, slides, theme, card, connector, mode, rotation";
    "height = 800" => "height = 800\nnight = { from = \"10pm\", until = \"06:00\", brightness = 120 }":
        "kiosk.toml:24:18: `from` can't be `10pm`; write the time of the day, like \"06:30\""
        "kiosk.toml:24:56: `brightness` is 120; write 0 to 100";
    "kind = \"sandbox\"" => "kind = \"wechat\"":
        "kiosk.toml:45:1: missing `api_v3_key` in [[rail]]; write api_v3_key = \"credential:wechat.v3key\""
        "kiosk.toml:45:1: missing `appid` in [[rail]]; write appid = \"wxd678efh567hg6787\""
        "kiosk.toml:45:1: missing `mchid` in [[rail]]; write mchid = \"1900007291\""
        "kiosk.toml:45:1: missing `notify_url` in [[rail]]; write notify_url = \"https://pay.example.com/wechat\""
        "kiosk.toml:45:1: missing `private_key` in [[rail]]; write private_key = \"file:/etc/kioskd/wechat.key\""
        "kiosk.toml:45:1: missing `serial_no` in [[rail]]; write serial_no = \"408B07E79B8269FEC3D5D3E6AB8ED163A6A380DB\"";
    "width = 1280" => "width = 200":
        "kiosk.toml:22:9: `width` is 200; write 320 to 4096";
    "width = 1280" => "width = \"1280\"":
        "kiosk.toml:22:9: `width` is a number; write it without quotes: width = 1280";
    "width = 1280" => "width = [1280, 800]":
        "kiosk.toml:22:9: `width` must be a whole number, not a list; write width = 1280";
    "width = 1280" => "width = 99999999999999999999":
        "kiosk.toml:22:9: `width` is too large a number; write 320 to 4096";
    "[printer]" => "[touch]\ncalibration = \"1 0 0 1 0\"\ndebounce = 80\n[printer]":
        "kiosk.toml:39:15: `calibration` `1 0 0 1 0` is no matrix; write six numbers, like \"1 0 0 0 1 0\" for a sensor that needs none"
        "kiosk.toml:40:12: `debounce` is a duration and needs its unit; write \"80ms\"";
    "counter = 0x50" => "counter = 0x78":
        "kiosk.toml:35:11: `counter` is 0x78; write 0x08 to 0x77";
    "columns = 384" => "columns = 400":
        "kiosk.toml:40:11: `columns` is 400; write 384 or 576";
    "price = 300" => "price = 3.00":
        "kiosk.toml:53:9: `price` must be a whole number; write price = 300";
    "price = 300" => "price = 0":
        "kiosk.toml:53:9: `price` is 0; write 1 to 10000000";
    "price = 300" => "price = 10_000_001":
        "kiosk.toml:53:9: `price` is 10000001; write 1 to 10000000";
    "price = 300" => "price = 2026-01-01":
        "kiosk.toml:53:9: `price` must be a whole number, not a date or time; write price = 300";
    "capacity = 8" => "capacity = -1":
        "kiosk.toml:66:12: `capacity` is -1; write 1 to 1000";
    "id = \"cola\"" => "id = \"cola light\"":
        "kiosk.toml:51:6: `id` can't be `cola light`; write 1 to 32 letters, digits, `_` or `-`"
        "kiosk.toml:63:11: unknown product `cola`; write a [[product]] with id = \"cola\", or another id here";
    "name = \"A1\"" => "name = \"A/1\"":
        "kiosk.toml:62:8: `name` can't be `A/1`; write 1 to 16 letters, digits, `_` or `-`";
    "name = { en = \"Cola\", \"zh-Hant\" = \"可樂\" }" => "name = \"Cola\"":
        "kiosk.toml:52:8: `name` is written per language; write name = { en = \"Cola\" }";
    "name = { en = \"Cola\", \"zh-Hant\" = \"可樂\" }" => "name = {}":
        "kiosk.toml:52:8: `name` is empty; write it in at least one of zh-Hant, zh-Hans and en";
    "name = { en = \"Cola\", \"zh-Hant\" = \"可樂\" }" => "name = { en = \"Cola\", zh-Hnat = \"可樂\", fr = \"\" }":
        "kiosk.toml:52:23: unknown language `zh-Hnat` in `name`; did you mean \"zh-Hant\"? Write \"zh-Hant\", \"zh-Hans\" or \"en\""
        "kiosk.toml:52:39: unknown language `fr` in `name`; write \"zh-Hant\", \"zh-Hans\" or \"en\""
        "kiosk.toml:52:44: `name` is empty in `fr`; write the text or leave the language out";
    "name = { en = \"Cola\", \"zh-Hant\" = \"可樂\" }" => "name = { \"zh-Hant\" = \"可樂\", en = 7 }":
        "kiosk.toml:52:33: `name` must be a text in each language; write \"…\"";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtts://broker:8883\"\ncert = \"kiosk.pem\"\nkey = \"/kiosk.key\"":
        "kiosk.toml:45:7: `key` says where the key lies; write \"file:/path/of/the.key\" or \"credential:NAME\"";
};

pub const RULES: &[Case] = cases! {
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nroot = \"root.pem\"":
        "kiosk.toml:44:8: `root` signs a keyset; write keyset = \"keyset.json\"";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nkeyset = \"keyset.json\"":
        "kiosk.toml:44:10: `keyset` needs who signs it; write root = \"root.pem\"";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nroot = \"none.pem\"\nkeyset = \"none.json\"":
        "kiosk.toml:44:8: `root` `none.pem` can't be read; write the path of a file that kioskd may read"
        "kiosk.toml:45:10: `keyset` `none.json` can't be read; write the path of a file that kioskd may read";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nroot = \"cola.png\"\nkeyset = \"keyset.json\"":
        "kiosk.toml:44:8: `root` is not an Ed25519 public key (PEM); write the path of the root's .pem";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nroot = \"root.pem\"\nkeyset = \"other.json\"":
        "kiosk.toml:45:10: `keyset` does not count: it is for the fleet `other`; write the path of what `kioskfleet keyset` has made";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\n[[fleet.gateway.trusted]]\nkid = \"g\"\nfile = \"g.pub\"":
        "kiosk.toml:44:9: the gateway knows a kiosk by its key; write signing_key = \"file:/path/of/the.key\" in [fleet]";
    "[[rail]]\nkind = \"sandbox\"\nlabel = { en = \"Wallet\" }\npoll_seconds = 3" => "signing_key = \"file:k\"\n[[fleet.gateway.trusted]]\nkid = \"g\"\nfile = \"g.pub\"\n[[rail]]\nkind = \"emv\"\nlabel = { en = \"QR\" }\n[rail.merchant]\nprofile = \"vietqr\"\nbin = \"97041\"\naccount = \"257678859\"\nservice = \"account\"":
        "kiosk.toml:53:11: this profile pays in VND, and `currency` is CNY; write another profile"
        "kiosk.toml:54:7: `bin` does not fit; write the six digits of the bank's BIN";
    "driver = \"simulated\"\nwidth = 1280\nheight = 800" => "driver = \"drm\"\ncard = \"card1\"\nconnector = \"HDMI 1\"\nmode = \"800p\"":
        "kiosk.toml:22:8: `card` can't be `card1`; write the path of a card, like \"/dev/dri/card1\""
        "kiosk.toml:23:13: `connector` can't be `HDMI 1`; write its name in the kernel, like \"HDMI-A-1\""
        "kiosk.toml:24:8: `mode` can't be `800p`; write WIDTHxHEIGHT or WIDTHxHEIGHT@HZ, like \"1280x800@60\"";
    "driver = \"simulated\"\nwidth = 1280\nheight = 800" => "driver = \"fbdev\"\ndevice = \"fb0\"":
        "kiosk.toml:22:10: `device` can't be `fb0`; write the path of a frame buffer, like \"/dev/fb0\"";
    "id = \"K1\"" => "id = \"K/1\"":
        "kiosk.toml:2:6: `id` can't be `K/1`; write 1 to 64 letters, digits, `_` or `-`, as in an MQTT topic";
    "id = \"K1\"" => "id = \"all\"":
        "kiosk.toml:2:6: `id` can't be `all`, which means every kiosk; write a name of its own";
    "id = \"K1\"" => "id = \"site\"":
        "kiosk.toml:2:6: `id` can't be `site`, which means the lanes of a car park; write a name of its own";
    "fleet = \"street\"" => "fleet = \"site\"":
        "kiosk.toml:3:9: `fleet` can't be `site`, which means the lanes of a car park; write a name of its own";
    "fleet = \"street\"" => "fleet = \"#\"":
        "kiosk.toml:3:9: `fleet` can't be `#`; write 1 to 64 letters, digits, `_` or `-`, as in an MQTT topic";
    "languages = [\"zh-Hant\", \"en\"]" => "languages = [\"en\", \"zh-Hant\", \"en\"]":
        "kiosk.toml:8:31: language `en` is already on line 8; leave it out here";
    "time_zone = \"Asia/Shanghai\"" => "time_zone = \"Asia/Shangai\"":
        "kiosk.toml:9:13: unknown time zone `Asia/Shangai`; did you mean `Asia/Shanghai`?";
    "time_zone = \"Asia/Shanghai\"" => "time_zone = \"GMT+8\"":
        "kiosk.toml:9:13: unknown time zone `GMT+8`; write an IANA name like \"Asia/Shanghai\" or \"UTC\"";
    "time_zone = \"Asia/Shanghai\"" => "time_zone = \"CST\"":
        "kiosk.toml:9:13: unknown time zone `CST`; write an IANA name like \"Asia/Shanghai\" or \"UTC\"";
    "time_zone = \"Asia/Shanghai\"" => "time_zone = \"Beijing time\"":
        "kiosk.toml:9:13: unknown time zone `Beijing time`; write an IANA name like \"Asia/Shanghai\" or \"UTC\"";
    "directory = \"state\"" => "directory = \"cola.png\"":
        "kiosk.toml:12:13: `directory` `cola.png` is a file; write the path of a directory";
    "lease = \"30s\"" => "lease = \"5s\"":
        "kiosk.toml:17:9: `lease` 5s is less than twice rail `sandbox`'s `poll_seconds` of 3s; write \"6s\" or more"
        "kiosk.toml:17:9: `lease` 5s is not longer than rail `sandbox`'s `timeout` of 5s; write more than \"5s\"";
    "poll_seconds = 3" => "timeout = \"30s\"":
        "kiosk.toml:17:9: `lease` 30s is not longer than rail `sandbox`'s `timeout` of 30s; write more than \"30s\"";
    "font_sc = \"sc.otf\"" => "font_sc = \"missing.otf\"":
        "kiosk.toml:24:11: `font_sc` `missing.otf` does not exist; write the path of an OpenType or TrueType font, seen from this file";
    "font_sc = \"sc.otf\"" => "font_sc = \"cola.png\"":
        "kiosk.toml:24:11: `font_sc` `cola.png` is not an OpenType or TrueType font; write the path of one";
    "font_tc = \"tc.otf\"" => "font_tc = \"tc.otf\"\nlogo = \"none.png\"\nslides = [{ picture = \"sc.otf\", from = \"06:00\" }]":
        "kiosk.toml:26:8: `logo` `none.png` does not exist; write the path of a PNG or JPEG picture, seen from this file"
        "kiosk.toml:27:23: `picture` `sc.otf` is not a PNG or JPEG picture; write the path of one"
        "kiosk.toml:27:40: `from` needs `until`; write both, or neither for the whole day";
    "font_tc = \"tc.otf\"" => "font_tc = \".\"":
        "kiosk.toml:25:11: `font_tc` `.` is not a file; write the path of an OpenType or TrueType font";
    "picture = \"cola.png\"" => "picture = \"pictures/cola.png\"":
        "kiosk.toml:54:11: `picture` `pictures/cola.png` does not exist; write the path of a PNG or JPEG picture, seen from this file";
    "picture = \"cola.png\"" => "picture = \"sha256:c01a\"":
        "kiosk.toml:54:11: `picture` has no SHA-256 after `sha256:`; write 64 hexadecimal digits in lower case";
    "picture = \"cola.png\"" => "picture = \"sc.otf\"":
        "kiosk.toml:54:11: `picture` `sc.otf` is not a PNG or JPEG picture; write the path of one";
    "[printer]" => "[touch]\nname = \"Glass\"\npath = \"/dev/input/event0\"\n[keypad]\npath = \"/dev/input/../sda\"\n[printer]":
        "kiosk.toml:40:8: `path` and `name` both say which device; keep one of them"
        "kiosk.toml:42:8: `path` `/dev/input/../sda` is no input device; write /dev/input/by-id/…";
    "[printer]" => "[scanner]\n[printer]":
        "kiosk.toml:38:1: `name` or `path` is missing in [scanner]: any keyboard could be one; write name = \"…\" as in /proc/bus/input/devices";
    "[printer]" => "[keypad]\nname = \"Keys\"\n[scanner]\nname = \"Keys\"\n[printer]":
        "kiosk.toml:41:8: input device `Keys` is already on line 39; it can only be one of them";
    "columns = 384" => "columns = 384\nreceipt_url = \"example.com/{order}\"":
        "kiosk.toml:41:15: `receipt_url` is not a web address; write https://…/{order}";
    "columns = 384" => "columns = 384\nreceipt_url = \"https://example.com/r\"":
        "kiosk.toml:41:15: `receipt_url` is the same for every order; write {order} where its number goes";
    "mqtt://127.0.0.1:1883" => "127.0.0.1:1883":
        "kiosk.toml:43:10: `broker` is not an MQTT address; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "mqtt://127.0.0.1:1883" => "mqtts://[::1]:8883":
        "kiosk.toml:43:10: `broker` can't be an IPv6 address with TLS, but its name; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nca = \"ca.pem\"":
        "kiosk.toml:44:6: `ca` is for a broker with TLS; write broker = \"mqtts://HOST:PORT\", or leave it out";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtts://broker:8883\"\ncert = \"kiosk.pem\"":
        "kiosk.toml:44:8: `cert` needs its private key; write key = \"file:/path/of/the.key\"";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtts://broker:8883\"\nkey = \"credential:kiosk.key\"":
        "kiosk.toml:44:7: `key` needs its certificate; write cert = \"/path/of/the.pem\"";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nfallback = \"mqtt://127.0.0.1:1883\"":
        "kiosk.toml:44:12: this is `broker` itself; write another one, or leave `fallback` out";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtts://broker:8883\"\nfallback = \"mqtt://127.0.0.1:1883\"":
        "kiosk.toml:44:12: both are spoken to in the same way; write mqtts:// for both";
    "broker = \"mqtt://127.0.0.1:1883\"" => "broker = \"mqtt://127.0.0.1:1883\"\nfallback = \"mqtt://127.0.0.1:0\"":
        "kiosk.toml:44:12: `fallback` has a port that is not 1 to 65535; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "mqtt://127.0.0.1:1883" => "mqtt://127.0.0.1":
        "kiosk.toml:43:10: `broker` has no port; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "mqtt://127.0.0.1:1883" => "mqtt://:1883":
        "kiosk.toml:43:10: `broker` has no host or no port; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "mqtt://127.0.0.1:1883" => "mqtt://me:secret@broker:1883":
        "kiosk.toml:43:10: `broker` has a user or a password in it, which is not there yet; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "mqtt://127.0.0.1:1883" => "mqtt://broker:1883/kiosk":
        "kiosk.toml:43:10: `broker` has a path; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "mqtt://127.0.0.1:1883" => "mqtt://broker:70000":
        "kiosk.toml:43:10: `broker` has a port that is not 1 to 65535; write mqtts://HOST:PORT, like \"mqtts://broker.example.com:8883\", or mqtt://HOST:PORT without TLS";
    "poll_seconds = 3" => "[[rail]]\nkind = \"sandbox\"\nlabel = { en = \"Again\" }":
        "kiosk.toml:49:8: rail `sandbox` is already on line 46; write a name of its own: name = \"…\"";
    "kind = \"sandbox\"" => "kind = \"alipay\"\napp_id = \"2021\"\nprivate_key = \"MIIEvQIBADANBg\"\nbase_url = \"http://openapi.alipay.com\"":
        "kiosk.toml:45:1: missing `alipay_public_key` in [[rail]]; write it, or app_cert, alipay_cert and root_cert"
        "kiosk.toml:48:15: `private_key` says where the key lies; write \"file:/path/of/the.key\" or \"credential:NAME\""
        "kiosk.toml:49:12: `base_url` is no provider's address; write https://HOST, or http://127.0.0.1:PORT for a test";
    "kind = \"sandbox\"" => "kind = \"alipay\"\napp_id = \"2021\"\nprivate_key = \"file:alipay.key\"\napp_cert = \"file:app.crt\"":
        "kiosk.toml:45:1: certificate mode needs all of app_cert, alipay_cert and root_cert; write the missing ones";
    "kind = \"sandbox\"" => "kind = \"alipay\"\napp_id = \"2021\"\nprivate_key = \"file:alipay.key\"\nalipay_public_key = \"file:a.pem\"\nnotify_url = \"http://pay.example.com/?a\"":
        "kiosk.toml:50:14: `notify_url` is not https:// without a query; write https://HOST/PATH";
    "id = \"tea\"" => "id = \"cola\"":
        "kiosk.toml:57:6: product `cola` is already on line 51; write an id of its own"
        "kiosk.toml:71:11: unknown product `tea`; write a [[product]] with id = \"tea\", or another id here";
    "product = \"tea\"" => "product = \"teas\"":
        "kiosk.toml:71:11: unknown product `teas`; did you mean `tea`?";
    "product = \"tea\"" => "product = \"coffee\"":
        "kiosk.toml:57:6: product `tea` is in no slot and can never be sold; write a [[slot]] with it, or leave it out"
        "kiosk.toml:71:11: unknown product `coffee`; write a [[product]] with id = \"coffee\", or another id here";
    "name = \"A2\"" => "name = \"A1\"":
        "kiosk.toml:70:8: slot `A1` is already on line 62; write a name of its own";
    "line = \"slot-A2\"" => "line = \"slot-A1\"":
        "kiosk.toml:72:8: line `slot-A1` of slot `A2` already belongs to slot `A1` on line 64; write another line for one of them";
    "line = \"slot-A2\"" => "line = \"door\"":
        "kiosk.toml:72:8: line `door` of slot `A2` already belongs to the board's `door` on line 29; write another line for one of them";
    "line = \"slot-A2\"" => "line = \"drop-beam\"":
        "kiosk.toml:72:8: line `drop-beam` of slot `A2` already belongs to the board's `beam` on line 34; write another line for one of them";
    "line = \"slot-A2\"" => "line = \"slot A2\"":
        "kiosk.toml:72:8: a line can't be `slot A2`; write 1 to 64 letters, digits, `_`, `.`, `:` or `-`";
    "tamper = \"tamper\"" => "service_key = \"key\"":
        "kiosk.toml:30:15: `service_key` opens the service menu, and there is none; write [service] with what `kioskctl pin` prints";
    "tamper = \"tamper\"" => "service_key = \"door\"\n[service]\npin = \"$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"":
        "kiosk.toml:30:15: line `door` of the board's `service_key` already belongs to the board's `door` on line 29; write another line for one of them";
    "tamper = \"tamper\"" => "tamper = \"door\"":
        "kiosk.toml:30:10: line `door` of the board's `tamper` already belongs to the board's `door` on line 29; write another line for one of them";
    "[board]\ndriver = \"simulated\"" => "[board]\ndriver = \"gpiochip\"":
        "kiosk.toml:35:11: `counter` is on an I²C bus, and there is none; write i2c = \"/dev/i2c-1\" in [board]";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\noffset = 17\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:29:10: `offset` counts on one chip; write chip = \"LABEL\" too";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\nbcm = 17\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:29:7: `bcm` is for driver = \"rppal\"; write chip = \"LABEL\" and offset = NUMBER";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A11\"\nchip = \"gpiochip0\"\noffset = 17\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:28:8: line `slot-A11` is used nowhere; did you mean `slot-A1`?";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"pump\"\nline = \"GPIO17\"\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:28:8: line `pump` is used nowhere; name it in [board], [gate] or a [[slot]], or leave it out";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\nbias = \"pull-up\"\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:29:8: `bias` is for inputs, and slot `A1` drives this line; leave it out";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\nchip = \"gpiochip0\"\noffset = 4\n[[line]]\nname = \"door\"\nchip = \"gpiochip0\"\noffset = 4\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:31:1: the board's `door` is on the same wire as slot `A1` on line 27: offset 4 of chip `gpiochip0`; write another one for one of them";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\nline = \"door\"\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:33:8: the board's `door` is on the same wire as slot `A1` on line 27: line `door`; write another one for one of them";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\nexpander = \"relay\"\n[[expander]]\nname = \"relays\"\nchip = \"mcp23017\"\nbus = \"/dev/i2c-1\"\naddress = 0x20\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:29:12: `expander` needs the pin; write pin = 0, counted from 0"
        "kiosk.toml:29:12: there is no expander `relay`; did you mean `relays`?";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"slot-A1\"\nexpander = \"relays\"\npin = 8\n[[expander]]\nname = \"relays\"\nchip = \"pcf8574\"\nbus = \"/dev/i2c-1\"\naddress = 0x38\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:27:1: a PCF8574 is high when power comes, and the relay would be on before kioskd is there; write active_low = true and use a relay board that is active low"
        "kiosk.toml:30:7: the expander has no pin 8; write 0 to 7";
    "[board]\ndriver = \"simulated\"" => "[[line]]\nname = \"door\"\nexpander = \"relays\"\npin = 8\nbias = \"pull-down\"\n[[expander]]\nname = \"relays\"\nchip = \"mcp23017\"\nbus = \"/dev/i2c-1\"\naddress = 0x38\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:31:8: the expander has no `pull-down`: it has pull-up or none; write that, or leave it out"
        "kiosk.toml:36:11: no such chip has the address 0x38; write 0x20 to 0x27";
    "[board]\ndriver = \"simulated\"\ndoor = \"door\"\ntamper = \"tamper\"\n\n[board.drop_sensor]\nemitter = \"drop-emitter\"\nbeam = \"drop-beam\"\ncounter = 0x50\nfall_time = \"300ms\"\n" => "[[line]]\nname = \"slot-A1\"\nchip = \"gpiochip0\"\noffset = 3\n[board]\ndriver = \"rppal\"\n":
        "kiosk.toml:29:8: driver = \"rppal\" knows no chips; write bcm = NUMBER, or driver = \"gpiochip\""
        "kiosk.toml:30:10: driver = \"rppal\" knows no chips; write bcm = NUMBER, or driver = \"gpiochip\""
        "kiosk.toml:60:8: line `slot-A1` has no number for driver = \"rppal\"; write a [[line]] with name = \"slot-A1\" and bcm = 17"
        "kiosk.toml:68:8: line `slot-A2` has no number for driver = \"rppal\"; write a [[line]] with name = \"slot-A2\" and bcm = 17";
    "line = \"slot-A1\"" => "line = \"slot-A1\"\nbutton = \"door\"":
        "kiosk.toml:65:10: line `door` of slot `A1`'s `button` already belongs to the board's `door` on line 29; write another line for one of them";
    "[printer]" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\nlower = \"gate-lower\"\n[printer]":
        "kiosk.toml:41:9: nothing says whether a car stands under the arm; write safety = \"LINE\", or leave `lower` out and let the gate's own control close it";
    "[printer]" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\ndelivered = \"opened\"\nundecided = \"open-and-record\"\n[printer]":
        "kiosk.toml:41:13: without a limit switch nobody knows that the gate is open; write opened = \"LINE\", or delivered = \"passed\""
        "kiosk.toml:42:13: without a presence loop nobody knows that a car waits; write presence = \"LINE\", or undecided = \"closed-and-call\"";
    "[printer]" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\ntravel = \"700ms\"\n[printer]":
        "kiosk.toml:38:1: `pulse` and `rest` together are not shorter than `travel`; write shorter ones, or the arm's real way";
    "[printer]" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\nsafety = \"gate-raise\"\nclosing = \"door\"\n[printer]":
        "kiosk.toml:41:10: line `gate-raise` of the gate's `safety` already belongs to the gate's `raise` on line 40; write another line for one of them"
        "kiosk.toml:42:11: line `door` of the gate's `closing` already belongs to the board's `door` on line 29; write another line for one of them";
    "[printer]" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\nsafty = \"loop\"\n[printer]":
        "kiosk.toml:41:1: unknown key `safty` in [gate]; did you mean `safety`?";
    "[printer]" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\ntries = 9\npass = \"1s\"\n[printer]":
        "kiosk.toml:41:9: `tries` is 9; write 1 to 5"
        "kiosk.toml:42:8: `pass` is `1s`; write \"10s\" to \"10min\"";
    "[printer]" => "[gate]\nname = \"entry 1\"\nraise = \"gate-raise\"\n[printer]":
        "kiosk.toml:39:8: `name` can't be `entry 1`; write 1 to 16 letters, digits, `_` or `-`";
    "[board]\ndriver = \"simulated\"" => "[gate]\nname = \"entry-1\"\nraise = \"gate-raise\"\nopened = \"gate-opened\"\n[[line]]\nname = \"gate-raise\"\nbias = \"pull-up\"\n[[line]]\nname = \"gate-opened\"\nline = \"door\"\n[board]\ndriver = \"gpiochip\"\ni2c = \"/dev/i2c-1\"":
        "kiosk.toml:33:8: `bias` is for inputs, and the gate's `raise` drives this line; leave it out"
        "kiosk.toml:40:8: the board's `door` is on the same wire as the gate's `opened` on line 34: line `door`; write another one for one of them";
    "price = 300" => "price = 300\nmax_temperature = 8":
        "kiosk.toml:54:19: `max_temperature` needs a thermometer; write [board.temperature] with sensor";
    "stock = 8" => "stock = 9":
        "kiosk.toml:65:9: `stock` 9 is more than the slot's `capacity`; write 8 or less";
    "width = 1280\nheight = 800" => "width = \"wide\"\nheigth = 800\nfont = \"x\"":
        "kiosk.toml:22:9: `width` must be a whole number, not a text; write width = 1280"
        "kiosk.toml:23:1: unknown key `heigth` in [glass]; did you mean `height`?"
        "kiosk.toml:24:1: unknown key `font` in [glass]; known here: driver, font_more, font_sc, font_sc_bold, font_tc, font_tc_bold, logo, night, slides, theme, height, width";
    "[printer]" => "[dbus]\nbus = \"session\"\npolkit = true\n[printer]":
        "kiosk.toml:40:10: polkit is on the system's bus; write bus = \"system\", or leave `polkit` out";
    "[printer]" => "[metrics]\nlisten = \"0.0.0.0:9464\"\n[printer]":
        "kiosk.toml:39:10: `0.0.0.0:9464` is open to others, and nobody is asked who they are; write listen = \"127.0.0.1:9464\"";
    "[printer]" => "[metrics]\nlisten = \"127.0.0.1:0\"\n[printer]":
        "kiosk.toml:39:10: port 0 is another one each time; write listen = \"127.0.0.1:9464\"";
    "[printer]" => "[metrics]\nlisten = \"localhost\"\n[printer]":
        "kiosk.toml:39:10: `localhost` is not an address with a port; write listen = \"127.0.0.1:9464\"";
    "[printer]" => "[service]\npin = \"2468\"\n[printer]":
        "kiosk.toml:39:7: `pin` is not the hash of a PIN; write what `kioskctl pin` prints";
    "[printer]" => "[service]\npin = \"$argon2id$v=19$m=1024,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n[printer]":
        "kiosk.toml:39:7: `pin` takes 1024 KiB of memory, and may take 7168 to 65536; write what `kioskctl pin` prints";
    "[printer]" => "[service]\npin = \"$argon2id$v=19$m=4194304,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n[printer]":
        "kiosk.toml:39:7: `pin` takes 4194304 KiB of memory, and may take 7168 to 65536; write what `kioskctl pin` prints";
    "[printer]" => "[service]\npin = \"$argon2id$v=19$m=19456,t=50,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n[printer]":
        "kiosk.toml:39:7: `pin` takes 50 passes, and may take 1 to 10; write what `kioskctl pin` prints";
    "[printer]" => "[service]\npin = \"$argon2d$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n[printer]":
        "kiosk.toml:39:7: `pin` is not made with Argon2id, version 19; write what `kioskctl pin` prints";
};
