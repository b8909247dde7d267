//! Telemetry: what a kiosk does and how it is, as numbers with names, for dashboards and alarms of the operator's.
//!
//! Policy: one list of figures, said in two ways. Over MQTT it is a flat JSON object, on the loopback it is Prometheus's
//! text format. Names follow Prometheus's rules (<https://prometheus.io/docs/practices/naming/>): base units, and `_total` for
//! what only grows and begins at 0 with each run. A figure that is not known is left out, never 0.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};

/// What Prometheus puts before each name.
const PREFIX: &str = "kioskd_";

/// One number, now.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// As in JSON: lower-case letters and `_`.
    pub name: &'static str,
    pub grows: bool,
    /// A sentence without its full stop.
    pub help: &'static str,
    /// `None`: it is not known.
    pub value: Option<Number>,
}

impl Figure {
    /// A number that goes up and down.
    pub fn now(name: &'static str, help: &'static str, value: impl Into<Value>) -> Self {
        Self { name, grows: false, help, value: number(value.into()) }
    }

    /// A number that only grows.
    pub fn sum(name: &'static str, help: &'static str, value: impl Into<Value>) -> Self {
        Self { name, grows: true, help, value: number(value.into()) }
    }
}

fn number(value: Value) -> Option<Number> {
    match value {
        Value::Number(number) => Some(number),
        Value::Bool(yes) => Some(u8::from(yes).into()),
        _ => None,
    }
}

/// The fleet's `telemetry`.
pub fn json(figures: &[Figure]) -> Value {
    let known = figures.iter().filter_map(|figure| Some((figure.name.to_owned(), figure.value.clone()?.into())));
    Value::Object(known.collect::<Map<_, _>>())
}

/// Prometheus's text format, version 0.0.4.
pub fn exposition(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let Figure { name, help, .. } = figure;
        let Some(value) = &figure.value else { continue };
        let kind = if figure.grows { "counter" } else { "gauge" };
        let _ = write!(text, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n{PREFIX}{name} {value}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said_in_both_ways_and_what_is_not_in_neither() {
        let figures = [
            Figure::now("selling", "Whether it sells", true),
            Figure::sum("stopped_seconds_total", "How long it did not", 1.5),
            Figure::now("temperature_celsius", "How warm it is", None::<f64>),
        ];
        assert_eq!(json(&figures).to_string(), r#"{"selling":1,"stopped_seconds_total":1.5}"#);
        let text = "# HELP kioskd_selling Whether it sells\n# TYPE kioskd_selling gauge\nkioskd_selling 1\n\
                    # HELP kioskd_stopped_seconds_total How long it did not\n\
                    # TYPE kioskd_stopped_seconds_total counter\nkioskd_stopped_seconds_total 1.5\n";
        assert_eq!(exposition(&figures), text);
    }
}
