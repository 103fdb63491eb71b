//! A response of any type that holds its member's lease: [`Leased`].

use std::ops::{Deref, DerefMut};

use crate::balancer::Guard;
use crate::member::{Cause, MemberState, Outcome};

/// A response together with the lease of its member. The request is in flight while this
/// value is alive: for a stream of rows or a connection. Dropping it ends the request as a
/// success.
///
/// # Examples
///
/// ```
/// # async fn example(
/// #     mut rows: equipoise::service::Leased<std::vec::IntoIter<Result<u8, std::fmt::Error>>>,
/// # ) {
/// use equipoise::Outcome;
///
/// while let Some(row) = rows.next() {
///     if row.is_err() {
///         rows.finish(Outcome::Failure);
///         break;
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a response that is dropped at once ends the request"]
pub struct Leased<R> {
    response: R,
    lease: Holding,
}

/// Ends the request as a success when it is dropped, unless another outcome was set.
#[derive(Debug)]
struct Holding(Option<Guard>);

impl Drop for Holding {
    fn drop(&mut self) {
        if let Some(guard) = self.0.take() {
            if !std::thread::panicking() {
                guard.finish(Outcome::Success);
            }
        }
    }
}

impl<R> Leased<R> {
    pub(super) fn new(response: R, guard: Guard) -> Self {
        let lease = Holding(Some(guard));
        Self { response, lease }
    }

    /// Returns the state of the member.
    ///
    /// `None` after the request was [finished](Self::finish).
    #[must_use]
    pub fn member(&self) -> Option<&MemberState> {
        self.lease.0.as_ref().map(Guard::member)
    }

    /// Ends the request with this outcome and keeps the response.
    pub fn finish(&mut self, outcome: Outcome) {
        if let Some(guard) = self.lease.0.take() {
            guard.finish(outcome);
        }
    }

    /// Ends the request as a failure with this cause and keeps the response.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(mut response: equipoise::service::Leased<u64>) {
    /// response.fail("the checksum is wrong");
    /// # }
    /// ```
    pub fn fail(&mut self, cause: impl Into<Cause>) {
        if let Some(guard) = self.lease.0.take() {
            guard.fail(cause);
        }
    }

    /// Returns the response and the guard of its lease.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn example(response: equipoise::service::Leased<u64>) {
    /// let (number, guard) = response.into_parts();
    /// println!("{number}");
    /// drop(guard); // ends as cancelled unless `finish` was called
    /// # }
    /// ```
    pub fn into_parts(mut self) -> (R, Option<Guard>) {
        let guard = self.lease.0.take();
        (self.response, guard)
    }
}

impl<R> Deref for Leased<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.response
    }
}

impl<R> DerefMut for Leased<R> {
    fn deref_mut(&mut self) -> &mut R {
        &mut self.response
    }
}
