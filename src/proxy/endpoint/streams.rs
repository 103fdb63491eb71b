//! The HTTP/2 connections to one member, and the choice of one with room for a request:
//! [`MemberStreams`].
//!
//! What does not live here: opening connections (`connect`), and when one is opened
//! (`pool`).

use super::member_connection::Http2Connection;
use super::peer::Peer;

/// Connections that accept requests.
#[derive(Debug)]
pub(super) struct MemberStreams {
    /// Each with the number of the check at which it was last in use.
    open: Vec<(Http2Connection, u32)>,
    /// The maximum number of connections.
    most: usize,
}

/// The options for a request.
#[derive(Debug)]
pub(super) enum StreamChoice {
    /// A connection with room for it.
    Line(Http2Connection),
    /// A new one may be opened.
    None,
    /// There is a connection whose stream limit is not known yet.
    New(Peer),
    /// All connections are full; together they allow this many streams.
    Full(u32),
}

impl MemberStreams {
    pub(super) fn new(most: usize) -> Self {
        let open = Vec::new();
        Self { open, most }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Finds room for a request on a connection that is younger than `after`, or on any if
    /// no more may be opened. Of the suitable connections, it takes the one with the most
    /// streams, so that surplus ones become idle. Connections that accept no more requests
    /// are moved to `gone`, for the caller to drop.
    pub(super) fn find(
        &mut self,
        looks: u32,
        after: Option<u32>,
        gone: &mut Vec<Http2Connection>,
    ) -> StreamChoice {
        self.weed(|line, _| line.takes_requests(), gone);
        let fits = |line: &Http2Connection| after.is_none_or(|after| line.is_younger_than(after));
        let roomy = self.open.iter_mut().filter(|(line, _)| {
            let streams = line.streams();
            fits(line) && line.allowed().is_some_and(|allowed| streams < allowed)
        });
        if let Some((line, used)) = roomy.max_by_key(|(line, _)| line.streams()) {
            *used = looks;
            return StreamChoice::Line(line.with_stream());
        }
        let new = |line: &&Http2Connection| fits(line) && line.allowed().is_none();
        if let Some(line) = self.lines().find(new) {
            return StreamChoice::New(line.peer());
        }
        if self.open.len() < self.most {
            return StreamChoice::None;
        }
        if after.is_some() {
            return self.find(looks, None, gone);
        }
        StreamChoice::Full(self.allowed())
    }

    /// Returns the number of free streams, if no more connections may be opened.
    pub(super) fn room(&mut self, gone: &mut Vec<Http2Connection>) -> Option<u32> {
        self.weed(|line, _| line.takes_requests(), gone);
        (self.open.len() >= self.most).then(|| self.allowed())
    }

    fn allowed(&self) -> u32 {
        let allowed = self.lines().filter_map(Http2Connection::allowed);
        allowed.fold(0, u32::saturating_add)
    }

    /// Adds the pool's own handle to a connection, unless the maximum is reached.
    pub(super) fn add(&mut self, line: Http2Connection, looks: u32) {
        if self.open.len() < self.most {
            self.open.push((line, looks));
        }
    }

    /// Removes the connections that are idle and for which `is_young` is false.
    pub(super) fn look(
        &mut self,
        looks: u32,
        is_young: impl Fn(u32) -> bool,
        gone: &mut Vec<Http2Connection>,
    ) {
        for (line, used) in &mut self.open {
            if line.streams() > 0 {
                *used = looks;
            }
        }
        self.weed(|line, used| is_young(used) && line.takes_requests(), gone);
    }

    fn lines(&self) -> impl Iterator<Item = &Http2Connection> {
        self.open.iter().map(|(line, _)| line)
    }

    fn weed(
        &mut self,
        keep: impl Fn(&Http2Connection, u32) -> bool,
        gone: &mut Vec<Http2Connection>,
    ) {
        if self.open.iter().all(|(line, used)| keep(line, *used)) {
            return;
        }
        for (line, used) in std::mem::take(&mut self.open) {
            if keep(&line, used) {
                self.open.push((line, used));
            } else {
                gone.push(line);
            }
        }
    }
}
