//! A file that belongs to the answer to a command: in parts, each in a message that any broker takes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CommandStatus, Stage};
use crate::operation::Digest;

/// So many bytes of a file are in one part. Signed it is 22 KB in all: on a road that takes 15 KB a second, a question about a payment
/// waits for it a second and a half.
const PART: usize = 12 << 10;
/// Larger files, in bytes, are not sent.
pub const LARGEST: usize = 2 << 20;
const MOST_PARTS: usize = LARGEST.div_ceil(PART);
/// A part that is lost so often with its connection is too much for it, and so is the file.
const TRIES: u32 = 3;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// In base64, at most 12 KiB of the file, so that nothing else waits long behind it.
    pub data: String,
}

/// A file that was sent in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileOfParts {
    pub parts: u32,
    /// Of the whole, in hexadecimal.
    #[schemars(with = "String")]
    pub sha256: Digest,
}

/// A file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    file: Vec<u8>,
    /// So many parts have gone.
    gone: u32,
    /// The last that was lost, and how often.
    lost: (u32, u32),
    end: CommandStatus,
}

impl Sending {
    /// `end`: what is said of the command when the whole file has gone. `None`: it is too large.
    pub fn new(end: CommandStatus, file: Vec<u8>) -> Option<Self> {
        let parts = u32::try_from(file.len().div_ceil(PART)).ok()?;
        let end = CommandStatus { file: Some(FileOfParts { parts, sha256: Digest::of(&file) }), ..end };
        (file.len() <= LARGEST).then_some(Self { file, gone: 0, lost: (0, 0), end })
    }

    /// The number of the command that it answers.
    pub fn id(&self) -> &str {
        &self.end.id
    }

    /// Takes the next part; `None` when all have gone.
    pub fn part(&mut self) -> Option<CommandStatus> {
        let data = self.file.chunks(PART).nth(self.gone as usize)?;
        self.gone += 1;
        let part = Some(Part { number: self.gone, data: BASE64_STANDARD.encode(data) });
        Some(CommandStatus { part, ..CommandStatus::new(&self.end.verb, &self.end.id, Stage::Executing) })
    }

    /// The part of this number has not gone after all.
    pub fn put_back(&mut self, number: u32) {
        self.gone = number.saturating_sub(1);
    }

    /// It went and has not arrived. `false`: that was once too often.
    pub fn lost(&mut self, number: u32) -> bool {
        self.put_back(number);
        let times = if self.lost.0 == number { self.lost.1 + 1 } else { 1 };
        self.lost = (number, times);
        times < TRIES
    }

    /// What is said at the end.
    pub fn end(self) -> CommandStatus {
        self.end
    }
}

/// The parts of a file as they come, in whatever order and however often.
#[derive(Debug, Clone, Default)]
pub struct Collected(BTreeMap<u32, Vec<u8>>);

impl Collected {
    /// Whether it was not there before.
    pub fn take(&mut self, part: &Part) -> bool {
        (1..=MOST_PARTS as u32).contains(&part.number)
            && BASE64_STANDARD
                .decode(&part.data)
                .is_ok_and(|data| data.len() <= PART && self.0.insert(part.number, data).is_none())
    }

    /// The file, once all of it has come and it is what was said.
    pub fn whole(&self, file: &FileOfParts) -> Option<Vec<u8>> {
        let all: Vec<u8> = (1..=file.parts).map_while(|number| self.0.get(&number)).flatten().copied().collect();
        (Digest::of(&all) == file.sha256).then_some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sending(file: Vec<u8>) -> Option<Sending> {
        Sending::new(CommandStatus::new("bundle", "a", Stage::Successful), file)
    }

    #[test]
    fn what_was_cut_is_put_together_again_in_whatever_order_it_comes() {
        for length in [0, 1, PART, PART + 1, LARGEST] {
            let file: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut on_its_way = sending(file.clone()).unwrap();
            let mut parts: Vec<Part> = std::iter::from_fn(|| on_its_way.part()?.part).collect();
            let end = on_its_way.end().file.unwrap();
            assert_eq!(end.parts as usize, parts.len());
            parts.reverse();
            let mut collected = Collected::default();
            for part in &parts {
                assert!(length == 0 || collected.whole(&end).is_none());
                assert!(collected.take(part) && !collected.take(part));
            }
            assert_eq!(collected.whole(&end), Some(file));
        }
        assert_eq!(sending(vec![0; LARGEST + 1]), None);
        let mut collected = Collected::default();
        for number in [0, MOST_PARTS as u32 + 1, u32::MAX] {
            assert!(!collected.take(&Part { number, data: String::new() }));
        }
        assert!(!collected.take(&Part { number: 1, data: BASE64_STANDARD.encode(vec![0; PART + 1]) }));
    }

    /// As the fleet's contract has it: a broker may refuse what is longer than 128 KiB.
    #[test]
    fn a_signed_part_is_no_longer_than_any_broker_takes() {
        use crate::signed::jws::{LONGEST, Purpose, Signer};
        let key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
        let signer = Signer::from_pem(key.as_bytes(), "f".repeat(64)).unwrap();
        let part = sending(vec![0xff; LARGEST]).unwrap().part().unwrap();
        let part = CommandStatus { id: "9".repeat(64), ..part };
        assert!(signer.sign(Purpose::CommandStatus, &part).unwrap().len() < LONGEST);
    }

    #[test]
    fn a_part_that_is_lost_goes_again_and_not_for_ever() {
        fn next(file: &mut Sending) -> Option<u32> {
            Some(file.part()?.part.unwrap().number)
        }
        let mut file = sending(vec![7; 3 * PART]).unwrap();
        assert_eq!([next(&mut file), next(&mut file)], [Some(1), Some(2)]);
        for _ in 0..2 {
            assert!(file.lost(2));
            assert_eq!(next(&mut file), Some(2));
            file.put_back(2);
            assert_eq!(next(&mut file), Some(2));
        }
        let mut lost = file.clone();
        assert!(!lost.lost(2), "thrice is too often");
        // Once it has arrived the next has as many tries.
        assert_eq!(next(&mut file), Some(3));
        for _ in 0..2 {
            assert!(file.lost(3));
            assert_eq!(next(&mut file), Some(3));
        }
        assert_eq!(next(&mut file), None);
    }
}
