use std::sync::mpsc::channel;

use super::*;
use crate::printer::TicketEntry;
use crate::sale::record::Slip;
use crate::vocabulary::{Currency, Language};

const NO_WAIT: Duration = Duration::from_millis(1);

fn report(number: u32) -> PrintJob {
    let text = String::new;
    let slip = CashUpSlip {
        language: Language::new("en"),
        merchant: text(),
        place: text(),
        kiosk: text(),
        number,
        copy: false,
        since: None,
        until: None,
        after: (0, text()),
        end: (0, text()),
        takings: Vec::new(),
        foreign: Vec::new(),
        granted: Vec::new(),
        claims: Vec::new(),
    };
    PrintJob { paper: Paper::Report(Box::new(slip)), after_a_crash: false }
}

fn slip(number: u128) -> PrintJob {
    let (text, order) = (String::new, OrderId::from_parts(1, number));
    let receipt = Receipt {
        language: Language::new("en"),
        merchant: text(),
        place: text(),
        kiosk: text(),
        order,
        short_code: order.short_code(),
        time: None,
        currency: Currency::from_code("CNY").unwrap(),
        items: Vec::new(),
        bill: Vec::new(),
        taxes: Vec::new(),
        pickup: None,
        amount: 0,
        paid: 0,
        refunded: 0,
        refund_pending: 0,
        slip: Slip::Receipt,
        rail: text(),
        payments: Vec::new(),
        pass: None,
        phone: text(),
    };
    PrintJob { paper: Paper::Slip { order, receipt: Box::new(receipt) }, after_a_crash: false }
}

fn ticket(number: u128) -> PrintJob {
    let text = String::new;
    let ticket = Ticket {
        language: Language::new("en"),
        merchant: text(),
        place: text(),
        site: text(),
        lane: text(),
        number: text(),
        entry: TicketEntry::Known(text()),
        class: None,
        plate: None,
        code: text(),
        phone: text(),
        sign: Vec::new(),
    };
    let paper = Paper::Ticket { order: OrderId::from_parts(1, number), ticket: Box::new(ticket) };
    PrintJob { paper, after_a_crash: false }
}

/// What comes next, in short.
fn next(queue: &mut PrintQueue) -> String {
    match queue.next(NO_WAIT).map(|job| job.paper) {
        Ok(Paper::Slip { order, .. }) => format!("slip {order}"),
        Ok(Paper::Ticket { order, .. }) => format!("ticket {order}"),
        Ok(Paper::Test(_)) => "test".to_owned(),
        Ok(Paper::Report(slip)) => format!("report {}", slip.number),
        Err(why) => format!("{why:?}"),
    }
}

#[test]
fn who_stands_there_goes_before_every_report_that_waits() {
    let (jobs, todo) = channel();
    let mut queue = PrintQueue::new(todo);
    let of = |number| format!("slip {}", OrderId::from_parts(1, number));
    for job in [report(1), slip(1), report(2), slip(2)] {
        jobs.send(job).unwrap();
    }
    assert_eq!([next(&mut queue), next(&mut queue)], [of(1), of(2)]);
    assert_eq!(next(&mut queue), "report 1");
    // A customer comes while the second waits.
    jobs.send(slip(3)).unwrap();
    assert_eq!([next(&mut queue), next(&mut queue)], [of(3), "report 2".to_owned()]);
    assert_eq!(next(&mut queue), "Timeout");
    for job in [report(4), ticket(4), slip(5), report(5), ticket(6)] {
        jobs.send(job).unwrap();
    }
    let ticket = |number| format!("ticket {}", OrderId::from_parts(1, number));
    assert_eq!([next(&mut queue), next(&mut queue), next(&mut queue)], [ticket(4), of(5), ticket(6)]);
    assert_eq!([next(&mut queue), next(&mut queue)], ["report 4", "report 5"]);
    jobs.send(report(3)).unwrap();
    drop(jobs);
    assert_eq!([next(&mut queue), next(&mut queue)], ["report 3", "Disconnected"], "what was asked for is printed");
}
