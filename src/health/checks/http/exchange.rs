//! One request of a check, over a new connection or the one that is kept: [`exchange`].
//!
//! What does not live here: the connection (`line`).

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use super::CheckAnswer;
use super::line::CheckConnection;
use crate::health::checks::{ProbeError, ProbeTarget};

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::health::checks) struct Manner {
    pub(in crate::health::checks) by_2: bool,
    /// Whether the connection is kept for the next check of the member.
    pub(in crate::health::checks) keeps: bool,
    /// How much of the body is read; `None` for nothing.
    pub(in crate::health::checks) most: Option<usize>,
}

/// Sends a request to the member at `target`, and reads the answer.
///
/// A connection that was kept may have been closed by the member meanwhile, which is its right:
/// the request is then sent over a new one.
pub(in crate::health::checks) async fn exchange(
    target: &ProbeTarget,
    request: Request<Full<Bytes>>,
    manner: Manner,
) -> Result<CheckAnswer, ProbeError> {
    let Manner { by_2, keeps, most } = manner;
    if !keeps {
        let mut line = CheckConnection::open(target.connector(), by_2).await?;
        let answer = line.exchange(request, most).await;
        return answer.map_err(|broken| broken.error);
    }
    let connector = target.connector();
    let kept = target
        .kept()
        .take(connector, by_2)
        .filter(CheckConnection::is_open);
    let (mut line, is_kept) = match kept {
        Some(line) => (line, true),
        None => (CheckConnection::open(connector, by_2).await?, false),
    };
    let answer = match line.exchange(request.clone(), most).await {
        Err(broken) if is_kept && broken.is_unanswered => {
            line = CheckConnection::open(connector, by_2).await?;
            line.exchange(request, most).await
        }
        answer => answer,
    };
    if answer.is_ok() && line.is_open() {
        target.kept().put(connector.clone(), by_2, line);
    }
    answer.map_err(|broken| broken.error)
}
