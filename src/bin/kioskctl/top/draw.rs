//! The screen: how the kiosk is, what the customer sees, and the newest orders. A narrow terminal has no picture.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect, Size};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Block, Clear, Paragraph, Row, Table, TableState, Wrap};
use ratatui_image::Image;

use super::{Over, Top};
use crate::export::money;

/// Columns below which there is no room for a picture.
const NARROW: u16 = 70;
const KEYS: &str = "q quit  ↑↓ Enter story  m maintenance  u unlock  r refill  s screenshot";
const KEYS_SHORT: &str = "q quit  Enter story  m u r s";

pub fn all(frame: &mut Frame, top: &mut Top) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
    // The report's first line is the headline.
    let report = top.last.as_ref().map_or(String::new(), |last| last.report.to_string());
    let (first, rest) = report.split_once('\n').unwrap_or((&report, ""));
    headline(frame, top, first, head);
    let orders = (body.height / 3).clamp(4, 22);
    let [upper, lower] = Layout::vertical([Constraint::Min(3), Constraint::Length(orders)]).areas(body);
    if frame.area().width < NARROW {
        status(frame, top, rest, upper);
    } else {
        let [left, right] = Layout::horizontal([Constraint::Percentage(58), Constraint::Min(20)]).areas(upper);
        status(frame, top, rest, left);
        glass(frame, top, right);
    }
    order_list(frame, top, lower);
    footer(frame, top, foot);
    if let Over::Story { text, from } = &mut top.over {
        story(frame, text, from, body);
    }
}

fn headline(frame: &mut Frame, top: &Top, first: &str, area: Rect) {
    let (text, color) = match (&top.gone, &top.last) {
        (Some(why), _) => (format!("no answer: {why}"), Color::Red),
        (None, None) => ("the kiosk is being asked".to_owned(), Color::Yellow),
        (None, Some(last)) => (first.to_owned(), if last.report.selling() { Color::Green } else { Color::Red }),
    };
    frame.render_widget(Line::from(text).style(Style::new().fg(color).add_modifier(Modifier::BOLD)), area);
}

fn status(frame: &mut Frame, top: &Top, report: &str, area: Rect) {
    let lines = report.lines().map(|line| {
        let styled = Line::from(line);
        match line {
            hint if hint.starts_with("    ->") => styled.cyan(),
            bad if ["  ", "fault", "claim", "rail"].iter().any(|start| bad.starts_with(start)) => styled.yellow(),
            _ => styled,
        }
    });
    let block = Block::bordered().title(" kiosk ");
    let stale = if top.gone.is_some() { Style::new().add_modifier(Modifier::DIM) } else { Style::new() };
    let text = Paragraph::new(Text::from_iter(lines)).wrap(Wrap { trim: false }).style(stale).block(block);
    frame.render_widget(text, area);
}

fn glass(frame: &mut Frame, top: &mut Top, area: Rect) {
    let block = Block::bordered().title(" glass ");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    match top.preview.fitted(&top.picker, Size::new(inner.width, inner.height)) {
        Ok(picture) => {
            let size = picture.size();
            let middle = Rect {
                x: inner.x + inner.width.saturating_sub(size.width) / 2,
                width: size.width.min(inner.width),
                height: size.height.min(inner.height),
                ..inner
            };
            frame.render_widget(Image::new(picture), middle);
        }
        Err(why) => frame.render_widget(Paragraph::new(why).wrap(Wrap { trim: true }), inner),
    }
}

fn order_list(frame: &mut Frame, top: &Top, area: Rect) {
    let orders = top.last.as_ref().map_or(&[][..], |last| &last.orders);
    let columns = if area.width < NARROW { 3 } else { 6 };
    let rows = orders.iter().map(|order| {
        let color = match order.state.as_str() {
            "delivered" => Color::Green,
            "claim" | "refunded" | "partial" => Color::Yellow,
            _ => Color::Reset,
        };
        let [asked, paid, back] =
            [order.amount, order.paid, order.refunded].map(|amount| money(amount, &order.currency));
        let all = [order.short_code.clone(), order.state.clone(), paid, back, asked, order.id.clone()];
        Row::new(all.into_iter().take(columns)).style(Style::new().fg(color))
    });
    let widths = [6, 16, 10, 10, 10, 26].map(Constraint::Length).into_iter().take(columns);
    let head = ["code", "state", "paid", "given back", "asked", "order"].into_iter().take(columns);
    let table = Table::new(rows, widths)
        .header(Row::new(head).style(Style::new().bold()))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .block(Block::bordered().title(" orders "));
    let mut state = TableState::new().with_selected((!orders.is_empty()).then_some(top.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

fn footer(frame: &mut Frame, top: &Top, area: Rect) {
    let line = match (&top.over, &top.message) {
        (Over::Sure { question, .. }, _) => Line::from(format!("{question} = yes, anything else = no")).reversed(),
        (Over::Story { .. }, _) => Line::from("↑↓ scroll  any other key goes back"),
        (Over::Nothing, Some(message)) => Line::from(message.clone()).bold(),
        (Over::Nothing, None) => Line::from(if area.width < NARROW { KEYS_SHORT } else { KEYS }).dim(),
    };
    frame.render_widget(line, area);
}

fn story(frame: &mut Frame, text: &str, from: &mut u16, area: Rect) {
    let block = Block::bordered().title(" story ");
    let paragraph = Paragraph::new(text).wrap(Wrap { trim: false });
    let inner = block.inner(area);
    // Never beyond its end.
    let lines = paragraph.line_count(inner.width) as u16;
    *from = (*from).min(lines.saturating_sub(inner.height));
    frame.render_widget(Clear, area);
    frame.render_widget(paragraph.scroll((*from, 0)).block(block), area);
}
