//! The real card: kernel modesetting through `/dev/dri/card*`, atomic where the driver has it, the older calls where not.
//!
//! Buffers are the kernel's "dumb" ones, mapped once and for as long as they live.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use drm::buffer::{Buffer as _, DrmFourcc};
use drm::control::atomic::AtomicModeReq;
use drm::control::dumbbuffer::{DumbBuffer, DumbMapping};
use drm::control::{
    AtomicCommitFlags, Device as _, Event, ModeFlags, ModeTypeFlags, PageFlipFlags, PlaneType, RawResourceHandle,
    ResourceHandle, connector, crtc, framebuffer, from_u32, plane, property,
};
use drm::{ClientCapability, Device as _, DriverCapability};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::card::{Card, Cards, Connector, Mode, Status};
use crate::vocabulary::Rect;

/// The cards in `/dev/dri`.
pub struct Machine {
    /// Use the older calls even where the driver has atomic ones.
    pub legacy: bool,
}

impl Cards for Machine {
    type Card = Kms;

    fn paths(&self) -> Vec<PathBuf> {
        let Ok(nodes) = fs::read_dir("/dev/dri") else { return Vec::new() };
        let number = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix("card")?.parse::<u32>().ok();
        let mut cards: Vec<_> =
            nodes.flatten().map(|node| node.path()).filter_map(|path| Some((number(&path)?, path))).collect();
        cards.sort();
        cards.into_iter().map(|(_, path)| path).collect()
    }

    fn open(&self, path: &Path) -> io::Result<Kms> {
        Kms::open(path, self.legacy)
    }
}

/// An open file of a card; the crate's calls hang on it.
pub(super) struct Node(File);

