//! The receipt's own words in three languages. The merchant's words come with the receipt.

use crate::vocabulary::Language;

pub(super) struct Words {
    pub receipt: &'static str,
    pub place: &'static str,
    pub kiosk: &'static str,
    pub order: &'static str,
    pub short_code: &'static str,
    pub time: &'static str,
    pub clock_unknown: &'static str,
    pub total: &'static str,
    pub paid: &'static str,
    pub refunded: &'static str,
    pub refund_pending: &'static str,
    pub rail: &'static str,
    pub payment: &'static str,
    pub phone: &'static str,
    pub not_delivered: &'static str,
    pub not_confirmed: &'static str,
    pub pending: &'static str,
    pub claim: &'static str,
    pub not_an_invoice: &'static str,
}

const HANT: Words = Words {
    receipt: "收據",
    place: "地點",
    kiosk: "機台",
    order: "訂單",
    short_code: "訂單碼",
    time: "時間",
    clock_unknown: "時鐘未知",
    total: "合計",
    paid: "已付",
    refunded: "已退款",
    refund_pending: "退款中",
    rail: "支付方式",
    payment: "交易單號",
    phone: "客服電話",
    not_delivered: "未出貨",
    not_confirmed: "出貨無法確定",
    pending: "等候中",
    claim: "此訂單需要人工處理，請保留收據並來電告知訂單碼。",
    not_an_invoice: "非發票",
};

const HANS: Words = Words {
    receipt: "小票",
    place: "地点",
    kiosk: "机器",
    order: "订单",
    short_code: "订单码",
    time: "时间",
    clock_unknown: "时钟未知",
    total: "合计",
    paid: "已付",
    refunded: "已退款",
    refund_pending: "退款中",
    rail: "支付方式",
    payment: "交易单号",
    phone: "客服电话",
    not_delivered: "未出货",
    not_confirmed: "出货无法确定",
    pending: "等候中",
    claim: "此订单需要人工处理，请保留小票并来电告知订单码。",
    not_an_invoice: "非发票",
};

const ENGLISH: Words = Words {
    receipt: "Receipt",
    place: "Place",
    kiosk: "Kiosk",
    order: "Order",
    short_code: "Order code",
    time: "Time",
    clock_unknown: "clock unknown",
    total: "Total",
    paid: "Paid",
    refunded: "Given back",
    refund_pending: "Going back",
    rail: "Paid with",
    payment: "Payment no.",
    phone: "Help",
    not_delivered: "not delivered",
    not_confirmed: "delivery not certain",
    pending: "waiting",
    claim: "A person has to look at this order. Keep the receipt, call us and tell the order code.",
    not_an_invoice: "Not a tax invoice",
};

/// English for a language there are no words for.
pub(super) fn words(language: &Language) -> &'static Words {
    match language.tag() {
        "zh-Hant" => &HANT,
        "zh-Hans" => &HANS,
        _ => &ENGLISH,
    }
}
