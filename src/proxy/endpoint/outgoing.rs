//! What is sent to a member: any body, under one type that connections can be made for.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use super::progress::Progress;
use crate::proxy::EdgeBody;
use crate::proxy::server::ClientBody;
use crate::service::{BoxError, CountedBody};

/// A request body of any type. Those that pass through here most are called directly.
#[derive(Debug)]
pub(in crate::proxy) struct Outgoing {
    content: Content,
    progress: Progress,
}

/// Small, as hyper moves requests about, and most have no body.
#[derive(Debug)]
enum Content {
    Client(Box<CountedBody<EdgeBody<ClientBody>>>),
    Empty,
    Incoming(Box<CountedBody<EdgeBody<Incoming>>>),
    Other(UnsyncBoxBody<Bytes, BoxError>),
}

impl Outgoing {
    pub(super) fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        if body.is_end_stream() {
            return Self {
                content: Content::Empty,
                progress: Progress::default(),
            };
        }
        let content = match same(body) {
            Ok(body) => Content::Client(Box::new(body)),
            Err(body) => match same(body) {
                Ok(body) => Content::Incoming(Box::new(body)),
                Err(body) => Content::Other(body.map_err(Into::into).boxed_unsync()),
            },
        };
        Self {
            content,
            progress: Progress::watched(),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }
}

/// The value, if it is of that type.
fn same<A: 'static, B: 'static>(value: A) -> Result<B, A> {
    let mut value = Some(value);
    let any: &mut dyn Any = &mut value;
    if let Some(same) = any.downcast_mut::<Option<B>>().and_then(Option::take) {
        return Ok(same);
    }
    match value {
        Some(other) => Err(other),
        None => unreachable!("only the same is taken"),
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let polled = match &mut this.content {
            Content::Other(body) => Pin::new(body).poll_frame(context),
            Content::Client(body) => Pin::new(body).poll_frame(context),
            Content::Empty => Poll::Ready(None),
            Content::Incoming(body) => Pin::new(body).poll_frame(context),
        };
        match &polled {
            Poll::Ready(Some(Ok(_))) if !this.is_end_stream() => this.progress.note(),
            Poll::Ready(_) => this.progress.end(),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Other(body) => body.is_end_stream(),
            Content::Client(body) => body.is_end_stream(),
            Content::Empty => true,
            Content::Incoming(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Other(body) => body.size_hint(),
            Content::Client(body) => body.size_hint(),
            Content::Empty => SizeHint::with_exact(0),
            Content::Incoming(body) => body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn a_value_is_found_to_be_of_its_type_or_given_back() {
        assert_eq!(same::<_, u8>(7_u8), Ok(7));
        assert_eq!(same::<_, u16>(7_u8), Err(7));
    }
}