impl Node {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(File::options().read(true).write(true).open(path)?))
    }

    /// Asks for the atomic interface, and for every property; whether the driver has it.
    pub fn speaks_atomic(&self) -> bool {
        self.set_client_capability(ClientCapability::UniversalPlanes, true).is_ok()
            && self.set_client_capability(ClientCapability::Atomic, true).is_ok()
    }

    /// By name, with their values.
    pub fn properties(&self, handle: impl ResourceHandle) -> io::Result<Properties> {
        let mut named = HashMap::new();
        for (property, value) in &self.get_properties(handle)? {
            let info = self.get_property(*property)?;
            named.insert(info.name().to_string_lossy().into_owned(), (*property, *value));
        }
        Ok(named)
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl drm::Device for Node {}
impl drm::control::Device for Node {}

pub struct Kms {
    node: Node,
    path: PathBuf,
    atomic: bool,
    buffers: Vec<Buffer>,
    route: Option<Route>,
}

struct Buffer {
    dumb: DumbBuffer,
    memory: DumbMapping<'static>,
    framebuffer: framebuffer::Handle,
}

/// The way of the pixels to the connector that is lit.
struct Route {
    crtc: crtc::Handle,
    /// With atomic calls only.
    plane: Option<plane::Handle>,
    plane_properties: Properties,
}

type Properties = HashMap<String, (property::Handle, u64)>;

impl Kms {
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where the card has no connectors or no dumb buffers.
    pub fn open(path: &Path, legacy: bool) -> io::Result<Self> {
        let node = Node::open(path)?;
        let unsupported = |why: &str| io::Error::new(io::ErrorKind::Unsupported, why);
        // A card that only renders, like the Pi's v3d, has no resources to list.
        let resources = node.resource_handles().map_err(|_| unsupported("it drives no screen"))?;
        if resources.connectors().is_empty() {
            return Err(unsupported("it has no connector"));
        }
        if node.get_driver_capability(DriverCapability::DumbBuffer).unwrap_or(0) == 0 {
            return Err(unsupported("its driver has no dumb buffers"));
        }
        let atomic = !legacy && node.speaks_atomic();
        Ok(Self { node, path: path.to_owned(), atomic, buffers: Vec::new(), route: None })
    }

    /// The kernel's name of the driver.
    pub fn driver(&self) -> String {
        self.node.get_driver().map_or_else(|_| "unknown".into(), |driver| driver.name().to_string_lossy().into_owned())
    }

    pub fn is_atomic(&self) -> bool {
        self.atomic
    }

    /// As a switch to another console does.
    #[cfg(test)]
    pub(super) fn give_up(&self) {
        self.node.release_master_lock().unwrap();
    }

    fn info(&self, id: u32, probe: bool) -> io::Result<connector::Info> {
        let handle = from_u32(id).ok_or(io::ErrorKind::NotFound)?;
        self.node.get_connector(handle, probe)
    }

    /// What the kernel last knew, from sysfs: asking the card about an unplugged connector would probe it.
    fn known_status(&self, name: &str) -> Option<Status> {
        let card = self.path.file_name()?.to_str()?;
        let status = fs::read_to_string(format!("/sys/class/drm/{card}-{name}/status")).ok()?;
        Some(match status.trim_end() {
            "connected" => Status::Connected,
            "disconnected" => Status::Disconnected,
            _ => Status::Unknown,
        })
    }

    /// The controller that drives the connector now, else the first that can.
    fn crtc_for(&self, info: &connector::Info) -> io::Result<crtc::Handle> {
        let resources = self.node.resource_handles()?;
        let encoder = info.current_encoder().and_then(|encoder| self.node.get_encoder(encoder).ok());
        if let Some(crtc) = encoder.and_then(|encoder| encoder.crtc()) {
            return Ok(crtc);
        }
        let mut possible = Vec::new();
        for encoder in info.encoders() {
            possible.extend(resources.filter_crtcs(self.node.get_encoder(*encoder)?.possible_crtcs()));
        }
        // One that shows nothing, so that another connector keeps its own.
        let idle = |crtc: &&crtc::Handle| self.node.get_crtc(**crtc).is_ok_and(|info| info.mode().is_none());
        let free = possible.iter().find(idle).or(possible.first());
        free.copied().ok_or_else(|| io::Error::other("no controller can drive this connector"))
    }

    /// The plane that fills the controller's screen, and the others that are on it.
    fn planes_for(&self, crtc: crtc::Handle) -> io::Result<(plane::Handle, Vec<plane::Handle>)> {
        let resources = self.node.resource_handles()?;
        let (mut primary, mut others) = (None, Vec::new());
        for handle in self.node.plane_handles()? {
            let info = self.node.get_plane(handle)?;
            let fits = resources.filter_crtcs(info.possible_crtcs()).contains(&crtc)
                && info.formats().contains(&(DrmFourcc::Xrgb8888 as u32));
            let kind = self.node.properties(handle)?.get("type").map(|(_, value)| *value);
            if fits && kind == Some(PlaneType::Primary as u64) && (primary.is_none() || info.crtc() == Some(crtc)) {
                if let Some(before) = primary.replace(handle)
                    && self.node.get_plane(before)?.crtc() == Some(crtc)
                {
                    others.push(before);
                }
            } else if info.crtc() == Some(crtc) {
                others.push(handle);
            }
        }
        let none = || io::Error::other("no plane of this controller takes XRGB8888");
        Ok((primary.ok_or_else(none)?, others))
    }

    fn light_atomic(
        &mut self,
        info: &connector::Info,
        mode: drm::control::Mode,
        crtc: crtc::Handle,
        buffer: usize,
    ) -> io::Result<Route> {
        let (plane, others) = self.planes_for(crtc)?;
        let plane_properties = self.node.properties(plane)?;
        let mut request = AtomicModeReq::new();
        // What else is on this controller, like a cursor that somebody left or a second connector, goes.
        for other in others {
            let properties = self.node.properties(other)?;
            set(&mut request, other, &properties, "FB_ID", 0)?;
            set(&mut request, other, &properties, "CRTC_ID", 0)?;
        }
        for other in self.node.resource_handles()?.connectors() {
            let properties = self.node.properties(*other)?;
            let on = if *other == info.handle() { u64::from(u32::from(crtc)) } else { 0 };
            let now = properties.get("CRTC_ID").map(|(_, value)| *value);
            if *other == info.handle() || now == Some(u64::from(u32::from(crtc))) {
                set(&mut request, *other, &properties, "CRTC_ID", on)?;
            }
        }
        let blob = u64::from(self.node.create_property_blob(&mode)?);
        let (width, height) = mode.size();
        let crtc_properties = self.node.properties(crtc)?;
        let id = u64::from(u32::from(crtc));
        let size = (u64::from(width), u64::from(height));
        let framebuffer = self.framebuffer(buffer)?;
        let wanted = [
            ("FB_ID", u64::from(u32::from(framebuffer))),
            ("CRTC_ID", id),
            ("SRC_X", 0),
            ("SRC_Y", 0),
            ("SRC_W", size.0 << 16),
            ("SRC_H", size.1 << 16),
            ("CRTC_X", 0),
            ("CRTC_Y", 0),
            ("CRTC_W", size.0),
            ("CRTC_H", size.1),
        ];
        let mut fill = || -> io::Result<()> {
            set(&mut request, crtc, &crtc_properties, "MODE_ID", blob)?;
            set(&mut request, crtc, &crtc_properties, "ACTIVE", 1)?;
            for (name, value) in wanted {
                set(&mut request, plane, &plane_properties, name, value)?;
            }
            Ok(())
        };
        let lit = fill().and_then(|()| self.node.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request));
        // The state keeps the blob as long as it needs it.
        drop(self.node.destroy_property_blob(blob));
        lit?;
        Ok(Route { crtc, plane: Some(plane), plane_properties })
    }

    fn framebuffer(&self, buffer: usize) -> io::Result<framebuffer::Handle> {
        self.buffers.get(buffer).map(|buffer| buffer.framebuffer).ok_or_else(|| io::Error::other("no such buffer"))
    }

    fn make_buffer(&self, width: u32, height: u32) -> io::Result<Buffer> {
        let dumb = self.node.create_dumb_buffer((width, height), DrmFourcc::Xrgb8888, 32)?;
        let framebuffer = match self.node.add_framebuffer(&dumb, 24, 32) {
            Ok(framebuffer) => framebuffer,
            Err(error) => {
                drop(self.node.destroy_dumb_buffer(dumb));
                return Err(error);
            }
        };
        // The crate lends a mapping for as long as the handle is borrowed. Lent for ever it stays mapped from frame to frame;
        // the price is this handle of some forty bytes, once for each size a panel ever had.
        match self.node.map_dumb_buffer(Box::leak(Box::new(dumb))) {
            Ok(memory) => Ok(Buffer { dumb, memory, framebuffer }),
            Err(error) => {
                drop(self.node.destroy_framebuffer(framebuffer));
                drop(self.node.destroy_dumb_buffer(dumb));
                Err(error)
            }
        }
    }

    fn free_buffers(&mut self) {
        for Buffer { dumb, memory, framebuffer } in self.buffers.drain(..) {
            drop(memory);
            // A card that was pulled out has forgotten them already.
            drop(self.node.destroy_framebuffer(framebuffer));
            drop(self.node.destroy_dumb_buffer(dumb));
        }
    }

    /// The events of flips that are done, without waiting; false if there is none.
    fn take_flip(&self) -> io::Result<bool> {
        let mut done = false;
        let ours = self.route.as_ref().map(|route| route.crtc);
        for event in self.node.receive_events()? {
            done |= matches!(event, Event::PageFlip(flip) if Some(flip.crtc) == ours);
        }
        Ok(done)
    }

    /// Whether there is something to read, after waiting at most that long.
    fn readable(&self, wait: Duration) -> io::Result<bool> {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
            let mut fds = [PollFd::new(&self.node, PollFlags::IN)];
            match poll(&mut fds, Some(&left)) {
                Ok(0) => return Ok(false),
                Ok(_) if fds[0].revents().contains(PollFlags::IN) => return Ok(true),
                Ok(_) => return Err(Errno::NODEV.into()),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Card for Kms {
    fn connectors(&self, probe: bool) -> io::Result<Vec<Connector>> {
        let mut connectors = Vec::new();
        for handle in self.node.resource_handles()?.connectors() {
            // One that has just gone with its dock is none.
            let Ok(info) = self.node.get_connector(*handle, probe) else { continue };
            connectors.push(Connector {
                id: (*handle).into(),
                name: info.to_string(),
                status: status(info.state()),
                modes: info.modes().iter().map(mode).collect(),
            });
        }
        Ok(connectors)
    }

    fn status(&self, connector: &Connector) -> io::Result<Status> {
        match self.known_status(&connector.name) {
            Some(status) => Ok(status),
            None => Ok(status(self.info(connector.id, false)?.state())),
        }
    }

    fn is_master(&self) -> io::Result<bool> {
        // The cheapest call that only the master may make; nothing is leased here.
        match self.node.list_lessees() {
            Err(error) if error.raw_os_error() == Some(Errno::ACCESS.raw_os_error()) => Ok(false),
            Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => Err(error),
            // A kernel without leases: the next flip will tell.
            _ => Ok(true),
        }
    }

    fn become_master(&self) -> io::Result<()> {
        self.node.acquire_master_lock()
    }

    fn make_buffers(&mut self, width: u32, height: u32) -> io::Result<()> {
        let fits = self.buffers.iter().filter(|buffer| buffer.dumb.size() == (width, height)).count();
        if fits == 2 {
            return Ok(());
        }
        self.free_buffers();
        self.route = None;
        for _ in 0..2 {
            let buffer = self.make_buffer(width, height)?;
            self.buffers.push(buffer);
        }
        Ok(())
    }

    fn pixels(&mut self, buffer: usize) -> (&mut [u8], usize) {
        match self.buffers.get_mut(buffer) {
            Some(buffer) => (&mut buffer.memory, buffer.dumb.pitch() as usize),
            None => (&mut [], 0),
        }
    }

    fn light(&mut self, connector: &Connector, wanted: &Mode, buffer: usize) -> io::Result<()> {
        let info = self.info(connector.id, false)?;
        let raw = info.modes().iter().find(|raw| mode(raw) == *wanted).copied();
        let raw = raw.ok_or_else(|| io::Error::other(format!("{} has lost its mode {wanted}", connector.name)))?;
        let crtc = self.crtc_for(&info)?;
        if self.atomic {
            self.route = Some(self.light_atomic(&info, raw, crtc, buffer)?);
        } else {
            let framebuffer = self.framebuffer(buffer)?;
            self.node.set_crtc(crtc, Some(framebuffer), (0, 0), &[info.handle()], Some(raw))?;
            let plane_properties = Properties::new();
            self.route = Some(Route { crtc, plane: None, plane_properties });
        }
        // The event of a flip that came too late must not be taken for the next one's.
        while self.readable(Duration::ZERO)? {
            self.take_flip()?;
        }
        Ok(())
    }

    fn flip(&mut self, buffer: usize, damage: &[Rect]) -> io::Result<()> {
        let framebuffer = self.framebuffer(buffer)?;
        let Some(route) = &self.route else { return Err(io::Error::other("nothing is lit")) };
        let Some(plane) = route.plane else {
            return self.node.page_flip(route.crtc, framebuffer, PageFlipFlags::EVENT, None);
        };
        let mut request = AtomicModeReq::new();
        set(&mut request, plane, &route.plane_properties, "FB_ID", u32::from(framebuffer).into())?;
        let clips: Vec<[i32; 4]> = damage.iter().map(|r| [r.x, r.y, r.x + r.w, r.y + r.h]).collect();
        // Spares drivers that send the pixels themselves, over USB or SPI, the rest of the frame.
        let blob = match route.plane_properties.get("FB_DAMAGE_CLIPS") {
            Some((property, _)) if !clips.is_empty() => {
                let blob = u64::from(self.node.create_property_blob(&clips[..])?);
                request.add_raw_property(plane.into(), *property, blob);
                Some(blob)
            }
            _ => None,
        };
        let flags = AtomicCommitFlags::NONBLOCK | AtomicCommitFlags::PAGE_FLIP_EVENT;
        let asked = self.node.atomic_commit(flags, request);
        if let Some(blob) = blob {
            drop(self.node.destroy_property_blob(blob));
        }
        asked
    }

    fn flipped(&mut self, timeout: Duration) -> io::Result<bool> {
        let until = Instant::now() + timeout;
        while self.readable(until.saturating_duration_since(Instant::now()))? {
            if self.take_flip()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn darken(&mut self) -> io::Result<()> {
        let Some(route) = self.route.take() else { return Ok(()) };
        if route.plane.is_none() {
            return self.node.set_crtc(route.crtc, None, (0, 0), &[], None);
        }
        let mut request = AtomicModeReq::new();
        set(&mut request, route.crtc, &self.node.properties(route.crtc)?, "ACTIVE", 0)?;
        self.node.atomic_commit(AtomicCommitFlags::ALLOW_MODESET, request)
    }
}

impl Drop for Kms {
    fn drop(&mut self) {
        self.free_buffers();
    }
}

fn set(
    request: &mut AtomicModeReq,
    object: impl Into<RawResourceHandle>,
    properties: &Properties,
    name: &str,
    value: u64,
) -> io::Result<()> {
    let (property, _) = properties.get(name).ok_or_else(|| io::Error::other(format!("the driver has no {name}")))?;
    request.add_raw_property(object.into(), *property, value);
    Ok(())
}

fn status(state: connector::State) -> Status {
    match state {
        connector::State::Connected => Status::Connected,
        connector::State::Disconnected => Status::Disconnected,
        connector::State::Unknown => Status::Unknown,
    }
}

fn mode(raw: &drm::control::Mode) -> Mode {
    let (width, height) = raw.size();
    let (total_x, total_y) = (u64::from(raw.hsync().2), u64::from(raw.vsync().2));
    let interlaced = raw.flags().contains(ModeFlags::INTERLACE);
    let pixels = total_x * total_y * if raw.flags().contains(ModeFlags::DBLSCAN) { 2 } else { 1 };
    // The clock is in kHz; an interlaced picture has two fields a frame.
    let millihertz = u64::from(raw.clock()) * 1_000_000 * if interlaced { 2 } else { 1 };
    Mode {
        width: width.into(),
        height: height.into(),
        refresh: millihertz.checked_div(pixels).and_then(|rate| u32::try_from(rate).ok()).unwrap_or(0),
        interlaced,
        preferred: raw.mode_type().contains(ModeTypeFlags::PREFERRED),
    }
}
