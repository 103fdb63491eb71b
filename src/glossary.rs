//! The terms of this documentation, each with one meaning.
//!
//! | term | meaning |
//! |---|---|
//! | **attempt** | One try to get a response from one member. A request has one or more. |
//! | **cap** | The most requests that a member may have in flight: the smaller of its spec's limit and the learned limit. |
//! | **draining** | A member that finishes its requests and keeps its sessions, but gets no new ones (Apache: `status=+N`). |
//! | **ejected** | A member that is out of service for a time, by outlier detection or by [`eject`](crate::Balancer::eject). |
//! | **eligible** | A member that the scheduler can pick now: usable, not draining, and in the group that serves (its tier, with spares or standbys). |
//! | **failed check** | The state of a member whose health check fails. It is out of service until the check passes. |
//! | **failover** | Sending a request to another member after one has failed. |
//! | **forced recovery** | When no member can serve, all members that only an error or an ejection keeps out are tried again at once. |
//! | **group** | All members that are eligible at one time. |
//! | **head** | The part of a message before its body: status or request line, and header fields. |
//! | **health** | The flags *in error*, *failed check* and *ejected* of a member, with their causes and times: [`Health`](crate::member::Health). |
//! | **in error** | The state of a member after a failed request has put it in error. It is not picked until its recovery delay has elapsed (Apache: `retry`). |
//! | **in flight** | Requests that were picked and have not ended. A request ends with the last byte of its response, or when its future or body is dropped. |
//! | **label** | A name and a text that the source gives a member, for schedulers to read. |
//! | **learned limit** | A limit on a member's requests in flight that is found while running: [`LearnedLimit`](crate::balancer::LearnedLimit). |
//! | **lease** | The right to use a member that was picked. The request is in flight until its [`Lease`](crate::Lease) ends. |
//! | **member** | One backend of a balancer: a payload (a client, an address, a service) with a name and a [`MemberSpec`](crate::MemberSpec). |
//! | **observer** | A function or type that is called with each [`Event`](crate::Event). |
//! | **outcome** | How the use of a member ended: success, failure or cancelled ([`Outcome`](crate::Outcome)). |
//! | **override** | A setting by an operator. It stays when the source changes its own settings. |
//! | **payload** | What the application needs to reach a member: the `W` of [`Balancer<W>`](crate::Balancer). |
//! | **pick** | The choice of one member for one request, by [`Balancer::pick`](crate::Balancer::pick) or a service. |
//! | **plan** | A table that a scheduler computes in advance of picks: [`Plan`](crate::scheduler::Plan). |
//! | **ramp** | The growth of a member's weight after it has joined or recovered (slow start): [`Ramp`](crate::member::Ramp). |
//! | **recovery** | The end of an error, an ejection or a failed check: the member can be picked again. |
//! | **redirect route** | The route of the member that takes over a member's sessions while that one cannot serve (Apache: `redirect`). |
//! | **retry** | Sending a request again that may have been sent before. Failover before anything was sent is not a retry. |
//! | **route** | The name by which a session finds its member, such as the `node2` of `8F3A.node2`. |
//! | **scheduler** | The algorithm that picks: [`Scheduler`](crate::Scheduler) (Apache: `lbmethod`). |
//! | **session** | A client's tie to one member, by a route in a cookie or in the URL ([`StickySession`](crate::StickySession)), or by the client's address. |
//! | **source** | What gives a balancer its members: code, a configuration, discovery. Each source owns the members that it has inserted. |
//! | **spare** | A member that serves in place of one that cannot (Apache: `status=+R`). |
//! | **standby** | A member that serves only when no other member of its tier can (Apache: `status=+H`). |
//! | **standing** | The number by which a scheduler ranks a member (Apache: `lbstatus`). |
//! | **tier** | Members with a lower tier serve first; a higher tier serves while no lower one can (Apache: `lbset`). |
//! | **trial** | The time after an ejection in which a member gets one request at a time, until one succeeds. |
//! | **usable** | A member that is neither disabled, stopped, in error, ejected nor failed by a check. |
//! | **weight** | A member's share of the work, relative to the others (Apache: `loadfactor`). |
