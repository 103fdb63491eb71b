//! A future whose panic becomes a value: [`CatchPanic`].
//!
//! Not here: what a panic means (`driver`).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Resolves with the output of the future; `None` if it panics, also on drop.
pub(super) struct CatchPanic<F> {
    future: Option<Pin<Box<F>>>,
}

impl<F> CatchPanic<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future: Some(Box::pin(future)),
        }
    }
}

impl<F: Future> Future for CatchPanic<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.future else {
            return Poll::Ready(None);
        };
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        if matches!(polled, Ok(Poll::Pending)) {
            return Poll::Pending;
        }
        let over = self.future.take();
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(over)));
        Poll::Ready(match (polled, dropped) {
            (Ok(Poll::Ready(output)), Ok(())) => Some(output),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::CatchPanic;
    use std::panic::panic_any;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn now<F: Future>(future: F) -> Poll<F::Output> {
        pin!(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic_any("on drop");
        }
    }

    #[test]
    fn a_panic_is_none_also_on_drop() {
        assert_eq!(now(CatchPanic::new(async { 7 })), Poll::Ready(Some(7)));
        let fails = std::future::poll_fn(|_| -> Poll<u32> { panic_any("at once") });
        assert_eq!(now(CatchPanic::new(fails)), Poll::Ready(None));
        let on_drop = CatchPanic::new({
            let bomb = PanicsOnDrop;
            std::future::poll_fn(move |_| {
                let _ = &bomb;
                Poll::Ready(1)
            })
        });
        assert_eq!(now(on_drop), Poll::Ready(None));
    }
}
