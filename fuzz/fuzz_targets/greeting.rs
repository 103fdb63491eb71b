//! No bytes make the reader of ClientHellos panic; however they are split, they are understood
//! alike; and each of them is given once more.

#![no_main]

use equipoise::forward::{Greeting, GreetingLimits};
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::runtime::Builder;

async fn greeted(stream: impl AsyncRead + Unpin, sent: &[u8]) -> String {
    match Greeting::read(stream, &GreetingLimits::new()).await {
        Ok((greeting, mut stream)) => {
            let mut again = Vec::new();
            stream
                .read_to_end(&mut again)
                .await
                .expect("it is in memory");
            assert_eq!(again, sent);
            if let Greeting::ClientHello(hello) = &greeting {
                let is_normal = |name: &str| !name.contains(|it: char| it.is_ascii_uppercase());
                assert!(hello.server_name().is_none_or(is_normal));
                assert!(hello.alpn().all(|protocol| !protocol.is_empty()));
            }
            format!("{greeting:?}")
        }
        Err(error) => error.to_string(),
    }
}

fuzz_target!(|input: (u16, &[u8])| {
    let (at, sent) = input;
    let runtime = Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let whole = greeted(sent, sent).await;
        let (first, rest) = sent.split_at(usize::from(at).min(sent.len()));
        assert_eq!(greeted(first.chain(rest), sent).await, whole);
    });
});
