//! Checks `[touch]`, `[keypad]` and `[scanner]`: each must name a device.

use super::{Node, Rules};
use crate::config::words::quote;

impl Rules<'_, '_> {
    pub(super) fn input(&mut self, file: Node<'_>) {
        let tables = ["touch", "keypad", "scanner"].into_iter().filter_map(|table| Some((table, file.get(table)?)));
        let mut named = Vec::new();
        for (table, node) in tables {
            let (name, path) = (node.get("name"), node.get("path"));
            if let (Some(_), Some(path)) = (name, path) {
                self.found.add(path.at(), "`path` and `name` both say which device; keep one of them");
            }
            if table == "scanner" && name.is_none() && path.is_none() {
                let what = "`name` or `path` is missing in [scanner]: any keyboard could be one; write name = \"…\" as in \
                            /proc/bus/input/devices";
                self.found.add(node.at(), what);
            }
            if let Some(path) = path
                && let Some(text) = path.text().filter(|text| !text.trim().is_empty())
                && text.strip_prefix("/dev/input/").is_none_or(|rest| rest.is_empty() || rest.contains(".."))
            {
                let what = format!("`path` {} is no input device; write /dev/input/by-id/…", quote(text));
                self.found.add(path.at(), what);
            }
            named.extend(name.into_iter().chain(path));
        }
        self.once(named.into_iter(), "input device", "it can only be one of them");
    }
}
