//! The shop's pages: the invitation, the shelf, one product with the basket, and the proof that somebody is there.

use super::{Look, Page, Part, Patience, Touch};
use crate::sale::event::Illegal;
use crate::sale::shop::Product;
use crate::sale::{State, Turn};
use crate::vocabulary::{CategoryId, Minor, ProductId};

/// Digits of the code that proves somebody stands at the machine.
const CONFIRM_DIGITS: usize = 4;
/// Products on a page of the shelf, and with large type.
const TILES: usize = 8;
const TILES_LARGE: usize = 4;

/// Which page, and what has to be known of it.
#[derive(Debug, Clone)]
pub(super) enum At {
    Attract,
    Choose,
    Basket(ProductId),
    Confirm { code: String, entered: String, wrong: bool },
}

/// What one customer has chosen so far, and what part of the shelf is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Visit {
    pub basket: Vec<(ProductId, u32)>,
    /// `None`: all products.
    category: Option<CategoryId>,
    page: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShopPage {
    Attract {
        tiles: Vec<Tile>,
    },
    Choose {
        /// Those of this page of the shelf.
        tiles: Vec<Tile>,
        /// None where products have no categories; else the first is all of them.
        categories: Vec<CategoryTab>,
        /// From 0.
        page: u32,
        pages: u32,
        basket: Vec<BasketLine>,
        total: Minor,
    },
    /// One product opened, with the basket as it is.
    Basket {
        product: Tile,
        basket: Vec<BasketLine>,
        total: Minor,
        can_add: bool,
    },
    /// Type the code shown, to prove that somebody is here.
    Confirm {
        code: String,
        entered: String,
        total: Minor,
        wrong: bool,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    pub product: ProductId,
    pub name: String,
    pub price: Minor,
    /// How many can still be sold; 0 is shown as sold out.
    pub available: u32,
    /// A picture's file, as the configuration names it.
    pub picture: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CategoryTab {
    /// `None`: all products.
    pub category: Option<CategoryId>,
    /// Empty for all of them.
    pub label: String,
    pub chosen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasketLine {
    pub product: ProductId,
    pub name: String,
    pub quantity: u32,
    /// Of one unit.
    pub price: Minor,
}

impl ShopPage {
    pub(super) fn name(&self) -> &'static str {
        match self {
            ShopPage::Attract { .. } => "attract",
            ShopPage::Choose { .. } => "choose",
            ShopPage::Basket { .. } => "basket",
            ShopPage::Confirm { .. } => "confirm",
        }
    }
}

impl Part for At {
    fn touch(&self, turn: &mut Turn<'_>, touch: Touch) -> Result<(), Illegal> {
        match (self, touch) {
            (At::Attract, Touch::Start) => turn.shop(At::Choose),
            (At::Attract | At::Choose, Touch::Lookup) => turn.look_up(),
            (At::Choose | At::Basket(_), Touch::Product(product)) => turn.put(&product)?,
            (At::Basket(product), Touch::Add) => turn.put(product)?,
            (At::Choose | At::Basket(_), Touch::Pay) => turn.pay()?,
            (At::Choose | At::Basket(_) | At::Confirm { .. }, Touch::Cancel) => turn.begin_anew(),
            (At::Choose, Touch::Category(category)) => turn.look_at(category)?,
            (At::Choose, Touch::NextPage) => turn.turn_page(|page| Some(page + 1))?,
            (At::Choose, Touch::PageBack) => turn.turn_page(|page| page.checked_sub(1))?,
            (At::Basket(_), Touch::Done) => turn.shop(At::Choose),
            (At::Confirm { code, entered, .. }, Touch::Key(key)) => {
                let mut entered = entered.clone();
                let typed = key.types(&mut entered, CONFIRM_DIGITS);
                if typed && entered == *code {
                    return turn.offer();
                }
                if typed {
                    entered.clear();
                }
                turn.shop(At::Confirm { code: code.clone(), entered, wrong: typed });
            }
            (_, touch) => return Err(turn.not_here(touch)),
        }
        Ok(())
    }

    fn patience(&self, state: &State) -> Patience {
        let time = state.policy.browse_timeout;
        match self {
            // Somebody chose a language or larger type, and went away.
            At::Attract if state.changed() => Patience::For(time),
            At::Attract => Patience::Endless,
            At::Choose | At::Basket(_) | At::Confirm { .. } => Patience::Warning(time),
        }
    }

    fn show(&self, state: &State, _: &Look<'_>) -> Page {
        let reasons = state.reasons_to_show();
        if !reasons.is_empty() {
            return state.out_of_service(reasons);
        }
        Page::Shop(match self {
            At::Attract => state.invitation(),
            At::Choose => state.shelf_page(),
            At::Basket(product) => match state.product(product) {
                Some(known) => ShopPage::Basket {
                    can_add: state.can_add(product),
                    product: state.tile(known),
                    basket: state.basket_lines(),
                    total: state.basket_total(),
                },
                None => state.invitation(),
            },
            At::Confirm { code, entered, wrong } => ShopPage::Confirm {
                code: code.clone(),
                entered: entered.clone(),
                total: state.basket_total(),
                wrong: *wrong,
            },
        })
    }
}

impl State {
    /// A product that customers can choose.
    pub fn product(&self, id: &ProductId) -> Option<&Product> {
        self.shop.catalogue().iter().find(|product| product.id == *id)
    }

    /// Somebody is in the middle of something: choosing, paying or waiting for goods.
    pub fn busy(&self) -> bool {
        self.current.is_some() || !self.basket().is_empty()
    }

    /// Products chosen so far, with how many of each.
    pub fn basket(&self) -> &[(ProductId, u32)] {
        &self.dialogue.visit.basket
    }

    /// What they cost together.
    pub fn basket_total(&self) -> Minor {
        let price = |id| self.product(id).map_or(0, |product| product.price);
        self.basket().iter().map(|(id, quantity)| price(id) * i64::from(*quantity)).sum()
    }

    fn can_add(&self, product: &ProductId) -> bool {
        let units: u32 = self.basket().iter().map(|(_, quantity)| quantity).sum();
        let chosen = self.basket().iter().find(|(id, _)| id == product).map_or(0, |(_, quantity)| *quantity);
        units < self.policy.max_units && self.shop.available(product) > chosen
    }

    /// The first page is not as it is for somebody who comes.
    pub(super) fn changed(&self) -> bool {
        self.dialogue.language != super::first(&self.dialogue.languages) || self.dialogue.ease != super::Ease::default()
    }

    /// Products of the category that is looked at.
    fn on_shelf(&self) -> Vec<&Product> {
        let category = self.dialogue.visit.category.as_ref();
        let products = self.shop.catalogue().iter();
        products.filter(|product| category.is_none() || product.category.as_ref() == category).collect()
    }

    /// Large tiles need more room.
    fn tiles_a_page(&self) -> usize {
        if self.dialogue.ease.large { TILES_LARGE } else { TILES }
    }

    /// How many pages the shelf has, and which is shown.
    fn shelf_pages(&self) -> (usize, usize) {
        let pages = self.on_shelf().len().div_ceil(self.tiles_a_page()).max(1);
        (pages, self.dialogue.visit.page.min(pages - 1))
    }

    pub(super) fn invitation(&self) -> ShopPage {
        ShopPage::Attract { tiles: self.shop.catalogue().iter().map(|product| self.tile(product)).collect() }
    }

    fn shelf_page(&self) -> ShopPage {
        let (pages, page) = self.shelf_pages();
        let shelf = self.on_shelf();
        let on_page = shelf.chunks(self.tiles_a_page()).nth(page).unwrap_or_default();
        ShopPage::Choose {
            tiles: on_page.iter().map(|product| self.tile(product)).collect(),
            categories: self.categories(),
            page: page as u32,
            pages: pages as u32,
            basket: self.basket_lines(),
            total: self.basket_total(),
        }
    }

    fn categories(&self) -> Vec<CategoryTab> {
        if self.policy.categories.is_empty() {
            return Vec::new();
        }
        let at = self.dialogue.visit.category.as_ref();
        let all = CategoryTab { category: None, label: String::new(), chosen: at.is_none() };
        let tabs = self.policy.categories.iter().map(|(id, label)| CategoryTab {
            category: Some(id.clone()),
            label: label.get(&self.dialogue.language).to_owned(),
            chosen: at == Some(id),
        });
        std::iter::once(all).chain(tabs).collect()
    }

    fn tile(&self, product: &Product) -> Tile {
        Tile {
            product: product.id.clone(),
            name: product.name.get(&self.dialogue.language).to_owned(),
            price: product.price,
            available: self.shop.available(&product.id),
            picture: product.picture.clone(),
        }
    }

    fn basket_lines(&self) -> Vec<BasketLine> {
        let line = |(id, quantity): &(ProductId, u32)| {
            let product = self.product(id)?;
            let name = product.name.get(&self.dialogue.language).to_owned();
            Some(BasketLine { product: id.clone(), name, quantity: *quantity, price: product.price })
        };
        self.basket().iter().filter_map(line).collect()
    }
}

impl Turn<'_> {
    fn shop(&mut self, at: At) {
        self.go(super::At::Shop(at));
    }

    fn look_at(&mut self, category: Option<CategoryId>) -> Result<(), Illegal> {
        let known = |id: &CategoryId| self.state.policy.categories.iter().any(|(known, _)| known == id);
        if !category.as_ref().is_none_or(known) {
            return Err(Illegal::Refused("no such category"));
        }
        let visit = &mut self.state.dialogue.visit;
        (visit.category, visit.page) = (category, 0);
        Ok(())
    }

    fn turn_page(&mut self, turn: impl Fn(usize) -> Option<usize>) -> Result<(), Illegal> {
        let (pages, page) = self.state.shelf_pages();
        let page = turn(page).filter(|page| *page < pages).ok_or(Illegal::Refused("no such page"))?;
        self.state.dialogue.visit.page = page;
        Ok(())
    }

    fn put(&mut self, product: &ProductId) -> Result<(), Illegal> {
        if self.state.product(product).is_none() {
            return Err(Illegal::Refused("no such product"));
        }
        if !self.state.can_add(product) {
            return Err(Illegal::Refused("no more of this product"));
        }
        let basket = &mut self.state.dialogue.visit.basket;
        match basket.iter_mut().find(|(id, _)| id == product) {
            Some((_, quantity)) => *quantity += 1,
            None => basket.push((product.clone(), 1)),
        }
        self.shop(At::Basket(product.clone()));
        Ok(())
    }

    fn pay(&mut self) -> Result<(), Illegal> {
        if self.state.basket().is_empty() {
            return Err(Illegal::Refused("the basket is empty"));
        }
        let policy = &self.state.policy;
        let above = policy.confirm_above.is_some_and(|limit| self.state.basket_total() > limit);
        let often = policy.confirm_after_unpaid.is_some_and(|limit| self.state.unpaid_in_a_row >= limit);
        if above || often {
            let code = format!("{:0CONFIRM_DIGITS$}", self.at.entropy % 10u128.pow(CONFIRM_DIGITS as u32));
            self.shop(At::Confirm { code, entered: String::new(), wrong: false });
            return Ok(());
        }
        self.offer()
    }
}
