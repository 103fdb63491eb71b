//! Wakers in the order in which they were added: any of them may leave at any time, and
//! joining and leaving are O(1). It is a linked list in one vector.

use std::task::Waker;

/// A place in one [`Queue`]; no later place of that queue is equal to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    at: usize,
    serial: u64,
}

/// No place.
const NONE: usize = usize::MAX;

#[derive(Debug)]
pub(super) struct Queue {
    places: Vec<QueueLink>,
    front: usize,
    back: usize,
    /// The first of the free places, which are linked by `next`.
    free: usize,
    len: usize,
    serial: u64,
}

#[derive(Debug)]
struct QueueLink {
    /// 0 while the place is free.
    serial: u64,
    before: usize,
    next: usize,
    /// `None` after it was woken, until it registers again.
    waker: Option<Waker>,
}

impl Queue {
    const EMPTY: Self = Self {
        places: Vec::new(),
        front: NONE,
        back: NONE,
        free: NONE,
        len: 0,
        serial: 0,
    };

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.front == NONE
    }

    pub(super) fn is_front(&self, ticket: Ticket) -> bool {
        self.front == ticket.at && self.get(ticket).is_some()
    }

    fn get(&self, ticket: Ticket) -> Option<&QueueLink> {
        let place = self.places.get(ticket.at)?;
        (place.serial == ticket.serial).then_some(place)
    }

    /// Returns where the waker of a place is kept, if the place has not been left.
    pub(super) fn waker_mut(&mut self, ticket: Ticket) -> Option<&mut Option<Waker>> {
        let place = self.places.get_mut(ticket.at)?;
        (place.serial == ticket.serial).then_some(&mut place.waker)
    }

    /// Adds a waker at the end.
    pub(super) fn push(&mut self, waker: Option<Waker>) -> Ticket {
        self.serial += 1;
        self.len += 1;
        let place = QueueLink {
            serial: self.serial,
            before: self.back,
            next: NONE,
            waker,
        };
        let at = if let Some(free) = self.places.get_mut(self.free) {
            let at = std::mem::replace(&mut self.free, free.next);
            *free = place;
            at
        } else {
            self.places.push(place);
            self.places.len() - 1
        };
        match self.places.get_mut(self.back) {
            Some(back) => back.next = at,
            None => self.front = at,
        }
        self.back = at;
        Ticket {
            at,
            serial: self.serial,
        }
    }

    /// Removes a place, wherever it is; returns its waker, for the caller to drop after its
    /// lock.
    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.places.get_mut(ticket.at)?;
        if place.serial != ticket.serial {
            return None;
        }
        let (before, next, waker) = (place.before, place.next, place.waker.take());
        (place.serial, place.next) = (0, self.free);
        self.free = ticket.at;
        self.len -= 1;
        match self.places.get_mut(before) {
            Some(before) => before.next = next,
            None => self.front = next,
        }
        match self.places.get_mut(next) {
            Some(next) => next.before = before,
            None => self.back = before,
        }
        if self.is_empty() {
            // No waker is left in it, and a long queue does not keep its memory for ever.
            let serial = self.serial;
            *self = Self::EMPTY;
            self.serial = serial;
        }
        waker
    }

    pub(super) fn take_front(&mut self) -> Option<Waker> {
        self.places.get_mut(self.front)?.waker.take()
    }

    /// Takes all wakers, in their order.
    pub(super) fn take_all(&mut self) -> Vec<Waker> {
        let (mut wakers, mut at) = (Vec::new(), self.front);
        while let Some(place) = self.places.get_mut(at) {
            wakers.extend(place.waker.take());
            at = place.next;
        }
        wakers
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::EMPTY
    }
}
