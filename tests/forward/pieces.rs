//! Bytes that come in pieces, as they do from a socket.

use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The sizes of the pieces; the rest comes in one.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    let small = prop::collection::vec(1_usize..8, 0..40);
    let any = prop::collection::vec(1_usize..600, 0..6);
    prop_oneof![small, any]
}

/// A stream of which no read gets more than a piece.
pub(crate) fn in_pieces(bytes: &[u8], cuts: &[usize]) -> impl AsyncRead + Unpin + Send + use<> {
    let mut stream: Box<dyn AsyncRead + Unpin + Send> = Box::new(tokio::io::empty());
    let mut pieces = Vec::new();
    let mut left = bytes;
    for &cut in cuts {
        let (piece, rest) = left.split_at(cut.min(left.len()));
        pieces.push(piece.to_vec());
        left = rest;
    }
    pieces.push(left.to_vec());
    for piece in pieces.into_iter().rev().filter(|piece| !piece.is_empty()) {
        stream = Box::new(std::io::Cursor::new(piece).chain(stream));
    }
    stream
}

pub(crate) fn block<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}
