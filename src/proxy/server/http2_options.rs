//! The limits of a [`Server`] for one HTTP/2 connection.
//!
//! Not here: the other limits (`options`), and their enforcement
//! (`held_heads`, `streams`).

use super::Server;
use super::held_heads::HeadLimits;
use super::options::Options;

impl Server {
    /// Sets the maximum size of a request head over HTTP/2 in bytes, counted as in RFC
    /// 9113, 6.5.2: 32 bytes are added for each field. The default is 16 KiB, or
    /// [`max_head`](Self::max_head) if that is less.
    ///
    /// # Examples
    ///
    /// ```
    /// use equipoise::proxy::Server;
    ///
    /// let server = Server::new()
    ///     .http2_max_header_list_size(32 * 1024)
    ///     .http2_max_concurrent_streams(50)
    ///     .http2_initial_stream_window_size(1024 * 1024)
    ///     .http2_max_held_heads(4 * 1024 * 1024, 1024 * 1024 * 1024);
    /// # let _ = server;
    /// ```
    pub fn http2_max_header_list_size(mut self, bytes: u32) -> Self {
        self.options.http2_header_list = Some(bytes);
        self
    }

    /// Sets how many requests one HTTP/2 connection may have at once; 100 by default, at
    /// least 1.
    pub fn http2_max_concurrent_streams(mut self, streams: u32) -> Self {
        self.options.http2_streams = streams.max(1);
        self
    }

    /// Sets how many bytes of a request's body a client may send over HTTP/2 before the
    /// service has read them; 256 KiB by default, at least 1. This is also the most that a
    /// client sends per round trip.
    ///
    /// The window of a connection is this value times the
    /// [streams](Self::http2_max_concurrent_streams), so that one unread body blocks no
    /// other. HTTP/2 has no windows above 2 GiB: the window of a stream is reduced so that
    /// the sum fits.
    pub fn http2_initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.options.http2_stream_window = bytes.max(1);
        self
    }

    /// Sets how many bytes of heads may be held at once over HTTP/2, by one connection and
    /// by the whole server; 2 MiB and 256 MiB by default. A request whose head does not fit
    /// is refused (`REFUSED_STREAM`), so its client may send it again. The only request of
    /// a connection always fits into the connection's limit.
    ///
    /// A head is held until its response is complete, because the request may have to go to
    /// another member. It counts for the memory that it uses: 512 bytes, 160 for each
    /// field, and its text twice, once as it is held and once as it is written to a member.
    /// Clones of this server, for further listeners, share the server's limit.
    pub fn http2_max_held_heads(mut self, connection: u64, server: u64) -> Self {
        self.options.head_limits = HeadLimits { connection, server };
        self
    }
}

impl Options {
    /// Returns the limit for the fields of a request over HTTP/2.
    pub(super) fn http2_header_list(&self) -> u32 {
        let head = u32::try_from(self.max_head).unwrap_or(u32::MAX);
        self.http2_header_list.unwrap_or(head.min(16 * 1024))
    }

    /// Returns the window of a stream, reduced so that the sum of all fits.
    pub(super) fn http2_stream_window(&self) -> u32 {
        let most = MOST_WINDOW / self.http2_streams;
        self.http2_stream_window.min(most.max(1))
    }

    pub(super) fn http2_connection_window(&self) -> u32 {
        let all = self
            .http2_stream_window()
            .saturating_mul(self.http2_streams);
        all.clamp(DEFAULT_WINDOW, MOST_WINDOW)
    }
}

/// The smallest window that a connection can have (RFC 9113, 6.9.2), and the largest.
const DEFAULT_WINDOW: u32 = 65_535;
const MOST_WINDOW: u32 = (1 << 31) - 1;

#[cfg(test)]
mod tests {
    use super::{MOST_WINDOW, Server};

    #[test]
    fn the_window_of_a_connection_has_room_for_those_of_all_streams() {
        for streams in [1, 2, 100, 50_000, u32::MAX] {
            for window in [0, 1, 65_535, 1 << 20, u32::MAX] {
                let server = Server::new()
                    .http2_max_concurrent_streams(streams)
                    .http2_initial_stream_window_size(window);
                let stream = u64::from(server.options.http2_stream_window());
                let all = u64::from(server.options.http2_connection_window());
                let fits = all >= stream * u64::from(streams) || streams > MOST_WINDOW;
                assert!(fits && stream > 0, "{streams} of {window}");
                assert!((65_535..=u64::from(MOST_WINDOW)).contains(&all));
            }
        }
    }

    #[test]
    fn a_head_over_http_2_has_16_kib_by_default() {
        let list = |server: Server| server.options.http2_header_list();
        assert_eq!(list(Server::new()), 16 * 1024);
        assert_eq!(list(Server::new().max_head(1 << 20)), 16 * 1024);
        assert_eq!(list(Server::new().max_head(4_096)), 4_096);
        let said = Server::new().http2_max_header_list_size(1 << 20);
        assert_eq!(list(said.max_head(4_096)), 1 << 20);
    }
}
