//! The shop's pages: the invitation, the shelf, one product with the basket, and the code that proves somebody is here.

use super::super::sheet::{Cut, Draw, Fit, Ink, Look, Picture, TextLook, centered, space, type_scale};
use super::keys::spaced;
use super::{Composer, FINGER, Icon, Touch};
use crate::sale::dialogue::{BasketLine, CategoryTab, ShopPage, Tile};
use crate::vocabulary::{Minor, Rect};

/// Products on the invitation: a taste of what there is.
const SAMPLES: usize = 6;
/// Categories beside the way to more pages, and in a row of their own: as many as are a finger wide each.
const TABS_BESIDE: usize = 3;
const TABS_ACROSS: usize = 6;
/// How much is seen of a product that is sold out.
const FADED: u8 = 90;

impl Composer<'_> {
    pub(super) fn shop(&mut self, body: Rect, page: &ShopPage) {
        match page {
            ShopPage::Attract { tiles } => self.attract(body, tiles),
            ShopPage::Choose { tiles, categories, page, pages, basket, total } => {
                self.choose(body, tiles, categories, (*page, *pages), basket, *total);
            }
            ShopPage::Basket { product, basket, total, can_add } => {
                self.basket(body, product, basket, *total, *can_add);
            }
            ShopPage::Confirm { code, entered, total, wrong } => self.confirm(body, code, entered, *total, *wrong),
        }
    }

    fn attract(&mut self, body: Rect, tiles: &[Tile]) {
        let gap = self.px(space::M);
        let (body, row) = body.bottom(self.px(FINGER));
        let body = Rect { h: body.h - gap, ..body };
        let (_, lookup) = row.right(if self.wide { self.px(340) } else { row.w });
        let label = self.words.say("lookup");
        self.sheet.plate(lookup, Some(Icon::Search), label, Look::Plain, true);
        self.sheet.target(&Touch::Lookup, lookup, true);
        self.sheet.target(&Touch::Start, body, true);
        if self.slide {
            // Low and left, where it hides least of the picture.
            let (_, call) = body.bottom(self.px(176));
            return self.call(call.left(call.w.min(self.px(720))).0);
        }
        if self.wide {
            let (call, shelf) = body.left(body.w * 2 / 5);
            // The invitation reaches down beside the look-up button.
            let call = Rect { h: call.h + gap + row.h, ..call };
            self.call(call);
            let gap = self.px(space::L);
            let shelf = Rect { x: shelf.x + gap, w: shelf.w - gap, ..shelf };
            self.tiles(shelf, &tiles[..tiles.len().min(SAMPLES)], false);
        } else {
            let (shelf, call) = body.top(body.h * 3 / 5);
            self.tiles(Rect { h: shelf.h - self.px(space::L), ..shelf }, &tiles[..tiles.len().min(SAMPLES)], false);
            self.call(call);
        }
    }

    /// "Touch to start", in each of the languages in turn.
    fn call(&mut self, area: Rect) {
        let primary = self.sheet.palette.primary;
        self.sheet.boxed(area, primary, primary);
        let inner = area.inset(self.px(space::L));
        let languages = &self.words.view.languages;
        // The glass wakes up in its own, and whoever has chosen one keeps it.
        let chosen = languages.iter().position(|language| *language == self.words.view.language).unwrap_or(0);
        let nth = (chosen + self.moment.turn as usize) % languages.len().max(1);
        let language = languages.get(nth).unwrap_or(&self.words.view.language).clone();
        let (start, hint) = (self.words.say_in(&language, "start"), self.words.say_in(&language, "start-hint"));
        let own = std::mem::replace(&mut self.sheet.language, language);
        let on = |px: f32| TextLook::new(px).ink(Ink::OnPrimary);
        if inner.h < self.px(240) {
            let (mark, words) = inner.left(inner.h);
            self.sheet.icon(centered(mark, mark.h * 4 / 5), Icon::Touch, Ink::OnPrimary);
            let (upper, lower) = words.top(words.h * 3 / 5);
            self.sheet.text(upper, start, on(type_scale::HERO).bold());
            self.sheet.text(lower, hint, on(type_scale::BODY));
        } else {
            let rows = inner.shares(&[2, 9, 9, 5, 3]);
            self.sheet.icon(centered(rows[1], rows[1].h.min(self.px(176))), Icon::Touch, Ink::OnPrimary);
            self.sheet.text(rows[2], start, on(type_scale::HERO).bold().center());
            self.sheet.text(rows[3], hint, on(type_scale::LEAD).center());
        }
        self.sheet.language = own;
    }

    fn choose(
        &mut self,
        body: Rect,
        tiles: &[Tile],
        categories: &[CategoryTab],
        (page, pages): (u32, u32),
        basket: &[BasketLine],
        total: Minor,
    ) {
        let title = self.words.say("choose-title");
        // Where there are many categories, the way to more pages has another place: of a wide panel beside the title, of a
        // tall one below the products.
        let apart = pages > 1 && categories.len() > TABS_BESIDE;
        let gap = self.px(space::M);
        let shelf = if self.wide {
            let (shelf, side) = self.halves(body, 0.64);
            let side = self.buttons(
                side,
                &[
                    (Touch::Cancel, None, "cancel", Look::Plain, true),
                    (Touch::Lookup, Some(Icon::Search), "lookup", Look::Plain, true),
                ],
            );
            let side =
                self.buttons(side, &[(Touch::Pay, Some(Icon::Wallet), "pay", Look::Primary, !basket.is_empty())]);
            self.basket_list(side, basket, total);
            if apart {
                let (line, shelf) = shelf.top(self.px(FINGER));
                let rest = self.turner(line, page, pages);
                self.sheet.text(rest, title, TextLook::new(type_scale::TITLE).bold());
                Rect { y: shelf.y + self.px(space::S), h: shelf.h - self.px(space::S), ..shelf }
            } else {
                self.title(shelf, title)
            }
        } else {
            // What is chosen is above, what there is to touch below.
            let body = self.title(body, title);
            let (list, shelf) = body.top(self.px(232));
            self.basket_list(list, basket, total);
            let shelf = Rect { y: shelf.y + gap, h: shelf.h - gap, ..shelf };
            let shelf = self.buttons(
                shelf,
                &[
                    (Touch::Cancel, None, "cancel", Look::Plain, true),
                    (Touch::Lookup, Some(Icon::Search), "lookup", Look::Plain, true),
                    (Touch::Pay, Some(Icon::Wallet), "pay", Look::Primary, !basket.is_empty()),
                ],
            );
            if apart {
                let (shelf, line) = shelf.bottom(self.px(FINGER));
                self.turner(line, page, pages);
                Rect { h: shelf.h - gap, ..shelf }
            } else {
                shelf
            }
        };
        let shelf = self.tabs(shelf, categories, (!apart && pages > 1).then_some((page, pages)));
        self.tiles(shelf, tiles, true);
    }

    /// The way to more pages, at the right of a row; answers with the rest of it.
    pub(super) fn turner(&mut self, row: Rect, page: u32, pages: u32) -> Rect {
        let (rest, turn) = row.right(self.px(2 * FINGER + 88));
        let (back, turn) = turn.left(self.px(FINGER));
        let (number, next) = turn.right(self.px(FINGER));
        for (touch, icon, cell, enabled) in
            [(Touch::PageBack, Icon::Back, back, page > 0), (Touch::NextPage, Icon::Next, next, page + 1 < pages)]
        {
            self.sheet.plate(cell, Some(icon), "", Look::Plain, enabled);
            self.sheet.target(&touch, cell, enabled);
        }
        let number_of = format!("{}/{pages}", page + 1);
        self.sheet.text(number, number_of, TextLook::new(type_scale::LABEL).center());
        rest.inset_right(self.px(space::M))
    }

    /// Categories, and beside them the page of how many, where there is more than one.
    fn tabs(&mut self, area: Rect, categories: &[CategoryTab], pages: Option<(u32, u32)>) -> Rect {
        if categories.is_empty() && pages.is_none() {
            return area;
        }
        let down = categories.len().div_ceil(TABS_ACROSS).max(1);
        let (rows, rest) = area.top(self.px(FINGER) * down as i32);
        let rows = match pages {
            Some((page, pages)) => self.turner(rows, page, pages),
            None => rows,
        };
        let across = categories.len().div_ceil(down).max(1);
        for (row, tabs) in rows.rows(down, 0).into_iter().zip(categories.chunks(across)) {
            for (tab, cell) in tabs.iter().zip(row.columns(across, self.px(space::S))) {
                let look = if tab.chosen { Look::Primary } else { Look::Quiet };
                let label = if tab.label.is_empty() { self.words.say("category-all") } else { tab.label.clone() };
                let plate = cell.inset_ends(self.px(space::M));
                self.sheet.plate(plate, None, label, look, true);
                self.sheet.target(&Touch::Category(tab.category.clone()), cell, true);
            }
        }
        Rect { y: rest.y + self.px(space::S), h: rest.h - self.px(space::S), ..rest }
    }

    /// Products in a grid. `touchable` tiles are targets.
    fn tiles(&mut self, area: Rect, tiles: &[Tile], touchable: bool) {
        // As many across as keeps the tiles nearest to a good tile's width for their height.
        let shape = |across: usize| {
            let (w, h) = (area.w / across as i32, area.h / tiles.len().div_ceil(across).max(1) as i32);
            (w * 4 / 5).min(h)
        };
        let across = (2..=6).rev().max_by_key(|across| shape(*across)).unwrap_or(2);
        let gap = self.px(space::M);
        // A lone product on a page is no larger than one of a few.
        let down = tiles.len().div_ceil(across).max(2);
        let rows = area.rows(down, gap);
        for (row, line) in rows.into_iter().zip(tiles.chunks(across)) {
            for (cell, tile) in row.columns(across, gap).into_iter().zip(line) {
                self.tile(cell, tile);
                if touchable {
                    self.sheet.target(&Touch::Product(tile.product.clone()), cell, tile.available > 0);
                }
            }
        }
    }

    fn tile(&mut self, cell: Rect, tile: &Tile) {
        let sold_out = tile.available == 0;
        self.sheet.card(cell);
        let inner = cell.inset(self.px(space::M));
        // A low tile has its picture at the left.
        let lying = inner.w > inner.h * 5 / 4;
        let words = match &tile.picture {
            None => inner,
            Some(_) if lying => {
                let (picture, words) = inner.left(inner.h.min(inner.w * 2 / 5));
                self.product(picture, tile);
                let gap = self.px(space::M);
                Rect { x: words.x + gap, w: words.w - gap, ..words }
            }
            Some(_) => {
                let (picture, words) = inner.top(inner.h - self.px(if self.sheet.large { 164 } else { 120 }));
                self.product(picture, tile);
                words
            }
        };
        let (name, price) = words.top(words.h * 7 / 12);
        let look = TextLook::new(if lying { type_scale::LABEL } else { type_scale::NOTE }).bold();
        let look = if lying || tile.picture.is_none() { look } else { look.center() };
        let name_look = if sold_out { look.clone().soft() } else { look.clone() };
        self.sheet.text(name, tile.name.clone(), name_look);
        if sold_out {
            let gone = format!("× {}", self.words.say("sold-out"));
            self.sheet.text(price, gone, look.ink(Ink::Error));
        } else {
            let money = self.words.money(tile.price);
            let bigger = TextLook::new(40.0).bold().ink(Ink::Primary).whole();
            let bigger = if lying || tile.picture.is_none() { bigger } else { bigger.center() };
            self.sheet.text(price, money, bigger);
        }
    }

    fn product(&mut self, area: Rect, tile: &Tile) {
        if let Some(path) = tile.picture.clone() {
            let opacity = if tile.available == 0 { FADED } else { 255 };
            self.sheet.add(area, Draw::Picture(Picture { path, fit: Fit::Whole, opacity }));
        }
    }

    fn basket_list(&mut self, area: Rect, basket: &[BasketLine], total: Minor) {
        self.sheet.card(area);
        let inner = area.inset(self.px(space::M));
        let (list, sum) = inner.bottom(self.px(if self.sheet.large { 84 } else { 60 }));
        if basket.is_empty() {
            let (mark, words) = list.top(list.h * 3 / 5);
            self.sheet.icon(centered(mark, mark.h.min(self.px(72))), Icon::Basket, Ink::Soft);
            let empty = self.words.say("basket-empty");
            self.sheet.text(words, empty, TextLook::new(type_scale::LABEL).soft().center());
        } else {
            let lines = basket.iter().map(|line| {
                (format!("{} × {}", line.quantity, line.name), self.words.money(line.price * i64::from(line.quantity)))
            });
            let lines = lines.collect::<Vec<_>>();
            self.two_columns(list, &lines);
        }
        let look = TextLook::new(type_scale::LEAD).bold();
        let (word, money) = sum.left(sum.w * 2 / 5);
        self.sheet.text(word, self.words.say("total"), look.clone());
        self.sheet.text(money, self.words.money(total), look.right().whole());
    }

    fn basket(&mut self, body: Rect, product: &Tile, basket: &[BasketLine], total: Minor, can_add: bool) {
        let (main, side) = self.halves(body, if self.wide { 0.42 } else { 0.4 });
        self.sheet.card(main);
        let mut inner = main.inset(self.px(space::L));
        if product.picture.is_some() {
            let (picture, rest) = if self.wide { inner.top(inner.h * 11 / 20) } else { inner.left(inner.w * 2 / 5) };
            self.product(picture.inset(self.px(space::S)), product);
            inner = rest.inset_sides(if self.wide { 0 } else { self.px(space::M) });
        }
        let rows = inner.shares(&[5, 6, 3]);
        let place = |look: TextLook| if self.wide { look.center() } else { look };
        let (title, amount) = (TextLook::new(type_scale::LEAD).bold(), TextLook::new(type_scale::HERO).bold());
        let (title, amount) = (place(title), place(amount.ink(Ink::Primary).whole()));
        let soft = place(TextLook::new(type_scale::LABEL).soft());
        self.sheet.text(rows[0], product.name.clone(), title);
        let price = self.words.money(product.price);
        self.sheet.text(rows[1], price, amount);
        let left = self.words.with("available", "count", &product.available.to_string());
        self.sheet.text(rows[2], left, soft);

        let side = self.buttons(
            side,
            &[
                (Touch::Cancel, None, "cancel", Look::Plain, true),
                (Touch::Pay, Some(Icon::Wallet), "pay", Look::Primary, true),
            ],
        );
        let side = self.buttons(
            side,
            &[(Touch::Add, None, "add", Look::Plain, can_add), (Touch::Done, None, "choose-more", Look::Plain, true)],
        );
        let title = self.words.say("basket-title");
        let side = self.title(side, title);
        self.basket_list(side, basket, total);
    }

    fn confirm(&mut self, body: Rect, code: &str, entered: &str, total: Minor, wrong: bool) {
        let main = self.with_keypad(body, (Touch::Cancel, "cancel"), true);
        let (hint, ink) = if wrong { ("confirm-wrong", Ink::Error) } else { ("confirm-why", Ink::Soft) };
        let rows = main.shares(&[72, 72, 112, 104, 72]);
        self.sheet.text(rows[0], self.words.say("confirm-title"), TextLook::new(type_scale::LEAD).bold());
        self.sheet.text(rows[1], self.words.say(hint), TextLook::new(type_scale::LABEL).ink(ink));
        self.sheet.text(rows[2], spaced(code), TextLook::new(80.0).bold().center());
        self.typed(rows[3], entered, code.len());
        let amount = format!("{} {}", self.words.say("total"), self.words.money(total));
        self.sheet.text(rows[4], amount, TextLook::new(type_scale::LEAD).bold().center().whole());
    }
}
