use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use super::*;
use crate::config::Faces;
use crate::sale::dialogue::Ease;
use crate::screen::Frame;
use crate::service::Supervisor;
use crate::vocabulary::{Currency, Language, Rect};

const SOON: Duration = Duration::from_secs(60);

/// A panel that is as the test says.
struct Scripted {
    is: Arc<Mutex<Is>>,
    /// Size, damaged rectangles and page of what was presented.
    shown: std::sync::mpsc::Sender<((i32, i32), usize, String)>,
    blank: bool,
}

#[derive(Clone)]
enum Is {
    Lit(u32, u32),
    Dark(&'static str),
}

impl Panel for Scripted {
    fn tended_every(&self) -> Option<Duration> {
        Some(Duration::from_millis(5))
    }

    fn tend(&mut self) -> Result<Ready, PanelError> {
        match self.is.lock().unwrap().clone() {
            Is::Lit(width, height) => Ok(Ready { size: (width, height), blank: self.blank }),
            Is::Dark(why) => {
                self.blank = true;
                Err(PanelError::Dark(why.into()))
            }
        }
    }

    fn present(&mut self, frame: &Frame, damage: &[Rect], scene: &Scene) -> Result<(), PanelError> {
        if let Is::Dark(why) = *self.is.lock().unwrap() {
            self.blank = true;
            return Err(PanelError::Dark(why.into()));
        }
        self.blank = false;
        self.shown.send(((frame.width, frame.height), damage.len(), scene.page.clone())).unwrap();
        Ok(())
    }

