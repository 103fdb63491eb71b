//! What one connection of HTTP/2 may take up: the limits of a [`Server`] for it.
//!
//! What does not live here: the other limits (`options`), and who keeps them (`held_heads`,
//! `streams`).

use super::Server;
use super::held_heads::HeadLimits;

impl Server {
    /// Sets how many bytes the head of a request may have over HTTP/2, counted as in RFC 9113,
    /// 6.5.2: 32 bytes are added for each field. By default 16 KiB, or
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

    /// Sets how many requests one connection of HTTP/2 may have at once; 100 by default, and
    /// at least 1.
    ///
    /// # Examples
    ///
    /// See [`http2_max_header_list_size`](Self::http2_max_header_list_size).
    pub fn http2_max_concurrent_streams(mut self, streams: u32) -> Self {
        self.options.http2_streams = streams.max(1);
        self
    }

    /// Sets how many bytes of a request's body a client may send over HTTP/2 before the
    /// service has read them; 256 KiB by default, and at least 1. A client sends at most that
    /// much in the time of a round trip.
    ///
    /// The window of a connection is this times the
    /// [streams](Self::http2_max_concurrent_streams), so that one body that is not read stops
    /// no other. HTTP/2 has no windows of more than 2 GiB: that of a stream is lowered to what
    /// is left for each.
    ///
    /// # Examples
    ///
    /// See [`http2_max_header_list_size`](Self::http2_max_header_list_size).
    pub fn http2_initial_stream_window_size(mut self, bytes: u32) -> Self {
        self.options.http2_stream_window = bytes.max(1);
        self
    }

    /// Sets how many bytes of heads may be held at once over HTTP/2, by one connection and by
    /// all of the server; 2 MiB and 256 MiB by default. A request for whose head there is no
    /// room is refused (`REFUSED_STREAM`), so that its client may send it again. One that is
    /// alone on its connection has room there in any case.
    ///
    /// A head is held until its request has been answered to the last byte, as it may have to
    /// go to another member. It counts for what it costs: 512 bytes, 160 for each field, and
    /// its text twice, once as it is held and once as it is written to a member. Clones of
    /// this server, for further listeners, share the bound of the server.
    ///
    /// # Examples
    ///
    /// See [`http2_max_header_list_size`](Self::http2_max_header_list_size).
    pub fn http2_max_held_heads(mut self, connection: u64, server: u64) -> Self {
        self.options.head_limits = HeadLimits { connection, server };
        self
    }
}
