//! How many cars are inside, and whether the sign says full.
//!
//! Policy: the count is for the sign and for who gives out tickets. It never keeps a car in, nor one out that is authorised.

#[derive(Debug, Clone)]
pub struct Count {
    places: Option<u32>,
    free_again: u32,
    pub inside: u32,
    full: bool,
}

impl Count {
    pub fn new(places: Option<u32>, free_again: u32) -> Self {
        Self { places, free_again, inside: 0, full: false }
    }

    /// The newest count holds.
    pub fn set(&mut self, inside: u32) {
        self.inside = inside;
        let Some(places) = self.places else { return };
        let free = places.saturating_sub(inside);
        self.full = free == 0 || (self.full && free < self.free_again);
    }

    /// As it was, also where there are more or fewer places now.
    pub fn resume(&mut self, inside: u32, full: bool) {
        self.full = full && self.places.is_some();
        self.set(inside);
    }

    pub fn full(&self) -> bool {
        self.full
    }
}
