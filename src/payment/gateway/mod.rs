//! The gateway rail: the merchant's keys stay in the back end; the kiosk asks over MQTT and believes signed answers.

pub mod wire;
