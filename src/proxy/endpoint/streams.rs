//! The HTTP/2 connections to one member, and the choice of one with room for a request:
//! [`MemberStreams`].
//!
//! Not here: opening connections (`connect`), and when one is opened
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
    Connection(Http2Connection),
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
        checks: u32,
        after: Option<u32>,
        gone: &mut Vec<Http2Connection>,
    ) -> StreamChoice {
        self.remove_unless(|connection, _| connection.takes_requests(), gone);
        let fits = |connection: &Http2Connection| {
            after.is_none_or(|after| connection.is_younger_than(after))
        };
        let roomy = self.open.iter_mut().filter(|(connection, _)| {
            let streams = connection.streams();
            fits(connection)
                && connection
                    .allowed()
                    .is_some_and(|allowed| streams < allowed)
        });
        if let Some((connection, used)) = roomy.max_by_key(|(connection, _)| connection.streams()) {
            *used = checks;
            return StreamChoice::Connection(connection.with_stream());
        }
        let new =
            |connection: &&Http2Connection| fits(connection) && connection.allowed().is_none();
        if let Some(connection) = self.connections().find(new) {
            return StreamChoice::New(connection.peer());
        }
        if self.open.len() < self.most {
            return StreamChoice::None;
        }
        if after.is_some() {
            return self.find(checks, None, gone);
        }
        StreamChoice::Full(self.allowed())
    }

    /// Returns the number of free streams, if no more connections may be opened.
    pub(super) fn room(&mut self, gone: &mut Vec<Http2Connection>) -> Option<u32> {
        self.remove_unless(|connection, _| connection.takes_requests(), gone);
        (self.open.len() >= self.most).then(|| self.allowed())
    }

    fn allowed(&self) -> u32 {
        let allowed = self.connections().filter_map(Http2Connection::allowed);
        allowed.fold(0, u32::saturating_add)
    }

    /// Adds the pool's own handle to a connection, unless the maximum is reached.
    pub(super) fn add(&mut self, connection: Http2Connection, checks: u32) {
        if self.open.len() < self.most {
            self.open.push((connection, checks));
        }
    }

    /// Removes the connections that are idle and for which `is_young` is false.
    pub(super) fn remove_idle(
        &mut self,
        checks: u32,
        is_young: impl Fn(u32) -> bool,
        gone: &mut Vec<Http2Connection>,
    ) {
        for (connection, used) in &mut self.open {
            if connection.streams() > 0 {
                *used = checks;
            }
        }
        self.remove_unless(
            |connection, used| is_young(used) && connection.takes_requests(),
            gone,
        );
    }

    fn connections(&self) -> impl Iterator<Item = &Http2Connection> {
        self.open.iter().map(|(connection, _)| connection)
    }

    fn remove_unless(
        &mut self,
        keep: impl Fn(&Http2Connection, u32) -> bool,
        gone: &mut Vec<Http2Connection>,
    ) {
        if self
            .open
            .iter()
            .all(|(connection, used)| keep(connection, *used))
        {
            return;
        }
        for (connection, used) in std::mem::take(&mut self.open) {
            if keep(&connection, used) {
                self.open.push((connection, used));
            } else {
                gone.push(connection);
            }
        }
    }
}
