//! Alipay's error tables, as far as they are certain. What is not listed is unknown. They are those of
//! alipay.trade.precreate and alipay.trade.refund, without the `ACQ.` before each code.

/// Refusals of a precreate after which there is no QR under the number. Not among them: what says that there is one.
pub(super) fn never_created(sub: &str) -> bool {
    const CODES: [&str; 11] = [
        "INVALID_PARAMETER",
        "ACCESS_FORBIDDEN",
        "EXIST_FORBIDDEN_WORD",
        "PARTNER_ERROR",
        "TOTAL_FEE_EXCEED",
        "BUYER_SELLER_EQUAL",
        "BEYOND_PAY_RESTRICTION",
        "MERCHANT_STATUS_NOT_NORMAL",
        "RISK_MERCHANT_IP_NOT_EXIST",
        "NOW_TIME_AFTER_EXPIRE_TIME_ERROR",
        "SUB_GOODS_SIZE_MAX_COUNT",
    ];
    CODES.contains(&sub) || sub.starts_with("BEYOND_PER_RECEIPT_") || sub.starts_with("MERCHANT_PERM_RECEIPT_")
}

/// Refusals of a refund that no repeat changes, if there is no refund under the number.
pub(super) fn never_refunded(sub: &str) -> bool {
    const CODES: [&str; 12] = [
        "INVALID_PARAMETER",
        "ACCESS_FORBIDDEN",
        "TRADE_NOT_EXIST",
        "TRADE_NOT_ALLOW_REFUND",
        "TRADE_STATUS_ERROR",
        "TRADE_HAS_FINISHED",
        "TRADE_HAS_CLOSE",
        "REASON_TRADE_BEEN_FREEZEN",
        "REFUND_AMT_NOT_EQUAL_TOTAL",
        "REASON_TRADE_REFUND_FEE_ERR",
        "REFUND_FEE_ERROR",
        "DISCORDANT_REPEAT_REQUEST",
    ];
    CODES.contains(&sub)
}