    fn darken(&mut self) -> Result<(), PanelError> {
        self.blank = true;
        self.shown.send(((0, 0), 0, "darkened".into())).unwrap();
        Ok(())
    }
}

fn showing(page: Page) -> GlassContent {
    let view = View {
        language: Language::new("en"),
        languages: vec![Language::new("en"), Language::new("zh-Hant")],
        place: "Here".into(),
        phone: "1".into(),
        currency: Currency::from_code("CNY").unwrap(),
        ease: Ease::default(),
        idle_left: None,
        service: false,
        page,
    };
    GlassContent { view, mark: None, order: Value::Null }
}

fn attract() -> GlassContent {
    showing(Page::Shop(ShopPage::Attract { tiles: Vec::new() }))
}

fn face(night: Option<Night>) -> Result<Face, crate::screen::text::TextError> {
    let type_ = Typesetter::load(&Faces::shipped(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts")))?;
    Ok(Face { type_, theme: Theme::default(), zone: "UTC".into(), night })
}

struct Rig {
    handle: GlassHandle,
    is: Arc<Mutex<Is>>,
    shown: Receiver<((i32, i32), usize, String)>,
    seen: Receiver<Option<String>>,
}

fn rig(is: Is) -> Rig {
    rig_by(is, None)
}

fn rig_by(is: Is, night: Option<Night>) -> Rig {
    let is = Arc::new(Mutex::new(is));
    let (to_shown, shown) = channel();
    let (to_seen, seen) = channel();
    let handle = GlassHandle::default();
    let panel = Scripted { is: Arc::clone(&is), shown: to_shown, blank: true };
    let supervisor = Supervisor::new(|ended| panic!("{ended:?}"));
    let seen_dark = move |dark| drop(to_seen.send(dark));
    start(handle.clone(), Box::new(panel), move || face(night), seen_dark, &supervisor).unwrap();
    Rig { handle, is, shown, seen }
}

impl Rig {
    fn next(&self) -> ((i32, i32), usize, String) {
        self.shown.recv_timeout(SOON).expect("nothing was presented")
    }

    fn seen(&self) -> Option<String> {
        self.seen.recv_timeout(SOON).expect("nobody was told")
    }

    fn hits(&self) -> bool {
        (0..2_000).step_by(10).any(|x| (0..2_000).step_by(10).any(|y| self.handle.hit(Point { x, y }).is_some()))
    }
}

#[test]
fn a_panel_that_comes_back_with_another_size_shows_the_newest_view_in_it() {
    let rig = rig(Is::Lit(1_280, 800));
    rig.handle.show(attract());
    assert_eq!(rig.next().0, (1_280, 800));
    assert_eq!(rig.seen(), None);
    assert!(rig.hits());

    *rig.is.lock().unwrap() = Is::Dark("unplugged");
    assert_eq!(rig.seen(), Some("unplugged".into()));
    assert!(!rig.hits(), "a finger on a dark glass");
    rig.handle.show(showing(Page::OutOfService { reasons: Vec::new(), last_claim: None }));
    assert_eq!(rig.seen.recv_timeout(Duration::from_millis(60)), Err(RecvTimeoutError::Timeout), "told once");

    *rig.is.lock().unwrap() = Is::Lit(640, 480);
    let (size, damage, page) = rig.next();
    assert_eq!((size, page.as_str()), ((640, 480), "out-of-service"));
    assert!(damage > 0);
    assert_eq!(rig.seen(), None);
    rig.handle.close();
}

#[test]
fn the_same_panel_back_again_is_presented_to_though_nothing_changed() {
    let rig = rig(Is::Dark("not yet"));
    assert_eq!(rig.seen(), Some("not yet".into()));
    rig.handle.show(attract());
    *rig.is.lock().unwrap() = Is::Lit(800, 480);
    assert_eq!(rig.next().0, (800, 480));
    *rig.is.lock().unwrap() = Is::Dark("a loose plug");
    assert_eq!(rig.seen(), None);
    assert_eq!(rig.seen(), Some("a loose plug".into()));
    *rig.is.lock().unwrap() = Is::Lit(800, 480);
    let (size, damage, page) = rig.next();
    assert_eq!((size, damage, page.as_str()), ((800, 480), 0, "attract"));
    assert_eq!(rig.shown.recv_timeout(Duration::from_millis(60)), Err(RecvTimeoutError::Timeout), "once");
    rig.handle.close();
}

#[test]
fn by_night_the_panel_is_off_until_a_finger_comes() {
    let always = Hours { from: 0, until: 1_440 };
    let rig =
        rig_by(Is::Lit(800, 480), Some(Night { hours: always, brightness: 0, after: Duration::from_millis(300) }));
    rig.handle.show(attract());
    assert_eq!(rig.next().2, "attract");
    assert_eq!(rig.next().2, "darkened");
    assert_eq!(rig.handle.hit(Point { x: 400, y: 240 }), None, "nobody touches what can't be seen");
    let (size, _, page) = rig.next();
    assert_eq!((size, page.as_str()), ((800, 480), "attract"));
    assert_eq!(rig.next().2, "darkened", "and off again");
    // What is not the first page is seen at once, and stays.
    rig.handle.show(showing(Page::OutOfService { reasons: Vec::new(), last_claim: None }));
    assert_eq!(rig.next().2, "out-of-service");
    assert_eq!(rig.shown.recv_timeout(Duration::from_millis(600)), Err(RecvTimeoutError::Timeout));
    assert_eq!(rig.seen(), None);
    assert_eq!(rig.seen.try_recv().ok(), None, "a panel that sleeps is not a dark one");
    rig.handle.close();
}

#[test]
fn a_night_of_other_hours_is_day() {
    let never = Hours { from: 0, until: 0 };
    let rig = rig_by(Is::Lit(800, 480), Some(Night { hours: never, brightness: 0, after: Duration::ZERO }));
    rig.handle.show(attract());
    assert_eq!(rig.next().2, "attract");
    assert_eq!(rig.shown.recv_timeout(Duration::from_millis(60)), Err(RecvTimeoutError::Timeout));
    rig.handle.close();
}

#[test]
fn a_picture_is_of_what_somebody_sees_or_says_why_nobody_sees_anything() {
    let rig = rig(Is::Dark("unplugged"));
    let picture = || {
        let (tell, told) = channel();
        rig.handle.picture(Box::new(move |picture| tell.send(picture).unwrap()));
        told.recv_timeout(SOON).expect("it is answered")
    };
    rig.handle.show(attract());
    rig.seen();
    assert_eq!(picture().unwrap_err(), "the glass is dark: unplugged");
    *rig.is.lock().unwrap() = Is::Lit(640, 480);
    rig.next();
    let lit = picture().unwrap();
    assert_eq!((lit.frame.width, lit.frame.height, lit.code), (640, 480, None));
    assert!(lit.frame.pixels.iter().any(|pixel| *pixel != 0), "it is not black");
    rig.handle.show(showing(Page::OutOfService { reasons: Vec::new(), last_claim: None }));
    rig.next();
    assert_ne!(picture().unwrap().frame, lit.frame, "the newest view is drawn first");

    let always = Hours { from: 0, until: 1_440 };
    let night = Night { hours: always, brightness: 0, after: Duration::ZERO };
    let rig = rig_by(Is::Lit(640, 480), Some(night));
    rig.handle.show(attract());
    assert_eq!(rig.next().2, "darkened");
    let (tell, told) = channel();
    rig.handle.picture(Box::new(move |picture| tell.send(picture).unwrap()));
    assert!(told.recv_timeout(SOON).unwrap().unwrap_err().contains("switched off for the night"));
}
