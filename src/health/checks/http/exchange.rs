//! Sends one request of a check, over a new connection or a kept one: [`exchange`].
//!
//! Not here: the connection (`connection`).

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::CheckResponse;
use super::connection::CheckConnection;
use crate::health::checks::{ProbeError, ProbeTarget};

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::health::checks) struct Manner {
    pub(in crate::health::checks) by_2: bool,
    /// Whether the connection is kept for the member's next check.
    pub(in crate::health::checks) keeps: bool,
    /// How many bytes of the body are read; `None` for none.
    pub(in crate::health::checks) most: Option<usize>,
}

/// Sends a request to the member at `target`, and reads the response.
///
/// The member may have closed a kept connection meanwhile: the request is then sent over a
/// new one.
pub(in crate::health::checks) async fn exchange(
    target: &ProbeTarget,
    request: Request<Full<Bytes>>,
    manner: Manner,
) -> Result<CheckResponse, ProbeError> {
    let Manner { by_2, keeps, most } = manner;
    if !keeps {
        let mut connection = CheckConnection::open(target.connector(), by_2).await?;
        let response = connection.exchange(request, most).await;
        return response.map_err(|broken| broken.error);
    }
    let connector = target.connector();
    let kept = target
        .kept()
        .take(connector, by_2)
        .filter(CheckConnection::is_open);
    let (mut connection, is_kept) = match kept {
        Some(connection) => (connection, true),
        None => (CheckConnection::open(connector, by_2).await?, false),
    };
    let response = match connection.exchange(request.clone(), most).await {
        Err(broken) if is_kept && broken.is_unanswered => {
            connection = CheckConnection::open(connector, by_2).await?;
            connection.exchange(request, most).await
        }
        response => response,
    };
    if response.is_ok() && connection.is_open() {
        target.kept().put(connector.clone(), by_2, connection);
    }
    response.map_err(|broken| broken.error)
}
