//! The words that this documentation uses, each with one meaning.
//!
//! | word | meaning |
//! |---|---|
//! | **member** | One backend of a balancer: a payload (a client, an address, a service) with a name and a [`MemberSpec`](crate::MemberSpec). |
//! | **payload** | What the user's program needs to reach a member: the `W` of [`Balancer<W>`](crate::Balancer). |
//! | **pick** | The choice of one member for one request, by [`Balancer::pick`](crate::Balancer::pick) or a service. |
//! | **lease** | The right to use a member that was picked. The request is in flight until its [`Lease`](crate::Lease) ends. |
//! | **in flight** | Requests that were picked and have not ended: up to the last byte of the response, or the drop of the future or body. |
//! | **scheduler** | The algorithm that picks: [`Scheduler`](crate::Scheduler). Apache calls it a method (`lbmethod`). |
//! | **eligible** | A member that a pick may choose now: usable, in the tier that serves, not draining. |
//! | **weight** | A member's share of the work, relative to the others (Apache: `loadfactor`). |
//! | **standing** | A member's number in the books of a scheduler (Apache: `lbstatus`). |
//! | **tier** | Members with a lower tier serve first; a higher tier serves while no lower one can (Apache: `lbset`). |
//! | **standby** | A member that serves only when no other member of its tier can (Apache: `status=+H`). |
//! | **spare** | A member that serves in place of one that cannot (Apache: `status=+R`). |
//! | **draining** | A member that finishes its requests and keeps its sessions, and gets no new ones (Apache: `status=+N`). |
//! | **cap** | The most requests that a member may have in flight: the smaller of its spec's and of those that were learned. |
//! | **in error** | A member whose last request failed. It is not picked until its recovery delay has elapsed (Apache: `retry`). |
//! | **ejected** | A member that something took out of service for a time, such as outlier detection. |
//! | **failed check** | A member whose health check fails. It is out until the check passes. |
//! | **recovery** | The end of an error or of an ejection: the member can be picked again. |
//! | **forced recovery** | When only errors and ejections keep all members out, all are tried again at once. |
//! | **ramp** | The growth of a member's weight after it joined or recovered (slow start). |
//! | **route** | The name by which a session finds its member, such as the `node2` of `8F3A.node2`. |
//! | **session** | A client's tie to one member, by a route in a cookie or in the URL: [`StickySession`](crate::StickySession). |
//! | **failover** | Sending a request to another member after one failed. |
//! | **retry** | An attempt to send a request that may have been sent before. Failover before anything was sent is no retry. |
//! | **attempt** | One try to get a response from one member. A request has one or more. |
//! | **source** | What brings members to a balancer: code, a configuration, discovery. Each owns its members. |
//! | **override** | A setting by an operator. It outlasts what the source changes. |
//! | **observer** | A function or type that is called with each [`Event`](crate::Event). |
//! | **head** | The part of a message before its body: status or request line, and header fields. |
