//! No bytes make the reader of PROXY headers panic, and what it has read is written and read as
//! the same.

#![no_main]

use equipoise::net::{ProxyHeader, ProxyVersion};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Builder;

fuzz_target!(|bytes: &[u8]| {
    let runtime = Builder::new_current_thread().build().expect("a runtime");
    let read = |mut bytes: &[u8]| runtime.block_on(ProxyHeader::read(&mut bytes));
    let Ok(header) = read(bytes) else { return };
    assert_eq!(header.source().is_some(), header.destination().is_some());
    assert!(header.encode(ProxyVersion::V1).len() <= 107);

    let written = header.encode(ProxyVersion::V2);
    let again = read(&written).expect("what was written is read");
    assert_eq!(again.source(), header.source());
    assert_eq!(again.destination(), header.destination());
    // Values are sent with addresses only.
    if header.source().is_some() {
        assert!(again.values().eq(header.values()));
    }
});
