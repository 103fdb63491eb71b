//! The replacement of `splice` on systems without it: there are no pipes, so bytes are
//! copied.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::net::Stream;

/// No pipes.
#[derive(Debug)]
pub(super) enum Pipes {}

impl Pipes {
    pub(super) fn new(_most: usize) -> Option<Arc<Self>> {
        None
    }
}

/// The result of splicing.
#[derive(Debug)]
#[expect(dead_code, reason = "nothing is ever spliced")]
pub(super) enum Spliced {
    WouldBlock,
    Ended,
    SinkFailed(io::Error),
    SourceFailed,
    Taken(Box<[u8]>),
    Unsupported,
}

/// No pipe.
#[derive(Debug)]
pub(super) enum LentPipe {}

impl LentPipe {
    pub(super) fn poll_for(
        pipes: &Arc<Pipes>,
        _source: &Stream,
        _sink: &Stream,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Self>> {
        match **pipes {}
    }

    pub(super) fn poll(
        &mut self,
        _source: &Stream,
        _sink: &Stream,
        _context: &mut Context<'_>,
        _moved: (&mut u64, &mut u64),
    ) -> Poll<Spliced> {
        match *self {}
    }
}
