//! What a client's connection is doing, and for how long: [`ConnectionState`].
//!
//! Not here: reading and writing (`client_stream`), and what happens to a client
//! that is too slow (`connection`).

use std::time::Duration;

use tokio::time::Instant;

use super::unread::UnreadBody;
use crate::net::{Evictable, LAST_CALL};
use crate::sync::{AtomicU32, AtomicU64, Relaxed};

/// The time limits of a client.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientTimeouts {
    pub(super) head: Duration,
    pub(super) idle: Duration,
    pub(super) reading: Duration,
    /// After it has shut down its sending side while it is owed a response.
    pub(super) half_closed: Duration,
}

impl ClientTimeouts {
    /// Returns the interval at which limits must be checked so that none is missed.
    pub(super) fn least(&self) -> Duration {
        let all = [self.idle, self.reading, self.half_closed];
        all.into_iter().fold(self.head, Duration::min)
    }
}

/// The state of a connection, shared by its I/O, its requests and its time limits.
// All atomics here are Relaxed: they carry only times, and one task at a time writes most
// of them. A limit that is slightly off does no harm.
#[derive(Debug)]
pub(super) struct ConnectionState {
    opened: Instant,
    patience: ClientTimeouts,
    doing: AtomicU32,
    /// Milliseconds from `opened` to the beginning of that state.
    since: AtomicU64,
    /// The same for a blocked write; 0 if no write is blocked.
    blocked: AtomicU64,
    in_flight: AtomicU32,
    requests: AtomicU32,
    max_requests: u32,
    /// The milliseconds that a client has for one more request, once the next response is
    /// the last; 0 before that.
    grace: AtomicU64,
    /// When the client shut down its sending side, or last read something after that; 0
    /// before that.
    half_closed: AtomicU64,
    /// 1 while another client waits for the slot of this connection, which is idle; see
    /// [`IdleConnections`](crate::net::IdleConnections).
    evicted: AtomicU32,
    /// 1 if the client has announced that it sends no further request.
    last: AtomicU32,
    /// 1 if a response broke off whose end only the end of the connection can mark.
    cut_short: AtomicU32,
    pub(super) unread: UnreadBody,
}

/// Waits for the first byte of the first head, or is reading a head.
const HEAD: u32 = 0;
/// Waits for another head.
const IDLE: u32 = 1;
/// Responds to a request.
const BUSY: u32 = 2;
/// Has shut down its sending side, and waits for the client to do the same.
const LINGERING: u32 = 3;
/// Carries another protocol, after an upgrade over HTTP/1; the tunnel ends both sides.
const TUNNEL: u32 = 4;

/// Longer than any connection lingers.
const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What is due on a client's connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ConnectionDue {
    /// It has been idle for too long.
    Close,
    /// The client is too slow.
    Cut,
    Nothing {
        /// When to check again.
        until: Instant,
    },
}

impl ConnectionState {
    pub(super) fn new(patience: ClientTimeouts, max_requests: u32, max_discard: u64) -> Self {
        Self {
            opened: Instant::now(),
            patience,
            doing: AtomicU32::new(HEAD),
            since: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            max_requests,
            grace: AtomicU64::new(0),
            half_closed: AtomicU64::new(0),
            evicted: AtomicU32::new(0),
            last: AtomicU32::new(0),
            cut_short: AtomicU32::new(0),
            unread: UnreadBody::new(max_discard),
        }
    }

    /// At least 1, because 0 means that there is no such time.
    fn now(&self) -> u64 {
        let millis = self.opened.elapsed().as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX).max(1)
    }

    fn begin(&self, doing: u32) {
        self.since.store(self.now(), Relaxed);
        self.doing.store(doing, Relaxed);
    }

    pub(super) fn has_read(&self) {
        if self.doing.load(Relaxed) == IDLE {
            self.begin(HEAD);
        }
    }

    pub(super) fn has_written(&self, found_room: bool) {
        let blocked = self.blocked.load(Relaxed) != 0;
        if blocked == found_room {
            let since = if found_room { 0 } else { self.now() };
            self.blocked.store(since, Relaxed);
            // The client had yet to read a response that is complete here.
            if found_room && self.doing.load(Relaxed) == IDLE {
                self.begin(IDLE);
            }
        }
        // A client that reads the response is still connected.
        if found_room && self.half_closed.load(Relaxed) != 0 {
            self.half_closed.store(self.now(), Relaxed);
        }
    }

    /// Records that the client has shut down its sending side while it is owed a response.
    /// Returns whether the response may still be sent.
    pub(super) fn note_half_close(&self) -> bool {
        self.half_closed.store(self.now(), Relaxed);
        !self.patience.half_closed.is_zero()
    }

    /// Records that this side has been shut down. Returns whether to wait for the client's.
    pub(super) fn start_linger(&self) -> bool {
        let http = self.doing.load(Relaxed) != TUNNEL;
        let waits = http && !self.is_evicted();
        if waits {
            self.begin(LINGERING);
        }
        waits
    }

    /// Records that the client has announced that the request that begins is its last.
    pub(super) fn note_last_request(&self) {
        self.last.store(1, Relaxed);
    }

    /// Records that a response broke off whose end only the end of the connection can mark.
    pub(super) fn note_cut_short(&self) {
        self.cut_short.store(1, Relaxed);
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.cut_short.load(Relaxed) != 0
    }

    /// Returns whether the client has announced its last request, and has sent all of it.
    pub(super) fn expects_nothing_more(&self) -> bool {
        self.last.load(Relaxed) != 0 && self.unread.is_whole()
    }

    /// Records that the connection is no longer idle, and so keeps its slot.
    pub(super) fn cancel_eviction(&self) {
        self.evicted.store(0, Relaxed);
    }

    /// Records that the connection has become a tunnel.
    pub(super) fn become_tunnel(&self) {
        self.doing.store(TUNNEL, Relaxed);
    }

    /// Returns whether HTTP has ended on this connection.
    fn is_over(&self) -> bool {
        matches!(self.doing.load(Relaxed), LINGERING | TUNNEL)
    }

    /// Makes each further response over HTTP/1 the last of the connection. A client that
    /// already has its response may send another request within `grace`, because it does
    /// not know yet.
    pub(super) fn close_after_response(&self, grace: Duration) {
        let millis = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
        self.grace.store(millis.max(1), Relaxed);
        self.since.store(self.now(), Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.grace.load(Relaxed) != 0
    }

    /// Records that nothing of the last request is left before the next one.
    pub(super) fn note_idle(&self) {
        if !self.is_busy() && !self.is_over() {
            self.begin(IDLE);
        }
    }

    pub(super) fn owes_answers(&self) -> bool {
        self.in_flight.load(Relaxed) > 0
    }

    /// Returns whether a response is owed, or not completely written.
    pub(super) fn is_busy(&self) -> bool {
        self.owes_answers() || self.blocked.load(Relaxed) != 0
    }

    pub(super) fn request_begins(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.requests.fetch_add(1, Relaxed);
        self.doing.store(BUSY, Relaxed);
    }

    /// Returns whether the request that has just begun is the first.
    pub(super) fn is_first(&self) -> bool {
        self.requests.load(Relaxed) == 1
    }

    pub(super) fn body_begins(&self) {
        self.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn request_ends(&self) {
        if self.in_flight.fetch_sub(1, Relaxed) == 1 && !self.is_over() {
            self.begin(IDLE);
        }
    }

    /// Returns whether the connection has reached its maximum number of requests.
    pub(super) fn has_max_requests(&self) -> bool {
        self.requests.load(Relaxed) >= self.max_requests
    }

    /// Returns what is due, and when to check again. Once the connection is `ending`, it is
    /// due when nothing has been in flight for a [`LAST_CALL`].
    pub(super) fn due(&self, ending: bool) -> ConnectionDue {
        let at = |since: u64, limit| self.opened + Duration::from_millis(since) + limit;
        let now = Instant::now();
        let busy = self.is_busy();
        let doing = self.doing.load(Relaxed);
        let since = self.since.load(Relaxed);
        let mut until = now + self.patience.least();
        if ending && doing != LINGERING {
            if !busy && at(since, LAST_CALL) <= now {
                return ConnectionDue::Close;
            }
            // The end of the last request triggers no check here.
            until = until.min(now + LAST_CALL);
        }
        let grace = match self.grace.load(Relaxed) {
            0 => None,
            millis => Some(Duration::from_millis(millis)),
        };
        let half_closed = self.half_closed.load(Relaxed);
        if busy && half_closed != 0 {
            let deadline = at(half_closed, self.patience.half_closed);
            if deadline <= now {
                return ConnectionDue::Cut;
            }
            until = until.min(deadline);
        }
        let blocked = self.blocked.load(Relaxed);
        if blocked != 0 {
            let deadline = at(blocked, self.patience.reading);
            if deadline <= now {
                return ConnectionDue::Cut;
            }
            until = until.min(deadline);
        }
        let (limit, then) = match doing {
            // Lingering has its own limit, unless the server stops.
            LINGERING => (LONG, ConnectionDue::Cut),
            _ if busy => return ConnectionDue::Nothing { until },
            HEAD => (self.patience.head, ConnectionDue::Cut),
            IDLE => (self.patience.idle, ConnectionDue::Close),
            _ => return ConnectionDue::Nothing { until },
        };
        let deadline = at(since, grace.unwrap_or(limit).min(limit));
        if deadline <= now {
            return then;
        }
        ConnectionDue::Nothing {
            until: until.min(deadline),
        }
    }
}

impl Evictable for ConnectionState {
    /// Returns since when the connection waits between two requests.
    fn idle_since(&self) -> Option<Instant> {
        if self.doing.load(Relaxed) != IDLE || self.is_busy() {
            return None;
        }
        Some(self.opened + Duration::from_millis(self.since.load(Relaxed)))
    }

    fn evict(&self) {
        self.evicted.store(1, Relaxed);
    }

    fn is_evicted(&self) -> bool {
        self.evicted.load(Relaxed) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{ClientTimeouts, ConnectionDue, ConnectionState};
    use crate::net::Evictable;
    use std::time::Duration;
    use tokio::time::{Instant, advance};

    fn connection() -> ConnectionState {
        let patience = ClientTimeouts {
            head: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            reading: Duration::from_secs(30),
            half_closed: Duration::from_secs(40),
        };
        ConnectionState::new(patience, 2, 0)
    }

    fn seconds(due: ConnectionDue) -> u64 {
        match due {
            ConnectionDue::Nothing { until } => (until - Instant::now()).as_secs(),
            ConnectionDue::Close | ConnectionDue::Cut => panic!("{due:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_limit_for_a_head_starts_with_its_first_byte() {
        let connection = connection();
        advance(Duration::from_secs(9)).await;
        assert_eq!(seconds(connection.due(false)), 1);
        connection.request_begins();
        connection.request_ends();
        advance(Duration::from_secs(50)).await;
        connection.has_read();
        assert_eq!(seconds(connection.due(false)), 10);
        advance(Duration::from_secs(5)).await;
        connection.has_read();
        advance(Duration::from_secs(5)).await;
        assert_eq!(connection.due(false), ConnectionDue::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_and_a_busy_one_is_not() {
        let connection = connection();
        connection.request_begins();
        advance(Duration::from_secs(1_000)).await;
        assert_eq!(seconds(connection.due(false)), 10);
        connection.request_ends();
        advance(Duration::from_secs(60)).await;
        assert_eq!(connection.due(false), ConnectionDue::Close);
    }

    #[tokio::test(start_paused = true)]
    async fn only_between_two_requests_can_it_be_closed_for_another_client() {
        let connection = connection();
        assert_eq!(connection.idle_since(), None);
        connection.request_begins();
        assert_eq!(connection.idle_since(), None);
        advance(Duration::from_secs(5)).await;
        connection.request_ends();
        assert_eq!(connection.idle_since(), Some(Instant::now()));
        connection.request_begins();
        assert_eq!(connection.idle_since(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_for_too_long_is_cut_off() {
        let connection = connection();
        connection.request_begins();
        connection.has_written(false);
        advance(Duration::from_secs(29)).await;
        connection.has_written(false);
        assert_eq!(seconds(connection.due(false)), 1);
        connection.has_written(true);
        advance(Duration::from_secs(29)).await;
        connection.has_written(false);
        advance(Duration::from_secs(30)).await;
        assert_eq!(connection.due(false), ConnectionDue::Cut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_ends_after_its_maximum_of_requests() {
        let connection = connection();
        connection.request_begins();
        assert!(!connection.has_max_requests());
        connection.request_begins();
        assert!(connection.has_max_requests());
    }
}
